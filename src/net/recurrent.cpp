// SPDX-License-Identifier: BSD-3-Clause
// Recurrent layers: what the inputs of all steps give comes from a product before them; here a step is a product of the
// state, and gates.
#include <algorithm>

#include "kernels/move.hpp"
#include "kernels/registry.hpp"
#include "net/steps.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

template <class T>
class RecurrentStep final : public Step {
   public:
    RecurrentStep(const Recurrent& layer, StepPointer product, const RecurrentValues& at)
        : layer_(layer),
          product_(std::move(product)),
          at_(at),
          finish_(strongest_of(&Table::move, usable_levels(), type_of<T>).row->finish),
          gates_((layer.is_lstm ? 4 : 3) * layer.width) {}

    void run(const Frame& frame) const override {
        T* const state = begin(frame, at_.initial, at_.last);
        T* const cell = layer_.is_lstm ? begin(frame, at_.initial_cell, at_.last_cell) : nullptr;
        T* const products = reinterpret_cast<T*>(frame.workspace.memory);
        T* const extra = products + layer_.batch * gates_;
        const Workspace rest{frame.workspace.memory + own_bytes(), frame.workspace.bytes - own_bytes()};
        const auto multiply = [&](const T* from) {
            const Place places[] = {{Memory::outside, 0, 0}, {Memory::outside, 1, 0}};
            unsigned char* const outside[] = {reinterpret_cast<unsigned char*>(const_cast<T*>(from)),
                                              reinterpret_cast<unsigned char*>(products)};
            product_->run({places, outside, nullptr, nullptr, {0, layer_.batch}, frame.threads, rest});
        };
        const T* const inputs = reinterpret_cast<const T*>(frame.at(at_.gates));
        T* const y = reinterpret_cast<T*>(frame.at(at_.y));
        for (std::int64_t step = 0; step < layer_.steps; ++step) {
            const std::int64_t first = (layer_.reverse ? layer_.steps - 1 - step : step) * layer_.time_step;
            const auto of_sample = [&](std::int64_t n) { return first + n * layer_.batch_step; };
            multiply(state);
            if (!layer_.is_lstm && !layer_.linear_before_reset) {
                for (std::int64_t n = 0; n < layer_.batch; ++n)
                    reset(inputs + of_sample(n) * gates_, products + n * gates_, state + n * layer_.width,
                          extra + n * layer_.width);
                multiply(extra + layer_.batch * layer_.width);
            }
            for (std::int64_t n = 0; n < layer_.batch; ++n) {
                const T* const input = inputs + of_sample(n) * gates_;
                T *const product = products + n * gates_, *const h = state + n * layer_.width;
                T* const more = extra + n * layer_.width;
                if (layer_.is_lstm)
                    lstm(input, product, h, cell + n * layer_.width, more);
                else
                    gru(input, product, h, more);
                std::copy_n(h, layer_.width, y + of_sample(n) * layer_.width);
            }
        }
    }
    std::int64_t workspace_bytes(std::int64_t, int threads) const override {
        return own_bytes() + product_->workspace_bytes(layer_.batch, threads);
    }
    double work() const override {
        return static_cast<double>(layer_.steps * layer_.batch) * (product_->work() + 20 * static_cast<double>(gates_));
    }

   private:
    // Products of all samples; then of each its update gate, or the tanh of its cell; then what is left of states.
    std::int64_t own_bytes() const {
        return round_to_lines(layer_.batch * (gates_ + 2 * layer_.width) * std::int64_t{sizeof(T)}, 1);
    }
    // The state lies where the last one is to lie.
    T* begin(const Frame& frame, int initial, int last) const {
        T* const state = reinterpret_cast<T*>(frame.at(last));
        const std::int64_t n = layer_.batch * layer_.width;
        if (initial >= 0)
            std::copy_n(reinterpret_cast<const T*>(frame.at(initial)), n, state);
        else
            std::fill_n(state, n, T{});
        return state;
    }
    void activate(Activation activation, T* v, std::int64_t n) const {
        finish_({v, v, 1, n, n, n, {nullptr, activation, 0}});
    }

    // Update gate to `update`; what the reset gate leaves of the state, behind all of those.
    void reset(const T* input, T* product, const T* state, T* update) const {
        const std::int64_t width = layer_.width;
        for (std::int64_t i = 0; i < 2 * width; ++i) product[i] += input[i];
        activate(Activation::sigmoid, product, 2 * width);
        std::copy_n(product, width, update);
        T* const left = update + layer_.batch * width;
        for (std::int64_t i = 0; i < width; ++i) left[i] = product[width + i] * state[i];
    }
    void gru(const T* input, T* product, T* state, const T* update) const {
        const std::int64_t width = layer_.width;
        T* const candidate = product + 2 * width;
        if (layer_.linear_before_reset) {
            for (std::int64_t i = 0; i < 2 * width; ++i) product[i] += input[i];
            activate(Activation::sigmoid, product, 2 * width);
            for (std::int64_t i = 0; i < width; ++i)
                candidate[i] = input[2 * width + i] + product[width + i] * candidate[i];
            update = product;
        } else {
            for (std::int64_t i = 0; i < width; ++i) candidate[i] += input[2 * width + i];
        }
        activate(Activation::tanh, candidate, width);
        for (std::int64_t i = 0; i < width; ++i) state[i] = update[i] * state[i] + (1 - update[i]) * candidate[i];
    }
    // Gates in the order input, output, forget, cell.
    void lstm(const T* input, T* product, T* state, T* cell, T* bent) const {
        const std::int64_t width = layer_.width;
        const T* const peephole = static_cast<const T*>(layer_.peephole);
        T *const out = product + width, *const forget = out + width, *const candidate = forget + width;
        for (std::int64_t i = 0; i < 4 * width; ++i) product[i] += input[i];
        for (std::int64_t i = 0; peephole != nullptr && i < width; ++i) {
            product[i] += peephole[i] * cell[i];
            forget[i] += peephole[2 * width + i] * cell[i];
        }
        activate(Activation::sigmoid, product, width);
        activate(Activation::sigmoid, forget, width);
        activate(Activation::tanh, candidate, width);
        for (std::int64_t i = 0; i < width; ++i) {
            cell[i] = forget[i] * cell[i] + product[i] * candidate[i];
            bent[i] = cell[i];
            if (peephole != nullptr) out[i] += peephole[width + i] * cell[i];
        }
        activate(Activation::sigmoid, out, width);
        activate(Activation::tanh, bent, width);
        for (std::int64_t i = 0; i < width; ++i) state[i] = out[i] * bent[i];
    }

    const Recurrent layer_;
    const StepPointer product_;
    const RecurrentValues at_;
    const FinishFunction finish_;
    const std::int64_t gates_;  // of a sample and step, all together
};

}  // namespace

StepPointer recurrent_step(const Recurrent& layer, Type type, StepPointer product, const RecurrentValues& at) {
    if (type == Type::f32) return std::make_unique<const RecurrentStep<float>>(layer, std::move(product), at);
    return std::make_unique<const RecurrentStep<double>>(layer, std::move(product), at);
}

}  // namespace cs
