// SPDX-License-Identifier: BSD-3-Clause
// What is done to values element by element, or along one axis; and copies. Samples have threads of their own; within
// one, sums of images have them, because its rows lie in the caches of the threads that made them, and the rest is done
// on one: it is bound by the memory between the layers.
#include "kernels/arithmetic.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/move.hpp"
#include "kernels/names.hpp"
#include "kernels/registry.hpp"
#include "net/rows.hpp"
#include "net/steps.hpp"
#include "tiles/work.hpp"

namespace cs {

RowName row_name(const ArithmeticRow& row) { return {nullptr, "dense", name_of(row.type), "", 1, 1}; }

namespace {

const ArithmeticRow& arithmetic_of(Type type) { return *strongest_of(&Table::arithmetic, usable_levels(), type).row; }

class PairStep final : public Step, public RowsStep {
   public:
    PairStep(PairFunction function, Type type, std::vector<PairAxis> axes, const PlanesOfSample& planes,
             Activation activation, int a, int b, int y)
        : function_(function),
          finish_rows_(strongest_of(&Table::move, usable_levels(), type).row->finish),
          bytes_(bytes_of(type)),
          axes_(std::move(axes)),
          planes_(planes),
          a_(a),
          b_(b),
          y_(y) {
        finish_.activation = activation;
        finish_.parameter = default_parameter(activation);
    }

    void run(const Frame& frame) const override {
        const int threads = frame.threads == 1 ? 1 : std::min(frame.threads, choose_threads(cost_of_pair * work()));
        if (run_shares_of_rows(by_rows(), frame, threads)) return;
        Frame one = frame;
        one.samples.count = 1;
        for (std::int64_t i = 0; i < frame.samples.count; ++i, ++one.samples.first) {
            unsigned char* to = one.at(y_);
            along(0, one.at(a_), one.at(b_), to);
        }
    }
    double work() const override {
        double n = 1;
        for (const PairAxis& axis : axes_) n *= static_cast<double>(axis.n);
        return n;
    }

    const RowsStep* by_rows() const override {
        const bool alike = axes_.size() == 1 && axes_[0].a == 1 && axes_[0].b == 1;
        return alike && planes_.planes > 0 ? this : nullptr;
    }
    PlanesOfSample x_planes() const override { return planes_; }
    PlanesOfSample y_planes() const override { return planes_; }
    Range rows_of_x(Range rows) const override { return rows; }
    std::int64_t most_rows_of_x(std::int64_t rows) const override { return rows; }
    void run_rows(const Frame& frame, Range rows, const BandOf& x, const BandOf& y) const override {
        const RowsAt a = x.of(frame, a_, planes_), b = x.of(frame, b_, planes_), to = y.of(frame, y_, planes_);
        const std::int64_t first = rows.first, n = rows.count * planes_.row_bytes / bytes_;
        for (std::int64_t i = 0; i < planes_.planes; ++i)
            run_of(n, {1, 1, 1}, a.row(first, planes_) + i * a.plane_bytes, b.row(first, planes_) + i * b.plane_bytes,
                   to.row(first, planes_) + i * to.plane_bytes);
    }
    std::int64_t workspace_bytes_of_rows(std::int64_t) const override { return 0; }

   private:
    static constexpr double cost_of_pair = 3;  // in multiplications: two loads and a store each

    void run_of(std::int64_t count, const PairAxis& axis, const unsigned char* a, const unsigned char* b,
                unsigned char* to) const {
        // An activation finds in L1 what it is for.
        const std::int64_t each = finish_.changes_nothing() ? count : 2048;
        for (std::int64_t i = 0, n; i < count; i += n, to += n * bytes_) {
            n = std::min(each, count - i);
            function_({a + i * axis.a * bytes_, b + i * axis.b * bytes_, to, n, axis.a == 0, axis.b == 0});
            if (!finish_.changes_nothing()) finish_rows_({to, to, 1, n, n, n, finish_});
        }
    }
    void along(std::size_t at, const unsigned char* a, const unsigned char* b, unsigned char*& to) const {
        const PairAxis& axis = axes_[at];
        if (at + 1 == axes_.size()) {
            run_of(axis.n, axis, a, b, to);
            to += axis.n * bytes_;
            return;
        }
        for (std::int64_t i = 0; i < axis.n; ++i, a += axis.a * bytes_, b += axis.b * bytes_) along(at + 1, a, b, to);
    }

