// SPDX-License-Identifier: BSD-3-Clause
#include "ops/contest.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "base/aligned.hpp"
#include "base/parallel.hpp"
#include "kernels/contest_lanes.hpp"
#include "kernels/move.hpp"
#include "kernels/names.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

struct Free {
    void operator()(std::byte* memory) const { AlignedAllocator<std::byte>().deallocate(memory, 0); }
};
using Bytes = std::unique_ptr<std::byte, Free>;  // not cleared, unlike a vector

Bytes bytes(std::int64_t count) {
    return Bytes(AlignedAllocator<std::byte>().allocate(static_cast<std::size_t>(count)));
}

std::int64_t in_lines(std::int64_t n_bytes) { return (n_bytes / static_cast<std::int64_t>(cache_line) + 2) * 64; }

template <class Word>
void copy_strided(const void* from, std::int64_t stride, std::int64_t n, void* to, std::int64_t to_stride) {
    const Word* const source = static_cast<const Word*>(from);
    Word* const target = static_cast<Word*>(to);
    for (std::int64_t i = 0; i < n; ++i) target[i * to_stride] = source[i * stride];
}

class Work {
   public:
    Work(const Contest& contest, void* values, std::int32_t* indices, std::int64_t* counts)
        : c_(contest),
          width_(bytes_of(contest.type)),
          key_width_(width_ == 8 ? 8 : 4),
          vectors_(contest.x.outer * contest.x.inner),
          values_(static_cast<std::byte*>(values)),
          indices_(indices),
          counts_(counts) {
        const LevelSet levels = usable_levels();
        one_ = strongest_of(&Table::contest, levels, c_.type).row;
        if (vectors_ == 1 || c_.x.n > longest_in_lanes) return;
        if (c_.x.n > one_->in_register && (width_ > 1 || c_.x.n <= longest_bytes_in_lanes)) lanes_ = lanes_of(levels);
        if (lanes_ == nullptr) {
            if (width_ == 1 && c_.x.stride != 1 && c_.x.inner_stride == 1)
                transpose_ = strongest_of(&Table::move, levels, Type::u8).row->transpose;
            return;
        }
        // Transposing moves bits: elements of the same width will do.
        if (width_ > 1) {
            const Type moved = width_ == 4 ? Type::f32 : Type::f64;
            transpose_ = strongest_of(&Table::move, levels, moved).row->transpose;
        }
    }

    // Vectors that one call of the micro-kernel takes.
    std::int64_t step() const { return lanes_ != nullptr ? lanes_->lanes : 1; }
    std::int64_t vectors() const { return vectors_; }

    std::int64_t scratch_bytes() const {
        const std::int64_t n = c_.x.n;
        if (lanes_ != nullptr)
            return in_lines((n + 16) * lanes_->lanes * key_width_) + in_lines(n * lanes_->lanes * width_);
        return alone_bytes() + (transpose_ != nullptr ? in_lines(turned_at_once * n) : 0);
    }

    // Vectors [first, last).
    void run(std::int64_t first, std::int64_t last, std::byte* scratch, ContestHint& hint) const {
        if (lanes_ != nullptr) {
            // One division for all of them: five for every few vectors were a fifth of the contest.
            std::int64_t place = first % c_.x.inner, start = first / c_.x.inner * c_.x.outer_stride;
            for (std::int64_t v = first; v < last; v += lanes_->lanes) {
                side_by_side(v, place, start, last, scratch);
                for (place += lanes_->lanes; place >= c_.x.inner; place -= c_.x.inner) start += c_.x.outer_stride;
            }
        } else if (transpose_ != nullptr) {
            std::byte* const turned = scratch + alone_bytes();
            for (std::int64_t v = first; v < last;) {
                const std::int64_t count = std::min({turned_at_once, last - v, c_.x.inner - v % c_.x.inner});
                transpose_({vector(v), turned, c_.x.n, count, c_.x.stride, c_.x.n});
                for (std::int64_t i = 0; i < count; ++i, ++v) alone(v, turned + i * c_.x.n, scratch, hint);
            }
        } else {
            for (std::int64_t v = first; v < last; ++v) alone(v, contiguous(v, scratch), scratch, hint);
        }
    }

