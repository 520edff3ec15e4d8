// SPDX-License-Identifier: BSD-3-Clause
// Steps of a network: what one of them reads and writes, and where that lies while it runs.
#pragma once

#include <cstdint>

#include "base/views.hpp"
#include "base/workspace.hpp"
#include "tiles/source.hpp"

namespace cs {

// Where a value of the network lies: values of all samples, or those of the sample that a thread is at.
enum class Memory : std::uint8_t {
    outside,  // an array of the caller's
    batch,    // all samples, one behind the other
    sample,   // one sample at a time
    fixed     // a constant's own
};

struct Place {
    Memory memory = Memory::outside;
    std::int64_t offset = 0;        // bytes into the memory; which of the arrays outside; the address of a constant
    std::int64_t sample_bytes = 0;  // from one sample to the next
};

// What a step runs on: some samples of the batch, and the memory that they lie in.
struct Frame {
    const Place* places;  // of values, by number
    unsigned char* const* outside;
    unsigned char *batch, *sample;
    Range samples;
    int threads;
    Workspace workspace;

    // Of the first of the samples.
    unsigned char* at(int value) const {
        const Place& place = places[value];
        switch (place.memory) {
            case Memory::outside:
                return outside[place.offset] + samples.first * place.sample_bytes;
            case Memory::batch:
                return batch + place.offset + samples.first * place.sample_bytes;
            case Memory::fixed:
                return reinterpret_cast<unsigned char*>(static_cast<std::uintptr_t>(place.offset)) +
                       samples.first * place.sample_bytes;
            case Memory::sample:
                break;
        }
        return sample + place.offset;
    }
    // The same samples, on the calling thread alone, in another workspace.
    Frame alone(Workspace own) const {
        Frame frame = *this;
        frame.threads = 1;
        frame.workspace = own;
        return frame;
    }
};

class RowsStep;

// One layer, or several in one. Shapes, types and sizes were checked before it was made.
class Step {
   public:
    virtual ~Step() = default;
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

    // May throw only from a step that takes the whole batch: std::bad_alloc, or HostFailure.
    virtual void run(const Frame& frame) const = 0;
    virtual std::int64_t workspace_bytes(std::int64_t, int) const { return 0; }  // for so many samples, so many threads
    // Multiplications of a sample, and what costs as much.
    virtual double work() const = 0;
    // Itself, where some rows of its outputs can be made at a time; else null.
    virtual const RowsStep* by_rows() const { return nullptr; }

   protected:
    Step() = default;
};

// Winners as they lie in a network: room for `most` of each vector, a number for each of three values.
struct WinnersAt {
    int values, indices, starts;
    std::int64_t vectors, length;  // vectors of a sample
    std::int64_t most;

    // Starts count from the first sample of the memory on, whatever the samples of the frame are.
    WinnersView view(const Frame& frame) const {
        const auto first = [&](int value) {
            Frame all = frame;
            all.samples.first = 0;
            return all.at(value);
        };
        const auto* const from = reinterpret_cast<const std::int64_t*>(frame.at(starts));
        return {first(values), reinterpret_cast<const std::int32_t*>(first(indices)), from,
                frame.samples.count * vectors, length};
    }
};

// An array of a sample: the extent of one axis, and of those before and behind it together.
struct Extents {
    std::int64_t outer, n, inner;
    std::int64_t size() const { return outer * n * inner; }
};

}  // namespace cs
