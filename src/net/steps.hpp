// SPDX-License-Identifier: BSD-3-Clause
// All kinds of steps. Values are given by number; what they are made of must outlive them.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include "base/epilogue.hpp"
#include "base/types.hpp"
#include "base/views.hpp"
#include "conv/convolution.hpp"
#include "net/step.hpp"
#include "ops/contest.hpp"
#include "ops/pool.hpp"
#include "ops/requantize.hpp"
#include "plan/plan.hpp"

namespace cs {

using StepPointer = std::unique_ptr<const Step>;

// Of convolutions of integers: what lies around images; and what becomes of sums, or null.
struct OfIntegers {
    std::int32_t pad = 0;
    const Requantizing* requantizing = nullptr;
};

// Images of one sample are views with strides of a sample, without an address.
StepPointer convolution_step(const Convolution& convolution, const ImagesView& x_of_sample,
                             const ImagesView& y_of_sample, const Epilogue& finish, PoolWindow pool,
                             const OfIntegers& integers, int x, int y);
StepPointer winners_convolution_step(const Convolution& convolution, const ImagesView& y_of_sample,
                                     const Epilogue& finish, PoolWindow pool, const WinnersAt& x, int y);

// y = epilogue(W x) for `vectors` vectors of each sample, features together.
struct ProductStep {
    Plan plan;
    std::int64_t samples, vectors, inputs, outputs;
    Epilogue finish;
};
StepPointer product_step(const ProductStep& product, int x, int y);
StepPointer winners_product_step(const ProductStep& product, const WinnersAt& x, int y);

// The winners along an axis of the sample; of the contest all but x.
StepPointer contest_step(const Contest& contest, const Extents& of_sample, int x, const WinnersAt& y);
// Winners with their zeros, `inner` vectors side by side.
StepPointer expand_step(const WinnersAt& x, Type type, std::int64_t inner, int y);
// Winners over the first of two axes, or over the second (inner: 1), as winners over both.
StepPointer flatten_step(const WinnersAt& x, Type type, std::int64_t inner, const WinnersAt& y);

StepPointer pool_step(const Pool& pool, const ImagesView& x_of_sample, const ImagesView& y_of_sample, int x, int y);

enum class Pair : std::uint8_t { add, multiply, subtract, divide, larger, smaller, slope };
// An axis of a result: its extent, and elements from one entry to the next of either operand, 0 where that is one for
// all.
struct PairAxis {
    std::int64_t n, a, b;
};
// Of operands that broadcast: axes of a sample, the last of which is the inner one, whose steps are 0 or 1;
// and an activation of the result. image: planes, rows and columns of a sample, or zeros where it is none.
StepPointer pair_step(Pair pair, Type type, std::vector<PairAxis> axes, const Extents& image, Activation activation,
                      int a, int b, int y);
// Rows of n elements: NormArgs says what becomes of them.
struct Norm {
    std::int64_t rows, n;
    const void *weight, *bias;
    double eps;
    bool centred;
};
StepPointer norm_step(const Norm& norm, Type type, int x, int y);
StepPointer activation_step(Type type, std::int64_t n, const Epilogue& finish, int x, int y);
// x * factors + summands, which have an entry for each place along the axis.
StepPointer scale_step(Type type, const Extents& of_sample, const void* factors, const void* summands, int x, int y);
StepPointer softmax_step(Type type, const Extents& of_sample, int x, int y);
// Entries in another order: axes of y, the inner one last, with elements of x from one entry to the next.
struct PermutedAxis {
    std::int64_t n, step;
};
StepPointer permute_step(Type type, std::vector<PermutedAxis> axes, int x, int y);
// The runs of x, `run_bytes` each, to places of y that lie `pitch_bytes` apart, from `first_byte` on.
struct CopyRuns {
    std::int64_t runs, run_bytes, first_byte, pitch_bytes;
};
StepPointer copy_step(const CopyRuns& runs, int x, int y);

// Of dense filters for a channel each: planes of filters (outputs, taps), where outputs are a multiple of the channels;
// of pixels (taps, channels).
StepPointer depthwise_step(Type type, const void* weights, const ImagesView& x_of_sample, const ImagesView& y_of_sample,
                           const Sliding& sliding, const Epilogue& finish, int x, int y);

// GRU or LSTM: `steps` of `batch` samples. Of inputs and outputs, step t of sample n is vector t * time_step + n *
// batch_step.
struct Recurrent {
    bool is_lstm, reverse, linear_before_reset;
    std::int64_t steps, batch, width, time_step, batch_step;
    const void* peephole;  // of LSTM: 3 * width, or none
};
// `gates`: what the inputs give. Values of -1 are none: states begin as zeros.
struct RecurrentValues {
    int gates, initial, initial_cell, y, last, last_cell;
};
// `product` takes value 0, the states, to value 1, and runs on `batch` samples.
StepPointer recurrent_step(const Recurrent& layer, Type type, StepPointer product, const RecurrentValues& at);

// What the host language computes: `call` gets the addresses of the values, in order; what it returns, if not 0, ends
// the program with HostFailure. The whole batch at once, on the thread that runs the program.
using HostCall = int (*)(void* context, unsigned char** values);
struct HostFailure : std::runtime_error {
    HostFailure() : std::runtime_error("a step of the host language failed") {}
};
StepPointer host_step(HostCall call, void* context, std::vector<int> values);

// Functions of BLAS, as Fortran has them.
using Gemm = void (*)(char*, char*, int*, int*, int*, void*, void*, int*, void*, int*, void*, void*, int*);
using Gemv = void (*)(char*, int*, int*, void*, void*, int*, void*, int*, void*, void*, int*);
struct Blas {
    Gemm gemm;
    Gemv gemv;
};
// y = epilogue(W x), W dense, row by row.
StepPointer dense_product_step(const Blas& blas, Type type, const void* weights, std::int64_t vectors,
                               std::int64_t inputs, std::int64_t outputs, const Epilogue& finish, int x, int y);
StepPointer dense_convolution_step(const Blas& blas, Type type, const void* filters, const ImagesView& x_of_sample,
                                   const ImagesView& y_of_sample, const Sliding& sliding, const Epilogue& finish, int x,
                                   int y);

// Rows of features for every sample and head, within one array: `step` elements from one row to the next, features
// together; or from one feature to the next, rows together.
struct HeadsView {
    std::int64_t first, sample, head, step;
    bool by_feature;
};
struct Attention {
    std::int64_t batch, heads, queries, keys, width, value_width;
    double scale;
    bool causal;                   // query i sees the keys up to i
    HeadsView q, k, v, out, mask;  // mask: a row for each query; by_feature: of one number for all keys
};
struct AttentionValues {
    int q, k, v, out, mask;  // mask: -1 where there is none
};
StepPointer attention_step(const Blas& blas, Type type, const Attention& layer, const AttentionValues& at);

}  // namespace cs
