// SPDX-License-Identifier: BSD-3-Clause
// Programs: networks compiled for the shape of their input. A list of steps, and one block of memory for all values
// between them.
//
// Steps stand in *stretches*. One of them takes the whole batch: products, whose weights are read once for all samples.
// The other takes a sample at a time through all of its steps, so that images between convolutions, which are larger
// than their weights, stay in the cache; samples are what threads share there. How many samples there are is a
// stretch's own: an array may have been given another first axis.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "net/rows.hpp"
#include "net/step.hpp"

namespace cs {

class Program {
   public:
    // A value of so many bytes a sample; its number. Where it lies is said before the program runs. Two values may lie
    // at one place, and 0 bytes make one sample that of all.
    int new_value(std::int64_t sample_bytes);
    void place(int value, Memory memory, std::int64_t offset);
    // Its number.
    int add(std::unique_ptr<const Step> step);
    // The next steps, up to `last`, are a stretch.
    void add_stretch(int last, bool by_sample, std::int64_t samples) {
        stretches_.push_back({last, by_sample, samples});
    }
    bool takes_rows(int step) const { return steps_[static_cast<std::size_t>(step)]->by_rows() != nullptr; }
    // Steps of one stretch that takes samples, from `first` on, go through bands of rows together; the values between
    // them have no place, and about most_bytes of memory for a thread.
    void add_chain(int first, const std::vector<int>& between, std::int64_t most_bytes);
    // Bytes of the values in memory of the batch, and of those of a sample. After all stretches.
    void set_memory(std::int64_t batch_bytes, std::int64_t sample_bytes);

    int n_steps() const { return static_cast<int>(steps_.size()); }
    double work() const;  // of all steps, on all samples
    // Of the block, for at most so many threads.
    std::int64_t memory_bytes(int threads) const;
    // In a block of at least memory_bytes(threads), on a cache line. Nanoseconds that each step took, added up over
    // threads, go to `times` if there are any. May throw std::bad_alloc.
    void run(unsigned char* const* outside, Workspace block, int threads, std::int64_t* times) const;

   private:
    struct Stretch {
        int last;  // step, not counted
        bool by_sample;
        std::int64_t samples;
        double work = 0;         // of a sample
        std::int64_t bytes = 0;  // of a thread that takes samples: values, and workspace for one thread
    };

    std::int64_t workspace_of(int first, int last, std::int64_t samples, int threads) const;
    void run_stretch(int first, const Stretch& stretch, const Frame& frame, std::int64_t* times) const;
    void run_steps(int first, int last, const Frame& frame, std::int64_t* times) const;

    std::vector<Place> places_;
    std::vector<std::unique_ptr<const Step>> steps_;
    std::map<int, RowsChain> chains_;  // by their first step
    std::vector<Stretch> stretches_;
    std::int64_t batch_bytes_ = 0, sample_bytes_ = 0;
};

// A program of one array and one result as a step: value 0 to value 1, all samples. The program must outlive it.
std::unique_ptr<const Step> program_step(const Program& program);

}  // namespace cs
