// SPDX-License-Identifier: BSD-3-Clause
// What test benches share: numbers in the bits of a port, whatever Verilator makes of its width; clocks; handshakes.
#pragma once

#include <stdint.h>

#include "verilated.h"

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

template <class Circuit>
void tick(Circuit& circuit) {
    circuit.clock = 1;
    circuit.eval();
    circuit.clock = 0;
    circuit.eval();
}

// One clock of reset, in which nothing is offered or taken.
template <class Circuit>
void restart(Circuit& circuit) {
    circuit.clock = 0;
    circuit.in_valid = 0;
    circuit.out_ready = 0;
    circuit.reset = 1;
    circuit.eval();
    tick(circuit);
    circuit.reset = 0;
}

// One side of a handshake: it goes, or waits, for some clocks on end, up to `most`: long enough to fill what is behind.
struct Side {
    uint64_t noise;
    unsigned most;
    bool stalls;
    unsigned left = 0;
    bool going = false;

    Side(uint64_t seed, unsigned longest, bool stalling) : noise(seed), most(longest), stalls(stalling) {}

    bool goes() {
        if (left == 0) {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            going = (noise >> 32 & 1) != 0;
            left = 1 + unsigned(noise >> 40) % most;
        }
        --left;
        return !stalls || going;
    }
};