   private:
    // The strongest level counts, and of its rows the one with the shortest list that holds k.
    const ContestLanesRow* lanes_of(const LevelSet& levels) const {
        const ContestLanesRow* found = nullptr;
        const bool may_search = c_.x.stride != 1 || c_.x.n <= longest_searched;
        for (const int level : levels) {
            const ContestLanesRow* best = nullptr;
            for (const ContestLanesRow& row : table_at(level).contest_lanes)
                if (row.type == c_.type && row.most_winners >= c_.k && row.lanes <= vectors_ &&
                    (may_search || row.most_winners < longest_in_lanes) &&
                    (best == nullptr || row.most_winners < best->most_winners))
                    best = &row;
            if (best != nullptr) found = best;
        }
        return found;
    }

    // Short vectors of bytes that lie across: so many are brought in order together.
    static constexpr std::int64_t turned_at_once = 64;

    const std::byte* vector(std::int64_t v) const {
        const VectorsView& x = c_.x;
        const std::int64_t at = v / x.inner * x.outer_stride + v % x.inner * x.inner_stride;
        return static_cast<const std::byte*>(x.data) + at * width_;
    }

    void copy(const std::byte* from, std::int64_t stride, std::byte* to, std::int64_t to_stride) const {
        dispatch_width(width_, [&](auto word) { copy_strided<decltype(word)>(from, stride, c_.x.n, to, to_stride); });
    }

    std::int64_t alone_bytes() const {
        return 2 * in_lines((c_.x.n + 16) * key_width_) + 2 * in_lines((c_.x.n + 16) * width_);
    }

    // The vector, or a copy behind the rest of what a contest needs.
    const std::byte* contiguous(std::int64_t v, std::byte* scratch) const {
        if (c_.x.stride == 1) return vector(v);
        std::byte* const copied = scratch + alone_bytes() - in_lines((c_.x.n + 16) * width_);
        copy(vector(v), c_.x.stride, copied, 1);
        return copied;
    }

    // x: the entries of vector v, side by side.
    void alone(std::int64_t v, const std::byte* x, std::byte* scratch, ContestHint& hint) const {
        const std::int64_t n = c_.x.n, k = c_.k;
        std::byte* const keys = scratch;
        std::byte* const candidates = keys + in_lines((n + 16) * key_width_);
        std::byte* const sums = candidates + in_lines((n + 16) * key_width_);
        const auto wanted = static_cast<std::int64_t>(6 * std::sqrt(static_cast<double>(k))) + 16;
        ContestArgs args{x,
                         n,
                         k,
                         c_.bias,
                         c_.boost,
                         c_.relu,
                         keys,
                         candidates,
                         sums,
                         wanted,
                         &hint,
                         values_ + v * k * width_,
                         indices_ + v * k,
                         0};
        one_->function(args);
        counts_[v] = args.count;
    }

    // Vector v is number `place` of the x.inner ones that lie at `start`.
    void side_by_side(std::int64_t v, std::int64_t place, std::int64_t start, std::int64_t last,
                      std::byte* scratch) const {
        const VectorsView& x = c_.x;
        const std::int64_t n = x.n, lanes = lanes_->lanes;
        const std::int64_t count = std::min(lanes, last - v);
        std::byte* const keys = scratch;
        const std::byte* data = static_cast<const std::byte*>(x.data) + (start + place * x.inner_stride) * width_;
        std::int64_t stride = x.stride;
        const bool together = place + lanes <= x.inner;  // without a step of outer_stride among them
        if (count < lanes || x.inner_stride != 1 || !together) {
            std::byte* const tile = keys + in_lines((n + 16) * lanes * key_width_);
            if (count == lanes && transpose_ != nullptr && x.stride == 1 && (together || x.inner == 1)) {
                const std::int64_t apart = x.inner == 1 ? x.outer_stride : x.inner_stride;
                transpose_({data, tile, lanes, n, apart, lanes});
            } else {
                for (std::int64_t lane = 0; lane < lanes; ++lane)  // any values will do where there is no vector
                    copy(vector(lane < count ? v + lane : v), x.stride, tile + lane * width_, lanes);
            }
            data = tile;
            stride = lanes;
        }
        ContestLanesArgs args{data,
                              stride,
                              n,
                              c_.k,
                              c_.bias,
                              c_.boost,
                              c_.relu,
                              count,
                              keys,
                              values_ + v * c_.k * width_,
                              indices_ + v * c_.k,
                              counts_ + v};
        lanes_->function(args);
    }