    const PairFunction function_;
    const FinishFunction finish_rows_;
    Epilogue finish_;
    const std::int64_t bytes_;
    const std::vector<PairAxis> axes_;
    const PlanesOfSample planes_;
    const int a_, b_, y_;
};

class NormStep final : public Step {
   public:
    NormStep(const Norm& norm, Type type, int x, int y)
        : function_(arithmetic_of(type).norm), norm_(norm), x_(x), y_(y) {}

    void run(const Frame& frame) const override {
        function_({frame.at(x_), norm_.weight, norm_.bias, frame.at(y_), norm_.rows * frame.samples.count, norm_.n,
                   norm_.eps, norm_.centred});
    }
    double work() const override { return 3 * static_cast<double>(norm_.rows * norm_.n); }

   private:
    const NormFunction function_;
    const Norm norm_;
    const int x_, y_;
};

class ActivationStep final : public Step {
   public:
    ActivationStep(Type type, std::int64_t n, const Epilogue& finish, int x, int y)
        : finish_rows_(strongest_of(&Table::move, usable_levels(), type).row->finish),
          n_(n),
          finish_(finish),
          x_(x),
          y_(y) {}

    void run(const Frame& frame) const override {
        const std::int64_t n = frame.samples.count * n_;
        finish_rows_({frame.at(x_), frame.at(y_), 1, n, n, n, finish_});
    }
    double work() const override { return 2 * static_cast<double>(n_); }

   private:
    const FinishFunction finish_rows_;
    const std::int64_t n_;
    const Epilogue finish_;
    const int x_, y_;
};

class ScaleStep final : public Step {
   public:
    ScaleStep(Type type, const Extents& of_sample, const void* factors, const void* summands, int x, int y)
        : function_(arithmetic_of(type).scale),
          bytes_(bytes_of(type)),
          of_sample_(of_sample),
          factors_(factors),
          summands_(summands),
          x_(x),
          y_(y) {}

    void run(const Frame& frame) const override {
        const auto& [outer, n, inner] = of_sample_;
        const unsigned char* const from = frame.at(x_);
        unsigned char* const to = frame.at(y_);
        const std::int64_t all = outer * frame.samples.count;
        if (inner == 1) return function_({from, factors_, summands_, to, all, n, true});
        for (std::int64_t i = 0; i < all; ++i) {
            const std::int64_t at = i * n * inner * bytes_;
            function_({from + at, factors_, summands_, to + at, n, inner, false});
        }
    }
    double work() const override { return static_cast<double>(of_sample_.size()); }

   private:
    const ScaleFunction function_;
    const int bytes_;
    const Extents of_sample_;
    const void *const factors_, *const summands_;
    const int x_, y_;
};

class SoftmaxStep final : public Step {
   public:
    SoftmaxStep(Type type, const Extents& of_sample, int x, int y)
        : function_(arithmetic_of(type).softmax), bytes_(bytes_of(type)), of_sample_(of_sample), x_(x), y_(y) {}

    void run(const Frame& frame) const override {
        const auto& [outer, n, inner] = of_sample_;
        const unsigned char* const from = frame.at(x_);
        unsigned char* const to = frame.at(y_);
        for (std::int64_t i = 0; i < outer * frame.samples.count; ++i) {
            const std::int64_t at = i * n * inner * bytes_;
            function_({from + at, to + at, n, inner});
        }
    }
    double work() const override { return 8 * static_cast<double>(of_sample_.size()); }

   private:
    const SoftmaxFunction function_;
    const int bytes_;
    const Extents of_sample_;
    const int x_, y_;
};

class CopyStep final : public Step {
   public:
    CopyStep(const CopyRuns& runs, int x, int y) : runs_(runs), x_(x), y_(y) {}

    void run(const Frame& frame) const override {
        const unsigned char* from = frame.at(x_);
        unsigned char* to = frame.at(y_) + runs_.first_byte;
        const auto length = static_cast<std::size_t>(runs_.run_bytes);
        for (std::int64_t i = 0; i < runs_.runs * frame.samples.count; ++i) {
            if (length > 0) std::memcpy(to, from, length);
            from += runs_.run_bytes;
            to += runs_.pitch_bytes;
        }
    }
    double work() const override { return 0.1 * static_cast<double>(runs_.runs * runs_.run_bytes); }

