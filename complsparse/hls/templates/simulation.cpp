// SPDX-License-Identifier: BSD-3-Clause
// Runs the Verilog on the vectors of golden/, first with words back to back, then with random stalls on both sides, and
// compares with the sums of the CPU library. Words that come back to back must all be taken, one in each clock.
#include <stdint.h>
#include <stdio.h>

#include "Vcomplsparse_layer.h"
#include "golden.hpp"
#include "tables.hpp"
#include "verilated.h"

namespace {

// Bits of a port, whatever Verilator makes of its width.
template <class Port>
void put(Port& port, int first, int bits, uint64_t value) {
    const uint64_t mask = ((uint64_t(1) << bits) - 1) << first;
    port = Port((uint64_t(port) & ~mask) | ((value << first) & mask));
}
template <size_t Words>
void put(VlWide<Words>& port, int first, int bits, uint64_t value) {
    for (int bit = 0; bit < bits; ++bit) {
        const uint32_t one = uint32_t(1) << ((first + bit) % 32);
        uint32_t& word = port[size_t(first + bit) / 32];
        word = (value >> bit) & 1 ? word | one : word & ~one;
    }
}
template <class Port>
int64_t get(const Port& port, int first, int bits) {
    const uint64_t found = uint64_t(port) >> first << (64 - bits);
    return int64_t(found) >> (64 - bits);
}
template <size_t Words>
int64_t get(const VlWide<Words>& port, int first, int bits) {
    uint64_t found = 0;
    for (int bit = 0; bit < bits; ++bit) {
        found |= uint64_t(port[size_t(first + bit) / 32] >> ((first + bit) % 32) & 1) << bit;
    }
    return int64_t(found << (64 - bits)) >> (64 - bits);
}

constexpr int kMostIdle = 64 * (Golden::words + 4);  // clocks without a word and without sums

struct Bench {
    Vcomplsparse_layer circuit;
    Golden in, out;
    uint64_t noise = 88172645463325252u;
    long clocks = 0, taken = 0, wrong = 0;
    long latency = 0;  // of the first vector: clocks from the edge of its first word to that of its sums

    explicit Bench(const char* folder) : in(folder), out(folder) {}

    // A side of the handshake goes, or waits, for some clocks on end: long enough to fill what is behind it.
    struct Side {
        bool goes = false;
        unsigned left = 0;
    } source, sink;

    bool goes(Side& side, bool stalls) {
        if (side.left == 0) {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            side.goes = (noise >> 32 & 1) != 0;
            side.left = 1 + unsigned(noise >> 40) % (2 * Golden::words + 4);
        }
        --side.left;
        return !stalls || side.goes;
    }

    void edge() {
        circuit.clock = 1;
        circuit.eval();
        circuit.clock = 0;
        circuit.eval();
        ++clocks;
    }

    void start() {
        circuit.clock = 0;
        circuit.in_valid = 0;
        circuit.out_ready = 0;
        circuit.reset = 1;
        circuit.eval();
        edge();
        circuit.reset = 0;
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
    bool run(bool stalls) {
        start();
        bool more = in.next();
        int word = 0;
        int idle = 0;
        long first = 0;
        long busy = 0;  // clocks up to the last word
        while (idle < kMostIdle) {
            const bool valid = goes(source, stalls) && more;
            const bool ready = goes(sink, stalls);
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
        Bench bench(folder);
        right = bench.run(stalls) && right;
    }
    return right ? 0 : 1;
}
