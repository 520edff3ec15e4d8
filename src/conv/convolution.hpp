// SPDX-License-Identifier: BSD-3-Clause
// Convolutions: ways to slide a matrix of filters over images, and the choice of one for a geometry.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/epilogue.hpp"
#include "base/views.hpp"
#include "base/workspace.hpp"
#include "kernels/interleave.hpp"
#include "layouts/layout.hpp"
#include "layouts/matrix.hpp"

namespace cs {

// What a convolution is bound to; the number of images and the strides of x and y are not.
struct ConvShape {
    Types types{};
    std::int64_t channels, height, width;
    Sliding sliding{};
    bool channels_last = false;  // how x and y lie, as far as is known: any strides are served
    bool deterministic = false;
    // Elements are quads of 8-bit numbers, as conv/quads.cpp makes them: of signed weights, of unsigned activations.
    bool of_quads = false;

    // What micro-kernels for it are listed by.
    Types loops() const { return of_quads ? Types{Type::s8, Type::u8, Type::s32} : types; }

    // Whether the patch of an output pixel is one pixel, in order: the image is the matrix that is multiplied.
    bool is_pixelwise() const {
        const Sliding& s = sliding;
        return s.taps() == 1 && s.stride_rows == 1 && s.stride_cols == 1 && s.top == 0 && s.left == 0 &&
               s.out_rows == height && s.out_cols == width;
    }
};

// Windows of a pool, side by side.
struct PoolWindow {
    std::int64_t rows = 1, cols = 1;
    bool is_one_pixel() const { return rows * cols == 1; }
};

// Images of 8-bit numbers of which four channels are to be one; each number ^ flip.
struct Interleaving {
    ImagesView bytes;
    std::uint8_t flip;
    const InterleaveRow* row;
};

// y has a channel for each row of the filters, and out_rows * out_cols pixels. x and y do not overlap.
struct ConvOperands {
    ImagesView x, y;
    Epilogue finish;
    const WinnersView* winners = nullptr;  // instead of x, whose sizes count all the same
    std::int32_t pad = 0;                  // what lies around images of integers
    // For a way that takes_rows(): x and y begin with these rows of the image and of the outputs, and have what the
    // outputs that there are need.
    std::int64_t x_first = 0, y_first = 0;
    // y has the largest output of each window, for a way that pools(); outputs that fill none are left out.
    PoolWindow pool{};
    // y is of 8 bits, for a way that requantizes(); finish asks for nothing.
    const Requantizing* requantizing = nullptr;
    // x has no data, but comes from these, for a way that interleaves().
    std::optional<Interleaving> interleaving{};

    bool has_no_outputs() const { return y.images == 0 || y.channels == 0 || y.height == 0 || y.width == 0; }
};

// One way, for one matrix of filters and one shape: columns of the filters are (channel, tap) pairs, taps row by row.
class Convolution {
   public:
    virtual ~Convolution() = default;
    Convolution(const Convolution&) = delete;
    Convolution& operator=(const Convolution&) = delete;

    // The workspace has at least the bytes that are said here, for these operands and as many threads.
    virtual void run(const ConvOperands& operands, int threads, Workspace workspace) const = 0;
    virtual std::int64_t workspace_bytes(const ConvOperands& operands, int threads) const = 0;
    // Whether outputs of 8 bits can be asked for.
    virtual bool requantizes() const { return false; }
    // Whether images can be interleaved as they are read.
    virtual bool interleaves() const { return false; }
    // Whether the largest outputs of windows can be asked for, and that costs less than a pool of the outputs.
    virtual bool pools(PoolWindow) const { return false; }
    // Whether some rows of the outputs can be asked for.
    virtual bool takes_rows() const { return false; }
    // Of what was derived for this way alone.
    virtual std::int64_t layout_bytes() const { return 0; }
    // Multiplications, and what costs as much: of so many images; of so many winners of them together.
    double work(std::int64_t images) const;
    double work_of_winners(double winners, std::int64_t images) const;
    // How many threads the operands are worth.
    int threads_for(const ConvOperands& operands) const;

    const ConvShape& shape() const { return shape_; }
    const Sliding& sliding() const { return shape_.sliding; }
    const std::string& name() const { return name_; }      // of the micro-kernel
    const std::string& reason() const { return reason_; }  // why, in words

   protected:
    Convolution(const Matrix& matrix, const ConvShape& shape, std::string name, std::string reason)
        : matrix_(matrix), shape_(shape), name_(std::move(name)), reason_(std::move(reason)) {}

    const Matrix& matrix() const { return matrix_; }

   private:
    const Matrix& matrix_;
    const ConvShape shape_;
    const std::string name_, reason_;
};

// A way: what it is called, what it costs (asked under the lock of the matrix), how it is made.
struct ConvWay {
    const char* name;
    // Cycles per image, about; nothing where the pattern or the shape is not for it.
    std::optional<double> (*cost)(Subject& subject, const ConvShape& shape);
    std::unique_ptr<const Convolution> (*build)(const Matrix& matrix, const ConvShape& shape);
};

const std::vector<const ConvWay*>& conv_ways();

struct ConvCandidate {
    const char* way;
    double cost;
};
// By ascending cost.
std::vector<ConvCandidate> conv_candidates(const Matrix& matrix, const ConvShape& shape);
// candidate: which of them; -1: the first. The matrix must outlive it. May throw std::bad_alloc; std::out_of_range
// where there is no such candidate.
std::unique_ptr<const Convolution> make_convolution(const Matrix& matrix, const ConvShape& shape, int candidate = -1);

}  // namespace cs
