// SPDX-License-Identifier: BSD-3-Clause
// Runs the blocks on the samples of golden/, compares what each computes with the CPU library, and counts its clocks;
// then runs the top. Ends with status 1 where a single value or clock differs. Argument: the folder, by default golden.
#include <stdio.h>

#include "checks.hpp"

long clocks = 0;

#if defined(COMPLSPARSE_COUNT_CLOCKS)
namespace complsparse {
namespace hls {
void count_clock() { ++clocks; }
}  // namespace hls
}  // namespace complsparse
#endif

int main(int argc, char** argv) {
    static Golden golden(argc > 1 ? argv[1] : "golden");
    for (long sample = 0; sample < golden.samples(); ++sample) run_all(golden);
    long wrong = golden.differences();
    long interval = 0;
    for (int i = 0; i < kBlocks && golden.samples() > 0; ++i) {
        const Golden::Block& of = golden.block(i);
        printf("%-40s %7ld clocks %9ld values, %ld wrong\n", of.name, of.most, of.values, of.wrong);
        wrong += of.wrong;
#if defined(COMPLSPARSE_COUNT_CLOCKS)
        wrong += of.least == of.expected && of.most == of.expected ? 0 : 1;
#endif
        interval = of.most > interval ? of.most : interval;
    }
    printf("C simulation: %ld samples, %ld wrong; %ld clocks from sample to sample\n", golden.samples(), wrong,
           interval);
    return wrong == 0 && golden.samples() > 0 ? 0 : 1;
}
