// SPDX-License-Identifier: BSD-3-Clause
#include "ops/linear_winners.hpp"

#include <algorithm>

#include "ops/bound_call.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

// Outputs that stay in a core's cache until their contest.
constexpr std::int64_t strip_bytes = 1 << 18;
// Fewer vectors than this have slower products, whatever the cache says.
constexpr std::int64_t least_strip = 16, most_strip = 128;

std::int64_t in_lines(std::int64_t bytes) { return round_to_lines(bytes, 1); }

class Strips {
   public:
    Strips(const Plan& plan, const Operands& operands, const Contest& contest)
        : operands_(operands),
          contest_(contest),
          x_bytes_(bytes_of(plan.choice->types().x)),
          y_bytes_(bytes_of(contest.type)),
          length_(strip_of(operands.vectors(), operands.y.rows, contest.type)) {
        Part first, last;
        cut(0, nullptr, first);
        cut((count() - 1) * length_, nullptr, last);
        plan_ = plan.fit(first.operands);
        for_product_ = in_lines(std::max(plan_.workspace_bytes(first.operands), plan_.workspace_bytes(last.operands)));
        for_outputs_ = in_lines(length_ * operands.y.rows * y_bytes_);
        for_contest_ = in_lines(std::max(contest_scratch_bytes(first.contest), contest_scratch_bytes(last.contest)));
    }

    std::int64_t count() const { return (operands_.vectors() + length_ - 1) / length_; }
    std::int64_t scratch_bytes() const { return for_product_ + for_outputs_ + for_contest_; }

    void run(std::int64_t strip, unsigned char* scratch, void* values, std::int32_t* indices,
             std::int64_t* counts) const {
        const std::int64_t first = strip * length_, place = first * contest_.k;
        Part part;
        cut(first, scratch + for_product_, part);
        plan_.run(part.operands, Workspace{scratch, for_product_});
        compete_in(scratch + for_product_ + for_outputs_, part.contest,
                   static_cast<unsigned char*>(values) + place * y_bytes_, indices + place, counts + first);
    }

   private:
    struct Part {
        Operands operands{};
        WinnersView winners{};
        Contest contest{};
    };

    // The vectors from `first` on, whose outputs lie at y, vector after vector, and compete there.
    void cut(std::int64_t first, void* y, Part& part) const {
        const std::int64_t rows = operands_.y.rows, cols = std::min(length_, operands_.vectors() - first);
        part.operands = operands_;
        if (operands_.winners != nullptr) {
            part.winners = *operands_.winners;
            part.winners.starts += first;
            part.winners.vectors = cols;
            part.operands.winners = &part.winners;
        } else {
            DenseView& x = part.operands.x;
            x.data = static_cast<unsigned char*>(x.data) + first * x.col_stride * x_bytes_;
            x.cols = cols;
        }
        part.operands.y = {y, rows, cols, 1, rows};
        part.contest = contest_;
        part.contest.x = {y, cols, 1, rows, rows, 0, 1};
    }

    const Operands& operands_;
    const Contest& contest_;
    const std::int64_t x_bytes_, y_bytes_, length_;
    Plan plan_;
    std::int64_t for_product_ = 0, for_outputs_ = 0, for_contest_ = 0;
};

}  // namespace

std::int64_t strip_of(std::int64_t n, std::int64_t outputs, Type type) {
    const std::int64_t cached = strip_bytes / std::max<std::int64_t>(outputs * bytes_of(type), 1);
    return std::min(n, std::clamp(cached / least_strip * least_strip, least_strip, most_strip));
}

void multiply_and_compete(const Plan& plan, const Operands& operands, const Contest& contest, void* values,
                          std::int32_t* indices, std::int64_t* starts) {
    const std::int64_t vectors = operands.vectors(), outputs = operands.y.rows;
    if (vectors == 0 || contest.k == 0) {
        std::fill_n(starts, vectors + 1, 0);
        return;
    }
    const Strips strips(plan, operands, contest);
    const double weights = static_cast<double>(plan.choice->matrix().stored().nnz());
    const double work = static_cast<double>(vectors) * (weights + cost_of_competitor * static_cast<double>(outputs));
    const int threads = static_cast<int>(std::min<std::int64_t>(strips.count(), choose_threads(work)));
    const std::int64_t room = strips.scratch_bytes();
    const Workspace scratch = workspace_of_thread().at_least(room * threads);
    // A single strip leaves the threads to its product.
    auto body = [&](std::int64_t strip, int worker) {
        strips.run(strip, scratch.memory + room * worker, values, indices, starts + 1);
    };
    parallel_for(strips.count(), threads, body);
    join_winners(contest, vectors, values, indices, starts);
}

}  // namespace cs
