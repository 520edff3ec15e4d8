// SPDX-License-Identifier: BSD-3-Clause
// Samples, and what the CPU library computes of them in every layer, a line of text for each sample. For the test
// bench, never for synthesis.
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

extern long clocks;  // that the blocks have taken

class Golden {
   public:
    struct Block {
        const char* name = nullptr;
        long expected = 0, least = 0, most = 0;  // clocks of a sample
        long values = 0, wrong = 0;
    };

    explicit Golden(const char* folder) {
        char path[4096];
        snprintf(path, sizeof path, "%s/samples.txt", folder);
        file_ = fopen(path, "r");
        if (file_ == nullptr || fscanf(file_, "%ld", &samples_) != 1) fail(path);
    }
    Golden(const Golden&) = delete;
    Golden& operator=(const Golden&) = delete;
    ~Golden() { fclose(file_); }

    long samples() const { return samples_; }
    const Block& block(int number) const { return blocks_[number]; }
    long differences() const { return differences_; }

    template <class T, size_t N, size_t M>
    void read(T (&x)[N][M]) {
        for (T(&vector)[M] : x) {
            for (T& one : vector) one = T(next());
        }
    }

    void count(int block, const char* name, long expected, long found) {
        Block& of = blocks_[block];
        if (of.name == nullptr) of.least = of.most = found;
        of.name = name;
        of.expected = expected;
        of.least = found < of.least ? found : of.least;
        of.most = found > of.most ? found : of.most;
    }

    template <class T, size_t N, size_t M>
    void compare(int block, const T (&found)[N][M]) {
        for (const T(&vector)[M] : found) {
            for (const T& one : vector) check(block, int(one));
        }
    }

    // Winners stand among zeros in a vector of `Size`: one for each pixel, or one for all.
    template <int Size, bool OfAll, class T, class Place, size_t N, size_t M>
    void compare_winners(int block, const T (&values)[N][M], const Place (&places)[N][M]) {
        static int dense[OfAll ? 1 : N][Size];
        for (auto& vector : dense) {
            for (int& one : vector) one = 0;
        }
        for (size_t i = 0; i < N; ++i) {
            for (size_t j = 0; j < M; ++j) dense[OfAll ? 0 : i][int(places[i][j])] = int(values[i][j]);
        }
        compare(block, dense);
    }

    // What the top computed, and its blocks one by one.
    template <class T, size_t N, size_t M>
    void same(const T (&a)[N][M], const T (&b)[N][M]) {
        for (size_t i = 0; i < N; ++i) {
            for (size_t j = 0; j < M; ++j) differences_ += a[i][j] == b[i][j] ? 0 : 1;
        }
    }

   private:
    static constexpr int kMost = 256;
    FILE* file_;
    long samples_;
    long differences_ = 0;
    Block blocks_[kMost];

    void check(int block, int found) {
        Block& of = blocks_[block];
        const int wanted = next();
        ++of.values;
        if (found == wanted) return;
        if (of.wrong++ == 0) printf("%s: value %ld is %d, not %d\n", of.name, of.values - 1, found, wanted);
    }
    int next() {
        int found = 0;
        if (fscanf(file_, "%d", &found) != 1) fail("samples.txt");
        return found;
    }
    static void fail(const char* path) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(2);
    }
};
