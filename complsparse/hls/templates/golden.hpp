// SPDX-License-Identifier: BSD-3-Clause
// Vectors of activations and the sums that the CPU library computes of them, a line of text for each; of winners first
// their values and then their columns. For test benches, never for synthesis.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.hpp"

class Golden {
   public:
#if COMPLSPARSE_WINNERS
    static constexpr int words = complsparse::hls::Beats<Config>::value;
    static constexpr int length = Config::winners;
#else
    static constexpr int words = complsparse::hls::Shape<Config>::groups;
    static constexpr int length = Config::columns;
#endif
#if COMPLSPARSE_WINNERS
    static constexpr int fill = 0;  // meets a column of the matrix
#else
    static constexpr int fill = 77;  // meets weights of 0
#endif

    int value[words][Config::lanes];
    int index[words][Config::lanes];
    int sum[Config::rows];
    long vectors;

    explicit Golden(const char* folder) : vectors(0), complete_(false) {
        char path[4096];
        snprintf(path, sizeof path, "%s/vectors.txt", folder);
        file_ = fopen(path, "r");
        if (file_ == nullptr || fscanf(file_, "%ld", &expected_) != 1) fail(path);
    }
    Golden(const Golden&) = delete;
    Golden& operator=(const Golden&) = delete;
    ~Golden() { fclose(file_); }

    // Reads the next vector and its sums; false behind the last one.
    bool next() {
        if (vectors == expected_) {
            complete_ = expected_ > 0;
            return false;
        }
        read(&value[0][0], fill);
#if COMPLSPARSE_WINNERS
        read(&index[0][0], 0);
#endif
        for (int row = 0; row < Config::rows; ++row) sum[row] = number();
        ++vectors;
        return true;
    }

    // Whether all vectors were read, and there was one.
    bool whole() const { return complete_; }

   private:
    FILE* file_;
    long expected_;
    bool complete_;

    void read(int* to, int filling) {
        for (int i = 0; i < words * Config::lanes; ++i) to[i] = i < length ? number() : filling;
    }
    int number() {
        int found = 0;
        if (fscanf(file_, "%d", &found) != 1) fail("vectors.txt");
        return found;
    }
    static void fail(const char* path) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(2);
    }
};
