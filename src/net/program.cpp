// SPDX-License-Identifier: BSD-3-Clause
#include "net/program.hpp"

#include <algorithm>

#include "base/parallel.hpp"
#include "net/stopwatch.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

std::int64_t in_lines(std::int64_t bytes) { return round_to_lines(bytes, 1); }

class ProgramStep final : public Step {
   public:
    explicit ProgramStep(const Program& program) : program_(program) {}

    void run(const Frame& frame) const override {
        unsigned char* const outside[] = {frame.at(0), frame.at(1)};
        program_.run(outside, frame.workspace, frame.threads, nullptr);
    }
    std::int64_t workspace_bytes(std::int64_t, int threads) const override { return program_.memory_bytes(threads); }
    double work() const override { return program_.work(); }

   private:
    const Program& program_;
};

}  // namespace

std::unique_ptr<const Step> program_step(const Program& program) {
    return std::make_unique<const ProgramStep>(program);
}

int Program::new_value(std::int64_t sample_bytes) {
    places_.push_back({Memory::outside, 0, sample_bytes});
    return static_cast<int>(places_.size()) - 1;
}

void Program::place(int value, Memory memory, std::int64_t offset) {
    Place& place = places_[static_cast<std::size_t>(value)];
    place.memory = memory;
    place.offset = offset;
}

int Program::add(std::unique_ptr<const Step> step) {
    steps_.push_back(std::move(step));
    return n_steps() - 1;
}

void Program::add_chain(int first, const std::vector<int>& between, std::int64_t most_bytes) {
    std::vector<const Step*> steps;
    for (std::size_t i = 0; i <= between.size(); ++i)
        steps.push_back(steps_[static_cast<std::size_t>(first) + i].get());
    chains_.emplace(first, RowsChain(steps, between, most_bytes));
}

void Program::set_memory(std::int64_t batch_bytes, std::int64_t sample_bytes) {
    batch_bytes_ = in_lines(batch_bytes);
    sample_bytes_ = in_lines(sample_bytes);
    int first = 0;
    for (Stretch& stretch : stretches_) {
        for (int i = first; i < stretch.last; ++i) stretch.work += steps_[static_cast<std::size_t>(i)]->work();
        stretch.bytes = sample_bytes_ + workspace_of(first, stretch.last, 1, 1);
        first = stretch.last;
    }
}

double Program::work() const {
    double sum = 0;
    for (const Stretch& stretch : stretches_) sum += stretch.work * static_cast<double>(stretch.samples);
    return sum;
}

std::int64_t Program::workspace_of(int first, int last, std::int64_t samples, int threads) const {
    std::int64_t most = 0;
    for (int i = first; i < last; ++i)
        for (const int some : {1, threads})
            most = std::max(most, steps_[static_cast<std::size_t>(i)]->workspace_bytes(samples, some));
    for (const auto& [i, chain] : chains_)
        if (i >= first && i < last) most = std::max(most, chain.workspace_bytes(threads));
    return in_lines(most);
}

std::int64_t Program::memory_bytes(int threads) const {
    std::int64_t most = 0;
    int first = 0;
    for (const Stretch& stretch : stretches_) {
        const std::int64_t together =
            workspace_of(first, stretch.last, stretch.by_sample ? 1 : stretch.samples, threads);
        most = std::max(most, sample_bytes_ + together);
        if (stretch.by_sample) most = std::max(most, std::min<std::int64_t>(threads, stretch.samples) * stretch.bytes);
        first = stretch.last;
    }
    return batch_bytes_ + most;
}

void Program::run_steps(int first, int last, const Frame& frame, std::int64_t* times) const {
    for (int i = first; i < last;) {
        std::int64_t* const own = times != nullptr ? times + i : nullptr;
        if (const auto chain = chains_.find(i); chain != chains_.end()) {
            chain->second.run(frame, own);
            i += chain->second.n_steps();
            continue;
        }
        const Stopwatch watch(own);
        steps_[static_cast<std::size_t>(i++)]->run(frame);
    }
}

void Program::run_stretch(int first, const Stretch& stretch, const Frame& frame, std::int64_t* times) const {
    const std::int64_t samples = stretch.samples;
    if (samples == 0) return;
    if (!stretch.by_sample || samples == 1) {
        Frame all = frame;
        all.samples = {0, samples};
        all.workspace = {frame.workspace.memory + sample_bytes_, frame.workspace.bytes - sample_bytes_};
        return run_steps(first, stretch.last, all, times);
    }
    const int worth = choose_threads(stretch.work * static_cast<double>(samples));
    const auto threads = static_cast<int>(std::min<std::int64_t>(std::min(worth, frame.threads), samples));
    const std::int64_t room = stretch.bytes;
    auto task = [&](std::int64_t sample, int worker) {
        unsigned char* const own = frame.workspace.memory + worker * room;
        Frame alone = frame.alone({own + sample_bytes_, room - sample_bytes_});
        alone.sample = own;
        alone.samples = {sample, 1};
        run_steps(first, stretch.last, alone, times);
    };
    parallel_for(samples, threads, task);
}

void Program::run(unsigned char* const* outside, Workspace block, int threads, std::int64_t* times) const {
    const Workspace rest{block.memory + batch_bytes_, block.bytes - batch_bytes_};
    const Frame frame{places_.data(), outside, block.memory, rest.memory, {0, 0}, threads, rest};
    int first = 0;
    for (const Stretch& stretch : stretches_) {
        run_stretch(first, stretch, frame, times);
        first = stretch.last;
    }
}

}  // namespace cs
