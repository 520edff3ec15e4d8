// SPDX-License-Identifier: BSD-3-Clause
// Feeds words to a circuit with a handshake, back to back or with random stalls, and writes what comes out: in.bin has
// the bits of in_word, out.bin gets those of out_word, clocks.bin the number of the clock in which each came.
// Arguments: the words to come, whether the source stalls.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "Vblock.h"
#include "verilated.h"

int main(int, char** argv) {
    static Vblock circuit;
    long wanted = atol(argv[1]);
    const bool stalls = atoi(argv[2]) != 0;
    FILE* in = fopen("in.bin", "rb");
    FILE* out = fopen("out.bin", "wb");
    FILE* times = fopen("clocks.bin", "wb");
    if (!in || !out || !times) return 2;
    circuit.in_valid = 0;
    circuit.reset = 1;
    for (int half = 0; half < 4; ++half) {
        circuit.clock = half & 1;
        circuit.eval();
    }
    circuit.reset = 0;
    unsigned noise = 1;
    unsigned char word[sizeof circuit.in_word];
    bool held = false;
    for (long clock = 0, idle = 0; wanted > 0 && idle < 1000000; ++clock, ++idle) {
        circuit.clock = 0;
        held = held || fread(word, sizeof word, 1, in) == 1;
        noise = noise * 1664525 + 1013904223;
        circuit.in_valid = held && !(stalls && (noise >> 30) == 0);
        memcpy(static_cast<void*>(&circuit.in_word), word, sizeof word);
        circuit.eval();
        if (circuit.in_valid && circuit.in_ready) held = false, idle = 0;
        if (circuit.out_valid) {
            fwrite(&circuit.out_word, sizeof circuit.out_word, 1, out);
            fwrite(&clock, sizeof clock, 1, times);
            --wanted;
        }
        circuit.clock = 1;
        circuit.eval();
    }
    fclose(out);
    fclose(times);
    return wanted == 0 ? 0 : 1;
}
