// SPDX-License-Identifier: BSD-3-Clause
// Contests, and what becomes of winners.
#include "ops/winners.hpp"

#include <algorithm>
#include <cstring>

#include "base/parallel.hpp"
#include "net/steps.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

class ContestStep final : public Step {
   public:
    ContestStep(const Contest& contest, const Extents& of_sample, int x, const WinnersAt& y)
        : contest_(contest), of_sample_(of_sample), x_(x), y_(y) {}

    void run(const Frame& frame) const override {
        const std::int64_t k = contest_.k, vectors = frame.samples.count * y_.vectors;
        auto* const starts = reinterpret_cast<std::int64_t*>(frame.at(y_.starts));
        unsigned char* const values = frame.at(y_.values);
        auto* const indices = reinterpret_cast<std::int32_t*>(frame.at(y_.indices));
        if (vectors == 0 || k == 0) {
            std::fill_n(starts, vectors + 1, 0);
            return;
        }
        const std::int64_t outer = frame.samples.count * of_sample_.outer;
        const int threads =
            frame.threads == 1
                ? 1
                : static_cast<int>(std::min<std::int64_t>(
                      frame.threads, choose_threads(cost_of_competitor * static_cast<double>(vectors * of_sample_.n))));
        // Tasks of whole outer extents; of few of them the calling thread has all.
        const std::int64_t tasks = threads == 1 ? 1 : std::min<std::int64_t>(outer, 4 * threads);
        const std::int64_t room = scratch_bytes(outer);
        auto body = [&](std::int64_t task, int worker) {
            const std::int64_t first = outer * task / tasks, count = outer * (task + 1) / tasks - first;
            const std::int64_t vector = first * of_sample_.inner;
            const std::int64_t at = first * of_sample_.n * of_sample_.inner * bytes_of(contest_.type);
            compete_in(frame.workspace.memory + worker * room, of_outers(frame.at(x_) + at, count),
                       values + vector * k * bytes_of(contest_.type), indices + vector * k, starts + 1 + vector);
        };
        parallel_for(tasks, threads, body);
        join_winners(contest_, vectors, values, indices, starts);
    }

    std::int64_t workspace_bytes(std::int64_t samples, int threads) const override {
        return threads * scratch_bytes(samples * of_sample_.outer);
    }

    double work() const override { return cost_of_competitor * static_cast<double>(of_sample_.size()); }

   private:
    // Tasks of fewer vectors may have another micro-kernel.
    std::int64_t scratch_bytes(std::int64_t outer) const {
        return std::max(contest_scratch_bytes(of_outers(nullptr, 1)), contest_scratch_bytes(of_outers(nullptr, outer)));
    }

    Contest of_outers(const void* data, std::int64_t outer) const {
        Contest some = contest_;
        some.x = {data, outer, of_sample_.inner, of_sample_.n, of_sample_.n * of_sample_.inner, 1, of_sample_.inner};
        return some;
    }

    const Contest contest_;
    const Extents of_sample_;
    const int x_;
    const WinnersAt y_;
};

class ExpandStep final : public Step {
   public:
    ExpandStep(const WinnersAt& x, Type type, std::int64_t inner, int y)
        : x_(x), bytes_(bytes_of(type)), inner_(inner), y_(y) {}

    void run(const Frame& frame) const override {
        unsigned char* const dense = frame.at(y_);
        std::memset(dense, 0, static_cast<std::size_t>(frame.samples.count * x_.vectors * x_.length * bytes_));
        expand(x_.view(frame), bytes_, dense, inner_);
    }

    double work() const override { return 0.5 * static_cast<double>(x_.vectors * x_.length); }

   private:
    const WinnersAt x_;
    const int bytes_;
    const std::int64_t inner_;
    const int y_;
};

class FlattenStep final : public Step {
   public:
    FlattenStep(const WinnersAt& x, Type type, std::int64_t inner, const WinnersAt& y)
        : x_(x), bytes_(bytes_of(type)), inner_(inner), y_(y) {}