   private:
    const CopyRuns runs_;
    const int x_, y_;
};

template <class T>
class PermuteStep final : public Step {
   public:
    PermuteStep(std::vector<PermutedAxis> axes, int x, int y) : axes_(std::move(axes)), x_(x), y_(y) {}

    void run(const Frame& frame) const override {
        Frame one = frame;
        one.samples.count = 1;
        for (std::int64_t i = 0; i < frame.samples.count; ++i, ++one.samples.first) {
            T* to = reinterpret_cast<T*>(one.at(y_));
            along(0, reinterpret_cast<const T*>(one.at(x_)), to);
        }
    }
    double work() const override {
        double n = 1;
        for (const PermutedAxis& axis : axes_) n *= static_cast<double>(axis.n);
        return n;
    }

   private:
    void along(std::size_t at, const T* from, T*& to) const {
        const auto& [n, step] = axes_[at];
        if (at + 1 < axes_.size()) {
            if (at + 2 == axes_.size() && axes_[at + 1].n < n) return across(axes_[at], axes_[at + 1], from, to);
            for (std::int64_t i = 0; i < n; ++i, from += step) along(at + 1, from, to);
            return;
        }
        for (std::int64_t i = 0; i < n; ++i) to[i] = from[i * step];
        to += n;
    }

    // Two axes of which the inner one is the shorter: it goes around the other.
    void across(const PermutedAxis& outer, const PermutedAxis& inner, const T* from, T*& to) const {
        if (inner.n == 2 && outer.step == 1) return alternate(outer.n, from, from + inner.step, to);
        for (std::int64_t j = 0; j < inner.n; ++j, from += inner.step)
            for (std::int64_t i = 0; i < outer.n; ++i) to[i * inner.n + j] = from[i * outer.step];
        to += outer.n * inner.n;
    }

    // Entries of two runs by turns, as whole vectors.
    static void alternate(std::int64_t n, const T* __restrict even, const T* __restrict odd, T*& end) {
        T* __restrict to = end;
        for (std::int64_t i = 0; i < n; ++i) {
            to[2 * i] = even[i];
            to[2 * i + 1] = odd[i];
        }
        end += 2 * n;
    }

    const std::vector<PermutedAxis> axes_;
    const int x_, y_;
};

}  // namespace

StepPointer pair_step(Pair pair, Type type, std::vector<PairAxis> axes, const Extents& image, Activation activation,
                      int a, int b, int y) {
    const ArithmeticRow& row = arithmetic_of(type);
    const PairFunction functions[] = {row.add,    row.multiply, row.subtract, row.divide,
                                      row.larger, row.smaller,  row.slope};
    const PlanesOfSample planes{image.outer, image.n, image.inner * bytes_of(type)};
    return std::make_unique<const PairStep>(functions[static_cast<int>(pair)], type, std::move(axes), planes,
                                            activation, a, b, y);
}

StepPointer norm_step(const Norm& norm, Type type, int x, int y) {
    return std::make_unique<const NormStep>(norm, type, x, y);
}

StepPointer activation_step(Type type, std::int64_t n, const Epilogue& finish, int x, int y) {
    return std::make_unique<const ActivationStep>(type, n, finish, x, y);
}

StepPointer scale_step(Type type, const Extents& of_sample, const void* factors, const void* summands, int x, int y) {
    return std::make_unique<const ScaleStep>(type, of_sample, factors, summands, x, y);
}

StepPointer softmax_step(Type type, const Extents& of_sample, int x, int y) {
    return std::make_unique<const SoftmaxStep>(type, of_sample, x, y);
}

StepPointer permute_step(Type type, std::vector<PermutedAxis> axes, int x, int y) {
    if (type == Type::f32) return std::make_unique<const PermuteStep<float>>(std::move(axes), x, y);
    return std::make_unique<const PermuteStep<double>>(std::move(axes), x, y);
}

StepPointer copy_step(const CopyRuns& runs, int x, int y) { return std::make_unique<const CopyStep>(runs, x, y); }

}  // namespace cs
