# SPDX-License-Identifier: BSD-3-Clause
"""Products with sparse activations, every way that the plan knows beside the rivals:

python benchmarks/spspmm.py [balanced_1024x1024_b16_s20 ...] [-n 1 16 64] [--share 0.1]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

if not __package__:
    import _from_file  # noqa: F401

import numpy as np

from benchmarks import problems, rivals, timing
from benchmarks.targets import winners
from benchmarks.timing import Effort, geometric_mean


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Race products with winners against rivals.")
    parser.add_argument(
        "problems", nargs="*", default=[winners.named("1024x1024", height) for height in winners.HEIGHTS]
    )
    parser.add_argument("-n", nargs="+", type=int, default=[1])
    parser.add_argument("--share", nargs="+", type=float, default=[winners.SHARE])
    parser.add_argument("--fresh", action="store_true", help="other winners at each call")
    parser.add_argument("--no-dense", action="store_true")
    chosen = parser.parse_args(arguments)
    timing.pin(1)
    rivals.set_threads(1)
    effort = Effort(sample_ms=1.0, min_calls=20, min_rounds=7, max_rounds=11, budget_s=0.4)
    others = [winners.SPMMD, winners.SPARSE, *([] if chosen.no_dense else [winners.DENSE])]
    wrong: list[float] = []
    for name in chosen.problems:
        for n in chosen.n:
            for share in chosen.share:
                record = winners.measure(problems.get(name), n, share, 1, effort, others, chosen.fresh)[1]
                print(f"{name} n={n} {record['winners']} winners")
                for who, ns in sorted(record["ns"].items(), key=lambda item: item[1]):
                    mark = "*" if who == record["chosen"] else " "
                    print(f"  {mark} {ns / 1e3:10.3f} us {record['ratios'][who]:8.2f}  {who} {record['forms'][who]}")
                ways = [
                    record["ns"].get(f"{rivals.Ours.name} {way}", np.inf)
                    for way in (winners.COLUMNS, winners.WRITTEN_OUT)
                ]
                wrong.append(record["ns"][record["chosen"]] / min(ways))
    print(f"chosen / best of ours, geometric mean: {geometric_mean(wrong):.3f}, worst {max(wrong):.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
