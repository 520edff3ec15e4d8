// SPDX-License-Identifier: BSD-3-Clause
// Runs the Verilog on the vectors of golden/, first with words back to back, then with random stalls on both sides, and
// compares with the sums of the CPU library. Words that come back to back must all be taken, one in each clock.
#include <stdint.h>
#include <stdio.h>

#include "Vcomplsparse_layer.h"
#include "golden.hpp"
#include "ports.hpp"
#include "tables.hpp"

namespace {

constexpr int kMostIdle = 64 * (Golden::words + 4);  // clocks without a word and without sums

struct Bench {
    Vcomplsparse_layer circuit;
    Golden in, out;
    long clocks = 0, taken = 0, wrong = 0;
    long latency = 0;  // of the first vector: clocks from the edge of its first word to that of its sums

    const bool stalls;

    Bench(const char* folder, bool stalling)
        : in(folder),
          out(folder),
          stalls(stalling),
          source(88172645463325252u, 2 * Golden::words + 4, stalls),
          sink(362436069362436069u, 2 * Golden::words + 4, stalls) {}

    Side source, sink;

    void edge() {
        tick(circuit);
        ++clocks;
    }

    void start() {
        restart(circuit);
#if COMPLSPARSE_RUNTIME
        write_table();
#endif
        clocks = 0;
    }

#if COMPLSPARSE_RUNTIME
    void write_table() {
        constexpr int slots = Config::word_slots;
        constexpr int words = int(sizeof tables::weights / (slots * sizeof(Config::weight_t)));
        const auto* weight = reinterpret_cast<const Config::weight_t*>(tables::weights);
        const auto* id = reinterpret_cast<const Config::choice_t*>(tables::ids);
        circuit.write = 1;
        for (int word = 0; word < words; ++word) {
            circuit.write_address = decltype(circuit.write_address)(word);
            for (int slot = 0; slot < slots; ++slot) {
                put(circuit.write_word, 8 * slot, 8, uint64_t(*weight++ & 255));
                put(circuit.write_word, 8 * slots + Config::choice_bits * slot, Config::choice_bits, uint64_t(*id++));
            }
            edge();
        }
        circuit.write = 0;
    }
#endif

    void offer(int word) {
        for (int lane = 0; lane < Config::lanes; ++lane) {
            put(circuit.in_x, 8 * lane, 8, uint64_t(in.value[word][lane] & 255));
#if COMPLSPARSE_WINNERS
            put(circuit.in_index, Config::index_bits * lane, Config::index_bits, uint64_t(in.index[word][lane]));
#endif
        }
    }

    void compare() {
        if (!out.next()) {
            ++wrong;  // more sums than vectors
            return;
        }
        for (int row = 0; row < Config::rows; ++row) {
            const int64_t sum = get(circuit.out_y, Config::sum_bits * row, Config::sum_bits);
            if (sum == out.sum[row]) continue;
            if (wrong++ == 0) {
                printf("vector %ld, row %d: %lld, not %d\n", out.vectors - 1, row, (long long)sum, out.sum[row]);
            }
        }
    }

    // Whether all sums are right and came once each.
    bool run() {
        start();
        bool more = in.next();
        int word = 0;
        int idle = 0;
        long first = 0;
        long busy = 0;  // clocks up to the last word
        while (idle < kMostIdle) {
            const bool valid = source.goes() && more;
            const bool ready = sink.goes();
            if (valid) offer(word);
            circuit.in_valid = valid;
            circuit.out_ready = ready;
            circuit.eval();
            const bool takes = valid && circuit.in_ready;
            const bool leaves = ready && circuit.out_valid;
            idle = takes || (leaves && out.vectors < in.vectors) ? 0 : idle + 1;
            if (leaves) {
                if (out.vectors == 0) latency = clocks - first;
                compare();
            }
            if (takes && taken == 0) first = clocks;
            edge();
            if (!takes) continue;
            busy = clocks;
            ++taken;
            word = (word + 1) % Golden::words;
            if (word == 0) more = in.next();
        }
        const bool every_clock = stalls || busy == taken;
        const bool all = !out.next() && out.whole() && in.whole();
        printf("RTL, %s: %ld vectors, %ld outputs, %ld wrong; %ld words in %ld clocks, the first sums after %ld\n",
               stalls ? "random stalls" : "back to back", out.vectors, out.vectors * Config::rows, wrong, taken, busy,
               latency);
        return wrong == 0 && every_clock && all;
    }
};

}  // namespace

int main(int argc, char** argv) {
    const char* folder = argc > 1 ? argv[1] : "golden";
    bool right = true;
    for (const bool stalls : {false, true}) {
        Bench bench(folder, stalls);
        right = bench.run() && right;
    }
    return right ? 0 : 1;
}
