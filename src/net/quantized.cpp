// SPDX-License-Identifier: BSD-3-Clause
#include "net/quantized.hpp"

#include <algorithm>

#include "kernels/registry.hpp"

namespace cs {
namespace {

// body(T{}) for the 8-bit type that `type` names.
template <class Body>
void of_8_bits(Type type, Body body) {
    if (type == Type::u8)
        body(std::uint8_t{});
    else
        body(std::int8_t{});
}

// Likewise for the types of sums.
template <class Body>
void of_sums(Type type, Body body) {
    if (type == Type::f32)
        body(float{});
    else
        body(std::int32_t{});
}

class QuantizeStep final : public Step {
   public:
    QuantizeStep(const Quantized& y_is, std::int64_t n, int x, int y)
        : function_(strongest_of(&Table::requantize, usable_levels(), y_is.type).row->quantize),
          y_is_(y_is),
          n_(n),
          x_(x),
          y_(y) {}

    void run(const Frame& frame) const override {
        function_({frame.at(x_), frame.at(y_), frame.samples.count * n_, y_is_.scale, y_is_.zero_point});
    }
    double work() const override { return static_cast<double>(n_); }

   private:
    const QuantizeFunction function_;
    const Quantized y_is_;
    const std::int64_t n_;
    const int x_, y_;
};

class DequantizeStep final : public Step {
   public:
    DequantizeStep(const Quantized& x_is, std::int64_t n, int x, int y) : x_is_(x_is), n_(n), x_(x), y_(y) {}

    void run(const Frame& frame) const override {
        auto* const to = reinterpret_cast<float*>(frame.at(y_));
        of_8_bits(x_is_.type, [&](auto zero) {
            const auto* const from = reinterpret_cast<const decltype(zero)*>(frame.at(x_));
            for (std::int64_t i = 0; i < frame.samples.count * n_; ++i)
                to[i] = x_is_.scale * static_cast<float>(from[i] - x_is_.zero_point);
        });
    }
    double work() const override { return static_cast<double>(n_); }

   private:
    const Quantized x_is_;
    const std::int64_t n_;
    const int x_, y_;
};

class ClipStep final : public Step {
   public:
    ClipStep(Type type, std::int64_t n, std::int32_t least, std::int32_t most, int x, int y)
        : type_(type), n_(n), least_(least), most_(most), x_(x), y_(y) {}

    void run(const Frame& frame) const override {
        of_8_bits(type_, [&](auto zero) {
            using T = decltype(zero);
            const T* const from = reinterpret_cast<const T*>(frame.at(x_));
            T* const to = reinterpret_cast<T*>(frame.at(y_));
            const T least = static_cast<T>(least_), most = static_cast<T>(most_);
            for (std::int64_t i = 0; i < frame.samples.count * n_; ++i) to[i] = std::clamp(from[i], least, most);
        });
    }
    double work() const override { return 0.1 * static_cast<double>(n_); }

   private:
    const Type type_;
    const std::int64_t n_;
    const std::int32_t least_, most_;
    const int x_, y_;
};

class WidenStep final : public Step {
   public:
    WidenStep(const Frayed& of_sample, int x, int y) : x_is_(of_sample), x_(x), y_(y) {}

    void run(const Frame& frame) const override {
        of_8_bits(x_is_.type, [&](auto zero) {
            const auto* const from = reinterpret_cast<const decltype(zero)*>(frame.at(x_));
            of_sums(x_is_.to, [&](auto wide) {
                widen(from, reinterpret_cast<decltype(wide)*>(frame.at(y_)), frame.samples.count * x_is_.planes);
            });
        });
    }
    double work() const override { return 0.1 * static_cast<double>(x_is_.planes * padded_rows() * padded_cols()); }

   private:
    std::int64_t padded_rows() const { return x_is_.top + x_is_.rows + x_is_.bottom; }
    std::int64_t padded_cols() const { return (x_is_.left + x_is_.cols + x_is_.right) * x_is_.inner; }

    template <class T, class Wide>
    void widen(const T* from, Wide* to, std::int64_t planes) const {
        const auto value = static_cast<Wide>(x_is_.value);
        const std::int64_t line = x_is_.cols * x_is_.inner, left = x_is_.left * x_is_.inner;
        const std::int64_t right = x_is_.right * x_is_.inner, around = padded_cols();
        if (padded_rows() == x_is_.rows && around == line) {
            std::copy_n(from, planes * x_is_.rows * line, to);
            return;
        }
        for (std::int64_t plane = 0; plane < planes; ++plane) {
            to = std::fill_n(to, x_is_.top * around, value);
            for (std::int64_t row = 0; row < x_is_.rows; ++row, from += line) {
                to = std::fill_n(to, left, value);
                to = std::copy_n(from, line, to);
                to = std::fill_n(to, right, value);
            }
            to = std::fill_n(to, x_is_.bottom * around, value);
        }
    }

    const Frayed x_is_;
    const int x_, y_;
};

class WidenWinnersStep final : public Step {
   public:
    WidenWinnersStep(Type type, Type to, const WinnersAt& x, int y) : type_(type), to_(to), x_(x), y_(x) {
        y_.values = y;
    }

    void run(const Frame& frame) const override {
        const WinnersView from = x_.view(frame), to = y_.view(frame);
        const std::int64_t first = from.starts[0], count = from.starts[from.vectors] - first;
        of_8_bits(type_, [&](auto zero) {
            const auto* const values = static_cast<const decltype(zero)*>(from.values) + first;
            of_sums(to_, [&](auto wide) {
                std::copy_n(values, count, static_cast<decltype(wide)*>(const_cast<void*>(to.values)) + first);
            });
        });
    }
    double work() const override { return 0.1 * static_cast<double>(x_.vectors * x_.most); }

   private:
    const Type type_, to_;
    const WinnersAt x_;
    WinnersAt y_;
};

class OutputsStep final : public Step {
   public:
    OutputsStep(const Outputs& of_sample, int sums, int y) : outputs_(of_sample), sums_(sums), y_(y) {}

    void run(const Frame& frame) const override {
        RequantizeArgs args = outputs_.how;
        args.sums = frame.at(sums_);
        args.to = frame.at(y_);
        args.rows *= frame.samples.count;
        if (outputs_.units.units != nullptr)
            real_outputs(args, outputs_.units, outputs_.type);
        else
            requantize(args, outputs_.type, frame.threads);
    }
    double work() const override { return 2 * static_cast<double>(outputs_.how.rows * outputs_.how.cols); }

   private:
    const Outputs outputs_;
    const int sums_, y_;
};

}  // namespace

StepPointer quantize_step(const Quantized& y_is, std::int64_t n, int x, int y) {
    return std::make_unique<const QuantizeStep>(y_is, n, x, y);
}

StepPointer dequantize_step(const Quantized& x_is, std::int64_t n, int x, int y) {
    return std::make_unique<const DequantizeStep>(x_is, n, x, y);
}

StepPointer clip_step(Type type, std::int64_t n, std::int32_t least, std::int32_t most, int x, int y) {
    return std::make_unique<const ClipStep>(type, n, least, most, x, y);
}

StepPointer widen_step(const Frayed& of_sample, int x, int y) {
    return std::make_unique<const WidenStep>(of_sample, x, y);
}

StepPointer widen_winners_step(Type type, Type to, const WinnersAt& x, int y) {
    return std::make_unique<const WidenWinnersStep>(type, to, x, y);
}

StepPointer outputs_step(const Outputs& of_sample, int sums, int y) {
    return std::make_unique<const OutputsStep>(of_sample, sums, y);
}

}  // namespace cs
