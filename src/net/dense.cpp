// SPDX-License-Identifier: BSD-3-Clause
// Dense layers, on somebody else's BLAS: y = X W' for vectors, and for images whose columns are written out.
#include <algorithm>
#include <vector>

#include "kernels/registry.hpp"
#include "net/blas.hpp"
#include "tiles/patches.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

// y = a' x + beta y, a (k x m, column by column).
template <class T>
void multiply(Gemv gemv, std::int64_t k, std::int64_t m, const T* a, const T* x, T beta, T* y) {
    if (m == 0) return;
    char trans = 'T';
    int rows = static_cast<int>(k), cols = static_cast<int>(m), step = static_cast<int>(std::max<std::int64_t>(k, 1));
    int one_step = 1;
    T one = 1;
    gemv(&trans, &rows, &cols, &one, const_cast<T*>(a), &step, const_cast<T*>(x), &one_step, &beta, y, &one_step);
}

template <class T>
class DenseEnd {
   public:
    explicit DenseEnd(const Epilogue& finish)
        : bias_(static_cast<const T*>(finish.bias)),
          rest_{nullptr, finish.activation, finish.parameter},
          finish_(strongest_of(&Table::move, usable_levels(), type_of<T>).row->finish) {}

    // What gemm begins with: y[v, i] = bias[i], features together; or y[i, v].
    T begin(T* y, std::int64_t vectors, std::int64_t features, bool together) const {
        if (bias_ == nullptr) return 0;
        for (std::int64_t v = 0; together && v < vectors; ++v) std::copy_n(bias_, features, y + v * features);
        for (std::int64_t i = 0; !together && i < features; ++i) std::fill_n(y + i * vectors, vectors, bias_[i]);
        return 1;
    }
    void end(T* y, std::int64_t n) const {
        if (!rest_.changes_nothing()) finish_({y, y, 1, n, n, n, rest_});
    }

   private:
    const T* const bias_;
    const Epilogue rest_;
    const FinishFunction finish_;
};

template <class T>
class DenseProductStep final : public Step {
   public:
    DenseProductStep(const Blas& blas, const void* weights, std::int64_t vectors, std::int64_t inputs,
                     std::int64_t outputs, const Epilogue& finish, int x, int y)
        : blas_(blas),
          weights_(static_cast<const T*>(weights)),
          vectors_(vectors),
          inputs_(inputs),
          outputs_(outputs),
          end_(finish),
          x_(x),
          y_(y) {}

    void run(const Frame& frame) const override {
        const std::int64_t n = frame.samples.count * vectors_;
        T* const y = reinterpret_cast<T*>(frame.at(y_));
        const T beta = end_.begin(y, n, outputs_, true);
        const T* const x = reinterpret_cast<const T*>(frame.at(x_));
        // Of one vector gemm would pack all weights first. gemv of none leaves y as it is.
        if (n == 1 && inputs_ > 0)
            multiply(blas_.gemv, inputs_, outputs_, weights_, x, beta, y);
        else
            multiply_matrices<T>(blas_.gemm, {'T', weights_, inputs_}, {'N', x, inputs_}, outputs_, n, inputs_, T(1),
                                 beta, y, outputs_, frame.threads);
        end_.end(y, n * outputs_);
    }
    double work() const override { return static_cast<double>(vectors_ * inputs_ * outputs_); }

   private:
    const Blas blas_;
    const T* const weights_;
    const std::int64_t vectors_, inputs_, outputs_;
    const DenseEnd<T> end_;
    const int x_, y_;
};

template <class T>
class DenseConvolutionStep final : public Step {
   public:
    DenseConvolutionStep(const Blas& blas, const void* filters, const ImagesView& x_of_sample,
                         const ImagesView& y_of_sample, const Sliding& sliding, const Epilogue& finish, int x, int y)
        : blas_(blas),
          filters_(static_cast<const T*>(filters)),
          x_(x_of_sample),
          y_(y_of_sample),
          sliding_(sliding),
          end_(finish),
          x_at_(x),
          y_at_(y) {}

    void run(const Frame& frame) const override {
        ImagesView x = x_;
        x.data = frame.at(x_at_);
        x.images = frame.samples.count;
        T* y = reinterpret_cast<T*>(frame.at(y_at_));
        for (std::int64_t image = 0; image < x.images; ++image, y += y_.channels * sliding_.pixels())
            convolve(x, image, reinterpret_cast<T*>(frame.workspace.memory), y);
    }
    std::int64_t workspace_bytes(std::int64_t, int) const override {
        return in_place() ? 0 : inputs() * sliding_.pixels() * std::int64_t{sizeof(T)};
    }
    double work() const override { return static_cast<double>(y_.channels * inputs() * sliding_.pixels()); }

   private:
    std::int64_t inputs() const { return x_.channels * sliding_.taps(); }
    bool channels_last() const { return y_.channel_stride == 1; }
    // A kernel of one pixel meets the image as it lies.
    bool in_place() const {
        const Sliding& s = sliding_;
        return s.taps() == 1 && s.stride_rows == 1 && s.stride_cols == 1 && s.top == 0 && s.left == 0 &&
               s.out_rows == x_.height && s.out_cols == x_.width;
    }

    void convolve(const ImagesView& x, std::int64_t image, T* columns, T* y) const {
        const std::int64_t pixels = sliding_.pixels(), k = inputs(), m = y_.channels;
        const bool last = channels_last();
        const T* from = static_cast<const T*>(x.data) + image * x.image_stride;
        bool pixels_together = !last;  // rows of x are (channel, tap)
        if (!in_place()) {
            const PatchesView patches{&x, &sliding_, image};
            PatchesSource<T>(patches).pack_tile({0, k}, {0, pixels}, pixels, nullptr, columns);
            from = columns;
            pixels_together = true;
        }
        const T beta = end_.begin(y, pixels, m, last);
        if (last)
            multiply_matrices<T>(blas_.gemm, {'T', filters_, k},
                                 {pixels_together ? 'T' : 'N', from, pixels_together ? pixels : k}, m, pixels, k, T(1),
                                 beta, y, m);
        else
            multiply_matrices<T>(blas_.gemm, {'N', from, pixels}, {'N', filters_, k}, pixels, m, k, T(1), beta, y,
                                 pixels);
        end_.end(y, pixels * m);
    }

    const Blas blas_;
    const T* const filters_;
    const ImagesView x_, y_;
    const Sliding sliding_;
    const DenseEnd<T> end_;
    const int x_at_, y_at_;
};

}  // namespace

StepPointer dense_product_step(const Blas& blas, Type type, const void* weights, std::int64_t vectors,
                               std::int64_t inputs, std::int64_t outputs, const Epilogue& finish, int x, int y) {
    return of_blas(type, [&](auto zero) -> StepPointer {
        return std::make_unique<const DenseProductStep<decltype(zero)>>(blas, weights, vectors, inputs, outputs, finish,
                                                                        x, y);
    });
}

StepPointer dense_convolution_step(const Blas& blas, Type type, const void* filters, const ImagesView& x_of_sample,
                                   const ImagesView& y_of_sample, const Sliding& sliding, const Epilogue& finish, int x,
                                   int y) {
    return of_blas(type, [&](auto zero) -> StepPointer {
        return std::make_unique<const DenseConvolutionStep<decltype(zero)>>(blas, filters, x_of_sample, y_of_sample,
                                                                            sliding, finish, x, y);
    });
}

}  // namespace cs
