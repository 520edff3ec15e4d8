// SPDX-License-Identifier: BSD-3-Clause
// Runs the Verilog of the network on the samples of golden/, first back to back, then with random stalls on both sides,
// and compares what leaves with the CPU library. Back to back the clocks from sample to sample are those of the slowest
// block, and counted.
#include <stdint.h>
#include <stdio.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "Vcomplsparse_network.h"
#include "ports.hpp"
#include "sizes.hpp"

namespace {

using namespace sizes;

constexpr long kInputs = long(in_words) * in_length, kOutputs = long(out_words) * out_length;

struct Sample {
    std::vector<int> in, out;
};

// Of a line, what comes in is at its start, and what leaves at its end.
std::vector<Sample> read(const char* folder) {
    std::ifstream file(std::string(folder) + "/samples.txt");
    size_t count = 0;
    std::string line;
    std::vector<Sample> found;
    file >> count;
    std::getline(file, line);
    while (std::getline(file, line)) {
        std::istringstream stream(line);
        const std::vector<int> numbers{std::istream_iterator<int>(stream), {}};
        if (long(numbers.size()) < kInputs + kOutputs) return {};
        found.push_back({{numbers.begin(), numbers.begin() + kInputs}, {numbers.end() - kOutputs, numbers.end()}});
    }
    return found.size() == count ? found : std::vector<Sample>();
}

struct Bench {
    const std::vector<Sample>& samples;
    const bool stalls;
    Vcomplsparse_network circuit;
    Side source, sink;
    long wrong = 0;
    std::vector<long> ends;  // the clock in which the last word of each sample left

    Bench(const std::vector<Sample>& of, bool stalling)
        : samples(of),
          stalls(stalling),
          source(88172645463325252u, 2 * in_words + 4, stalls),
          sink(362436069362436069u, unsigned(4 * clocks), stalls) {}

    void offer(long word) {
        const int* numbers = &samples[size_t(word / in_words)].in[size_t(word % in_words) * in_length];
        for (int i = 0; i < in_length; ++i) put(circuit.in_word, in_bits * i, in_bits, uint64_t(numbers[i]));
    }

    void compare(long word) {
        const size_t sample = size_t(word / out_words);
        if (sample >= samples.size()) {
            ++wrong;  // more words than there are samples
            return;
        }
        for (int i = 0; i < out_length; ++i) {
            const long place = word % out_words * out_length + i;
            int64_t found = get(circuit.out_word, out_bits * i, out_bits);
            if (!out_signed) found &= (int64_t(1) << out_bits) - 1;
            const int wanted = samples[sample].out[size_t(place)];
            if (found == wanted) continue;
            if (wrong++ == 0)
                printf("sample %zu, output %ld is %lld, not %d\n", sample, place, (long long)found, wanted);
        }
    }

    // Whether all outputs are right and came once each, in the clocks that the slowest block takes.
    bool run() {
        restart(circuit);
        const long in_all = long(samples.size()) * in_words, out_all = long(samples.size()) * out_words;
        const long most_idle = 64 * (clocks + in_words) + 65536;
        long in = 0, out = 0;
        for (long clock = 0, idle = 0; idle < most_idle && out <= out_all && (out < out_all || idle < 8 * clocks);
             ++clock) {
            circuit.in_valid = source.goes() && in < in_all;
            circuit.out_ready = sink.goes();
            if (circuit.in_valid) offer(in);
            circuit.eval();
            const bool takes = circuit.in_valid && circuit.in_ready;
            const bool leaves = circuit.out_valid && circuit.out_ready;
            if (leaves) {
                compare(out);
                if (++out % out_words == 0) ends.push_back(clock);
            }
            in += takes ? 1 : 0;
            idle = takes || leaves ? 0 : idle + 1;
            tick(circuit);
        }
        long slowest = 0;
        for (size_t i = 1; i < ends.size(); ++i) {
            const long apart = ends[i] - ends[i - 1];
            slowest = apart > slowest ? apart : slowest;
        }
        printf(
            "RTL, %s: %zu samples, %ld outputs, %ld wrong; at most %ld clocks from sample to sample, the first after "
            "%ld\n",
            stalls ? "random stalls" : "back to back", ends.size(), out * out_length, wrong, slowest,
            ends.empty() ? 0 : ends[0]);
        return wrong == 0 && in == in_all && out == out_all && (stalls || slowest <= clocks);
    }
};

}  // namespace

int main(int argc, char** argv) {
    const std::vector<Sample> samples = read(argc > 1 ? argv[1] : "golden");
    if (samples.empty()) {
        fprintf(stderr, "samples.txt: cannot be read\n");
        return 2;
    }
    bool right = true;
    for (const bool stalls : {false, true}) right = Bench(samples, stalls).run() && right;
    return right ? 0 : 1;
}
