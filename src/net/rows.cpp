// SPDX-License-Identifier: BSD-3-Clause
#include "net/rows.hpp"

#include <algorithm>
#include <cstring>

#include "base/aligned.hpp"
#include "base/parallel.hpp"
#include "net/stopwatch.hpp"
#include "tiles/work.hpp"

namespace cs {

bool run_shares_of_rows(const RowsStep* step, const Frame& frame, int threads) {
    if (threads <= 1 || frame.samples.count != 1 || step == nullptr) return false;
    const PlanesOfSample y = step->y_planes();
    const std::int64_t each = y.rows / threads;
    if (y.rows % threads != 0 || each * y.row_bytes % static_cast<std::int64_t>(cache_line) != 0) return false;
    auto task = [&](std::int64_t share, int) { step->run_rows(frame, {share * each, each}, {}, {}); };
    parallel_for(threads, threads, task);
    return true;
}

RowsChain::RowsChain(const std::vector<const Step*>& steps, const std::vector<int>& between, std::int64_t most_bytes) {
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const RowsStep* const step = steps[i]->by_rows();
        stages_.push_back({step, i < between.size() ? between[i] : -1, step->y_planes(), 0, 0, 0});
        work_ += steps[i]->work();
    }
    const std::int64_t rows = stages_.back().y.rows;
    std::int64_t most = 1;
    for (std::int64_t some = 2; some <= rows; ++some) {
        cut(some);
        if (kept_bytes_ <= most_bytes) most = some;
    }
    const std::int64_t bands = std::max<std::int64_t>(1, (rows + most - 1) / most);
    cut((rows + bands - 1) / bands);
}

// Everything that depends on the rows of a band.
void RowsChain::cut(std::int64_t rows) {
    band_rows_ = std::max<std::int64_t>(1, rows);
    kept_bytes_ = round_to_lines(static_cast<std::int64_t>(stages_.size() * sizeof(Range)), 1);
    step_bytes_ = 0;
    std::int64_t of_stage = band_rows_;
    for (std::size_t i = stages_.size(); i-- > 0;) {
        Stage& stage = stages_[i];
        of_stage = std::min(of_stage, stage.y.rows);
        step_bytes_ = std::max(step_bytes_, stage.step->workspace_bytes_of_rows(of_stage));
        if (i + 1 < stages_.size()) {
            stage.rows = of_stage;
            stage.plane_bytes = round_to_lines(of_stage * stage.y.row_bytes, 1);
            // Planes an even number of cache lines apart share a part of the sets.
            if (stage.plane_bytes % 128 == 0) stage.plane_bytes += 64;
            stage.offset = kept_bytes_;
            kept_bytes_ += stage.y.planes * stage.plane_bytes;
        }
        of_stage = stage.step->most_rows_of_x(of_stage);
    }
    step_bytes_ = round_to_lines(step_bytes_, 1);
}

struct RowsChain::Worker {
    Frame frame;  // of one sample; its workspace is that of one step
    unsigned char* kept;
    Range* have;  // rows of each stage's outputs that are kept; before them
    std::int64_t* times;
};

// Rows of the outputs of a stage, where they are to be: the last one's in the frame, others behind those that are kept.
void RowsChain::make(std::size_t stage, Range rows, Worker& worker) const {
    const auto band_of = [&](std::size_t i) {
        const Stage& s = stages_[i];
        return BandOf{s.value, {worker.kept + s.offset, worker.have[i].first, s.plane_bytes}};
    };
    BandOf x, y;
    if (stage > 0) {
        provide(stage - 1, stages_[stage].step->rows_of_x(rows), worker);
        x = band_of(stage - 1);
    }
    if (stage + 1 < stages_.size()) y = band_of(stage);
    const Stopwatch watch(worker.times != nullptr ? worker.times + stage : nullptr);
    stages_[stage].step->run_rows(worker.frame, rows, x, y);
}

// Has rows of the outputs of a stage, and none before them, in its memory.
void RowsChain::provide(std::size_t stage, Range rows, Worker& worker) const {
    const Stage& s = stages_[stage];
    Range& have = worker.have[stage];
    const std::int64_t kept = std::max<std::int64_t>(0, have.first + have.count - rows.first);
    if (kept > 0 && rows.first > have.first) {
        unsigned char* plane = worker.kept + s.offset;
        for (std::int64_t i = 0; i < s.y.planes; ++i, plane += s.plane_bytes)
            std::memmove(plane, plane + (rows.first - have.first) * s.y.row_bytes,
                         static_cast<std::size_t>(kept * s.y.row_bytes));
    }
    have = {rows.first, std::max(kept, rows.count)};
    if (kept < rows.count) make(stage, {rows.first + kept, rows.count - kept}, worker);
}

void RowsChain::run(const Frame& frame, std::int64_t* times) const {
    // Threads have equal shares, each of which goes by bands of its own.
    const std::int64_t rows = stages_.back().y.rows, each = kept_bytes_ + step_bytes_;
    const std::int64_t shares = std::min<std::int64_t>({rows, frame.threads, choose_threads(work_)});
    auto task = [&](std::int64_t share, int worker) {
        unsigned char* const own = frame.workspace.memory + worker * each;
        Worker with{frame.alone({own + kept_bytes_, step_bytes_}), own, reinterpret_cast<Range*>(own), times};
        with.frame.samples.count = 1;
        for (std::int64_t i = 0; i < frame.samples.count; ++i, ++with.frame.samples.first) {
            std::fill_n(with.have, stages_.size(), Range{0, 0});
            const std::int64_t last = rows * (share + 1) / shares;
            for (std::int64_t row = rows * share / shares; row < last; row += band_rows_)
                make(stages_.size() - 1, {row, std::min(band_rows_, last - row)}, with);
        }
    };
    parallel_for(shares, static_cast<int>(shares), task);
}

}  // namespace cs
