// SPDX-License-Identifier: BSD-3-Clause
// Images whose rows go through several steps, a band at a time: what lies between the steps stays in the cache.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "net/step.hpp"

namespace cs {

// Planes of a sample, rows one behind the other.
struct PlanesOfSample {
    std::int64_t planes, rows, row_bytes;

    std::int64_t plane_bytes() const { return rows * row_bytes; }
};

// Where some rows of all planes lie: row `first` of the first plane, and bytes from one plane to the next.
struct RowsAt {
    unsigned char* data;
    std::int64_t first, plane_bytes;

    unsigned char* row(std::int64_t number, const PlanesOfSample& image) const {
        return data + (number - first) * image.row_bytes;
    }
};

// A value of which a band lies elsewhere than the frame says; value: -1 where there is none.
struct BandOf {
    int value = -1;
    RowsAt rows{};

    RowsAt of(const Frame& frame, int wanted, const PlanesOfSample& image) const {
        return wanted == value ? rows : RowsAt{frame.at(wanted), 0, image.plane_bytes()};
    }
};

// The rows of an image of so many that rows of outputs of windows are made of, and the most of them for so many.
inline Range rows_under(const Sliding& s, std::int64_t height, Range rows) {
    const std::int64_t before = rows.first * s.stride_rows - s.top;
    const std::int64_t first = std::clamp<std::int64_t>(before, 0, height);
    const std::int64_t last = before + (rows.count - 1) * s.stride_rows + (s.kernel_rows - 1) * s.dilation_rows + 1;
    return {first, std::clamp<std::int64_t>(last, first, height) - first};
}
inline std::int64_t most_rows_under(const Sliding& s, std::int64_t height, std::int64_t rows) {
    return std::min(height, (rows - 1) * s.stride_rows + (s.kernel_rows - 1) * s.dilation_rows + 1);
}

// A step whose outputs can be made some rows at a time, with the bits that all at once have.
class RowsStep {
   public:
    virtual PlanesOfSample x_planes() const = 0;
    virtual PlanesOfSample y_planes() const = 0;
    // The rows of x that rows of y are made of, and the most of them for so many.
    virtual Range rows_of_x(Range rows_of_y) const = 0;
    virtual std::int64_t most_rows_of_x(std::int64_t rows_of_y) const = 0;
    // On the calling thread, one sample.
    virtual void run_rows(const Frame& frame, Range rows, const BandOf& x, const BandOf& y) const = 0;
    virtual std::int64_t workspace_bytes_of_rows(std::int64_t rows) const = 0;

   protected:
    ~RowsStep() = default;
};

// One sample, its rows in as many shares as threads, in order: threads find in their caches the rows that they had of
// the layer before. Of a step whose rows need no workspace. False, and nothing is done, where that is no way: of
// several samples, on one thread, of a step that takes no rows (null), and where a cache line would have outputs of two
// shares, whose threads would wait for each other.
bool run_shares_of_rows(const RowsStep* step, const Frame& frame, int threads);

// Steps each of which reads what the one before it writes, and nobody else does. Bands are as many rows of the last
// one's outputs as there is room for what lies between the steps; rows that the next band needs, too, are kept.
class RowsChain {
   public:
    // between: the values that lie between the steps; of which about most_bytes are kept.
    RowsChain(const std::vector<const Step*>& steps, const std::vector<int>& between, std::int64_t most_bytes);

    void run(const Frame& frame, std::int64_t* times) const;
    std::int64_t workspace_bytes(int threads) const { return threads * (kept_bytes_ + step_bytes_); }
    int n_steps() const { return static_cast<int>(stages_.size()); }

   private:
    struct Stage {
        const RowsStep* step;
        int value;  // that it writes, -1 of the last
        PlanesOfSample y;
        std::int64_t rows, plane_bytes, offset;  // of what is kept: at most so many rows; where
    };
    struct Worker;

    void cut(std::int64_t rows);
    void make(std::size_t stage, Range rows, Worker& worker) const;
    void provide(std::size_t stage, Range rows, Worker& worker) const;

    std::vector<Stage> stages_;
    std::int64_t band_rows_ = 1, kept_bytes_ = 0, step_bytes_ = 0;
    double work_ = 0;
};

}  // namespace cs