    const Contest& c_;
    std::int64_t width_, key_width_, vectors_;
    std::byte* values_;
    std::int32_t* indices_;
    std::int64_t* counts_;
    const ContestRow* one_ = nullptr;
    const ContestLanesRow* lanes_ = nullptr;
    TransposeFunction transpose_ = nullptr;  // for lanes, or of bytes that are turned
};

}  // namespace

void compete(const Contest& contest, ContestHint* hint, void* values, std::int32_t* indices, std::int64_t* starts) {
    const std::int64_t n = contest.x.n, vectors = contest.x.outer * contest.x.inner, k = contest.k;
    if (vectors == 0 || k == 0) {
        std::fill_n(starts, vectors + 1, 0);
        return;
    }
    const Work work(contest, values, indices, starts + 1);
    const std::int64_t steps = (vectors + work.step() - 1) / work.step();
    const int threads = static_cast<int>(
        std::min<std::int64_t>(steps, choose_threads(cost_of_competitor * static_cast<double>(vectors * n))));
    ContestHint own;
    if (hint == nullptr) hint = &own;
    if (threads == 1) {
        // Scratch of a single vector fits on the stack; an aligned allocation would cost a tenth of the contest.
        alignas(cache_line) std::byte small[1 << 15];
        const std::int64_t room = work.scratch_bytes();
        const Bytes large = room > static_cast<std::int64_t>(sizeof small) ? bytes(room) : nullptr;
        work.run(0, vectors, large ? large.get() : small, *hint);
    } else {
        const std::int64_t room = work.scratch_bytes();
        const Bytes scratch = bytes(room * threads);
        const std::int64_t tasks = std::min<std::int64_t>(steps, 4 * threads);
        auto body = [&](std::int64_t task, int worker) {
            ContestHint of_task = *hint;
            work.run(steps * task / tasks * work.step(), std::min(vectors, steps * (task + 1) / tasks * work.step()),
                     scratch.get() + room * worker, of_task);
        };
        parallel_for(tasks, threads, body);
    }
    join_winners(contest, vectors, values, indices, starts);
}

std::int64_t contest_scratch_bytes(const Contest& contest) {
    return Work(contest, nullptr, nullptr, nullptr).scratch_bytes();
}

void compete_in(unsigned char* scratch, const Contest& contest, void* values, std::int32_t* indices,
                std::int64_t* counts) {
    const Work work(contest, values, indices, counts);
    ContestHint hint;
    work.run(0, work.vectors(), reinterpret_cast<std::byte*>(scratch), hint);
}

void join_winners(const Contest& contest, std::int64_t vectors, void* values, std::int32_t* indices,
                  std::int64_t* starts) {
    const std::int64_t k = contest.k;
    if (!contest.relu) {
        for (std::int64_t v = 0; v <= vectors; ++v) starts[v] = v * k;
        return;
    }
    // Where vectors have fewer than k winners, close the gaps.
    const std::int64_t width = bytes_of(contest.type);
    std::byte* const bytes_out = static_cast<std::byte*>(values);
    std::int64_t end = 0;
    for (std::int64_t v = 0; v < vectors; ++v) {
        const std::int64_t count = starts[v + 1];
        if (end != v * k) {
            std::memmove(bytes_out + end * width, bytes_out + v * k * width, static_cast<std::size_t>(count * width));
            std::memmove(indices + end, indices + v * k, static_cast<std::size_t>(count) * sizeof *indices);
        }
        starts[v] = end;
        end += count;
    }
    starts[vectors] = end;
}

void run_bound_contest(void* bound) {
    BoundContest& b = *static_cast<BoundContest*>(bound);
    if (!b.warm) b.hint = {};
    Contest contest = b.contest;
    const std::int64_t turns = contest.x.outer;
    contest.x.outer = 1;
    contest.x.data =
        static_cast<const std::byte*>(contest.x.data) + b.turn * contest.x.outer_stride * bytes_of(contest.type);
    b.turn = (b.turn + 1) % turns;
    compete(contest, &b.hint, b.values, b.indices, b.starts);
}

// The tile of a contest: vectors at once, winners at most (0: any number).
RowName row_name(const ContestRow& row) { return {"kwta", "vectors", name_of(row.type), "1", 1, 0}; }

RowName row_name(const ContestLanesRow& row) {
    return {"kwta", "vectors", name_of(row.type), by(row.lanes, row.most_winners), row.lanes, row.most_winners};
}

}  // namespace cs
