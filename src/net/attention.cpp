// SPDX-License-Identifier: BSD-3-Clause
// Attention: softmax(scale q k' + mask) v for every sample and head, where queries, keys and values lie. Products are
// somebody else's BLAS.
#include <algorithm>
#include <limits>

#include "base/parallel.hpp"
#include "kernels/arithmetic.hpp"
#include "kernels/registry.hpp"
#include "net/blas.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

constexpr std::int64_t block_bytes = std::int64_t{192} << 10;  // of scores at a time: they stay in L2
constexpr std::int64_t least_block = 16;                       // queries

template <class T>
class AttentionStep final : public Step {
   public:
    AttentionStep(const Blas& blas, const Attention& layer, const AttentionValues& at)
        : gemm_(blas.gemm),
          layer_(layer),
          at_(at),
          arithmetic_(*strongest_of(&Table::arithmetic, usable_levels(), type_of<T>).row),
          block_(std::min(layer.queries, std::max(least_block, block_bytes / (layer.keys * std::int64_t{sizeof(T)})))) {
    }

    void run(const Frame& frame) const override {
        const std::int64_t blocks = (layer_.queries + block_ - 1) / std::max<std::int64_t>(block_, 1);
        const std::int64_t tasks = layer_.batch * layer_.heads * blocks;
        if (tasks == 0) return;
        const auto threads = static_cast<int>(
            std::min<std::int64_t>({tasks, std::int64_t{choose_threads(work())}, std::int64_t{frame.threads},
                                    frame.workspace.bytes / scores_bytes()}));
        auto task = [&](std::int64_t number, int worker) {
            T* const scores = reinterpret_cast<T*>(frame.workspace.memory + worker * scores_bytes());
            const std::int64_t pair = number / blocks, first = number % blocks * block_;
            attend(frame, pair / layer_.heads, pair % layer_.heads, {first, std::min(block_, layer_.queries - first)},
                   scores);
        };
        parallel_for(tasks, threads, task);
    }
    std::int64_t workspace_bytes(std::int64_t, int threads) const override { return threads * scores_bytes(); }
    double work() const override {
        const auto pairs = static_cast<double>(layer_.batch * layer_.heads) * static_cast<double>(layer_.queries) *
                           static_cast<double>(layer_.keys);
        return pairs * static_cast<double>(layer_.width + layer_.value_width + 8);
    }

   private:
    std::int64_t scores_bytes() const {
        return round_to_lines(std::max<std::int64_t>(block_ * layer_.keys, 1) * std::int64_t{sizeof(T)}, 1);
    }
    const T* first(const Frame& frame, int value, const HeadsView& view, std::int64_t sample, std::int64_t head) const {
        return reinterpret_cast<const T*>(frame.at(value)) + view.first + sample * view.sample + head * view.head;
    }

    // Queries from rows.first on of one head: their scores are rows of keys.
    void attend(const Frame& frame, std::int64_t sample, std::int64_t head, Range rows, T* scores) const {
        const std::int64_t keys = layer_.keys;
        const HeadsView &q = layer_.q, &k = layer_.k, &v = layer_.v, &out = layer_.out;
        const T* const query = first(frame, at_.q, q, sample, head) + rows.first * (q.by_feature ? 1 : q.step);
        multiply_matrices<T>(gemm_, {k.by_feature ? 'N' : 'T', first(frame, at_.k, k, sample, head), k.step},
                             {q.by_feature ? 'T' : 'N', query, q.step}, keys, rows.count, layer_.width,
                             static_cast<T>(layer_.scale), T(0), scores, keys);
        for (std::int64_t i = 0; i < rows.count; ++i) {
            T* const of_query = scores + i * keys;
            if (at_.mask >= 0) {
                const HeadsView& mask = layer_.mask;
                const T* const summands = first(frame, at_.mask, mask, sample, head) + (rows.first + i) * mask.step;
                arithmetic_.add({of_query, summands, of_query, keys, false, mask.by_feature});
            }
            const std::int64_t seen = layer_.causal ? std::min(keys, rows.first + i + 1) : keys;
            arithmetic_.softmax({of_query, of_query, seen, 1});
            std::fill(of_query + seen, of_query + keys, T(0));
        }
        T* const to = const_cast<T*>(first(frame, at_.out, out, sample, head)) + rows.first * out.step;
        multiply_matrices<T>(gemm_, {v.by_feature ? 'T' : 'N', first(frame, at_.v, v, sample, head), v.step},
                             {'N', scores, keys}, layer_.value_width, rows.count, keys, T(1), T(0), to, out.step);
    }

    const Gemm gemm_;
    const Attention layer_;
    const AttentionValues at_;
    const ArithmeticRow& arithmetic_;
    const std::int64_t block_;  // queries at a time
};

}  // namespace

StepPointer attention_step(const Blas& blas, Type type, const Attention& layer, const AttentionValues& at) {
    return of_blas(type, [&](auto zero) -> StepPointer {
        return std::make_unique<const AttentionStep<decltype(zero)>>(blas, layer, at);
    });
}

}  // namespace cs
