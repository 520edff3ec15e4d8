// SPDX-License-Identifier: BSD-3-Clause
// Runs the top on the vectors of golden/ and compares with the sums of the CPU library. Ends with status 1 where a
// single one differs. Argument: the folder, by default golden.
#include <stdio.h>
#include <stdlib.h>

#include "golden.hpp"
#include "tables.hpp"
#include "top.hpp"

int main(int argc, char** argv) {
    Golden golden(argc > 1 ? argv[1] : "golden");
    static Config::activation_t x[1][Golden::words][Config::lanes];
    static Config::sum_t y[1][Config::rows];
#if COMPLSPARSE_WINNERS
    static Config::index_t indices[1][Golden::words][Config::lanes];
#endif
    long outputs = 0;
    long wrong = 0;
    while (golden.next()) {
        for (int word = 0; word < Golden::words; ++word) {
            for (int lane = 0; lane < Config::lanes; ++lane) {
                x[0][word][lane] = Config::activation_t(golden.value[word][lane]);
#if COMPLSPARSE_WINNERS
                indices[0][word][lane] = Config::index_t(golden.index[word][lane]);
#endif
            }
        }
        for (int row = 0; row < Config::rows; ++row) y[0][row] = Config::sum_t(-1);
        complsparse_layer(x,
#if COMPLSPARSE_WINNERS
                          indices,
#endif
#if COMPLSPARSE_RUNTIME
                          tables::weights, tables::ids,
#endif
                          y);
        for (int row = 0; row < Config::rows; ++row, ++outputs) {
            if (int(y[0][row]) == golden.sum[row]) continue;
            if (wrong++ == 0) {
                printf("vector %ld, row %d: %d, not %d\n", golden.vectors - 1, row, int(y[0][row]), golden.sum[row]);
            }
        }
    }
    printf("C simulation: %ld vectors, %ld outputs, %ld wrong\n", golden.vectors, outputs, wrong);
    return wrong == 0 && golden.whole() ? 0 : 1;
}
