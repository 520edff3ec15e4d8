# SPDX-License-Identifier: BSD-3-Clause
"""What the plan chose beside every candidate that it could have chosen:

python benchmarks/regret.py [balanced_1024x1024_b1_s16 ...] [-n 1 16 64]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

if not __package__:
    import _from_file  # noqa: F401

from benchmarks import problems, rivals, timing
from benchmarks.rivals import BATCH_MAJOR, FEATURE_MAJOR, Case
from benchmarks.targets import regret


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Time what the plan chose against every candidate.")
    parser.add_argument("problems", nargs="*")
    parser.add_argument("-n", nargs="+", type=int, default=list(regret.BATCHES))
    parser.add_argument("--batch-major", action="store_true")
    parser.add_argument("--data", type=Path)
    chosen = parser.parse_args(arguments)
    timing.pin(1)
    rivals.set_threads(1)
    folder = problems.data_folder(chosen.data)
    records = []
    for name in chosen.problems or regret.names(folder):
        for n in chosen.n:
            case = Case(problems.get(name, folder), n, BATCH_MAJOR if chosen.batch_major and n > 1 else FEATURE_MAJOR)
            records.append(regret.measure(case, regret.EFFORT)[1])
            found = records[-1]
            print(f"{case}: {found['regret']:.1%} with {found['chosen']}")
            for form, ns in sorted(found["ns"].items(), key=lambda item: item[1]):
                print(f"    {ns / 1e3:10.2f} us  {form}")
    print(f"geometric mean {regret.mean(records):.2%} of {len(records)} products")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