    void run(const Frame& frame) const override {
        const WinnersView from = x_.view(frame);
        auto* const starts = reinterpret_cast<std::int64_t*>(frame.at(y_.starts));
        auto* const indices = reinterpret_cast<std::int32_t*>(frame.at(y_.indices));
        unsigned char* const values = frame.at(y_.values);
        auto* const places = reinterpret_cast<std::int64_t*>(frame.workspace.memory);
        starts[0] = 0;
        dispatch_width(bytes_, [&](auto word) {
            using Word = decltype(word);
            for (std::int64_t sample = 0; sample < frame.samples.count; ++sample) {
                const std::int64_t begin = starts[sample];
                const std::int64_t count =
                    inner_ == 1
                        ? follow<Word>(from, sample, indices + begin, reinterpret_cast<Word*>(values) + begin)
                        : sort<Word>(from, sample, places, indices + begin, reinterpret_cast<Word*>(values) + begin);
                starts[sample + 1] = begin + count;
            }
        });
    }

    std::int64_t workspace_bytes(std::int64_t, int) const override {
        return inner_ == 1 ? 0 : x_.length * std::int64_t{sizeof(std::int64_t)};
    }

    double work() const override { return 4 * static_cast<double>(x_.vectors * x_.most); }

   private:
    // Vectors lie one behind the other.
    template <class Word>
    std::int64_t follow(const WinnersView& from, std::int64_t sample, std::int32_t* indices, Word* values) const {
        const std::int64_t first = sample * x_.vectors, begin = from.starts[first];
        for (std::int64_t v = 0; v < x_.vectors; ++v)
            for (std::int64_t at = from.starts[first + v]; at < from.starts[first + v + 1]; ++at)
                indices[at - begin] = static_cast<std::int32_t>(v * x_.length + from.indices[at]);
        const std::int64_t count = from.starts[first + x_.vectors] - begin;
        std::copy_n(static_cast<const Word*>(from.values) + begin, count, values);
        return count;
    }

    // Vectors lie side by side: winners are counted by their place, which leaves those of one place in order.
    template <class Word>
    std::int64_t sort(const WinnersView& from, std::int64_t sample, std::int64_t* places, std::int32_t* indices,
                      Word* values) const {
        const std::int64_t first = sample * x_.vectors;
        const std::int64_t begin = from.starts[first], end = from.starts[first + x_.vectors];
        std::fill_n(places, x_.length, 0);
        for (std::int64_t at = begin; at < end; ++at) ++places[from.indices[at]];
        std::int64_t before = 0;
        for (std::int64_t i = 0; i < x_.length; ++i) before += std::exchange(places[i], before);
        for (std::int64_t v = 0; v < x_.vectors; ++v)
            for (std::int64_t at = from.starts[first + v]; at < from.starts[first + v + 1]; ++at) {
                const std::int64_t to = places[from.indices[at]]++;
                indices[to] = static_cast<std::int32_t>(from.indices[at] * x_.vectors + v);
                values[to] = static_cast<const Word*>(from.values)[at];
            }
        return end - begin;
    }

    const WinnersAt x_;
    const int bytes_;
    const std::int64_t inner_;
    const WinnersAt y_;
};

}  // namespace

StepPointer contest_step(const Contest& contest, const Extents& of_sample, int x, const WinnersAt& y) {
    return std::make_unique<const ContestStep>(contest, of_sample, x, y);
}

StepPointer expand_step(const WinnersAt& x, Type type, std::int64_t inner, int y) {
    return std::make_unique<const ExpandStep>(x, type, inner, y);
}

StepPointer flatten_step(const WinnersAt& x, Type type, std::int64_t inner, const WinnersAt& y) {
    return std::make_unique<const FlattenStep>(x, type, inner, y);
}

}  // namespace cs
