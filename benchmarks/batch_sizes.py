# SPDX-License-Identifier: BSD-3-Clause
"""Time against the number of columns, and where a batch takes longer than a wider one:

python benchmarks/batch_sizes.py [bernoulli_1024x1024_95 ...] [-n 1 16 17] [--batch-major] [--isa avx2] [-o OUT.json]

With `-o`, a file that `report.py` draws.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

if not __package__:
    import _from_file  # noqa: F401

from benchmarks import rivals, timing
from benchmarks.reports import machine
from benchmarks.rivals import BATCH_MAJOR, FEATURE_MAJOR
from benchmarks.targets import batch_sizes
from benchmarks.targets.target import Record


def show(record: Record) -> None:
    print(f"{batch_sizes.label(record)}, {record['isa']}; N: us, MKL sparse / ours")
    mkl = batch_sizes.over_mkl(record) if record["mkl_ns"] else {}
    cells = [f"{n:4}: {ns / 1e3:7.1f} {mkl.get(n, 0):5.2f}" for n, ns in zip(record["n"], record["ns"])]
    for first in range(0, len(cells), 8):
        print("  ".join(cells[first : first + 8]))
    plans = dict(zip(record["n"], record["variants"]))
    changes = [f"{n} {p}" for (n, p), before in zip(plans.items(), ["", *plans.values()]) if p != before]
    print("from N =", "; ".join(changes))
    worst = batch_sizes.steps(record["n"], record["ns"])[:6]
    print("t(N) / t(M):", ", ".join(f"{s.n}/{s.wider} {s.factor:.2f}" for s in worst if s.factor > 1))
    if {33, 64} <= set(record["n"]):
        print(f"t(33) / t(64): {batch_sizes.half(record):.2f}")
    if mkl:
        n = min(mkl, key=lambda n: mkl[n])
        print(f"MKL sparse / ours: {mkl[n]:.2f} at N = {n} at least")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Time a matrix's products of every width.")
    parser.add_argument("problems", nargs="*", default=list(batch_sizes.MATRICES))
    parser.add_argument("-n", nargs="+", type=int, default=list(batch_sizes.SIZES))
    parser.add_argument("--batch-major", action="store_true", help="that order alone")
    parser.add_argument("--feature-major", action="store_true", help="likewise; both without either")
    parser.add_argument("--isa", help="the level, instead of the best")
    parser.add_argument("--layout", default="", help="of W, for all sizes that it serves, instead of the chosen ones")
    parser.add_argument("--no-mkl", action="store_true")
    parser.add_argument("-o", "--output", type=Path)
    chosen = parser.parse_args(arguments)
    timing.pin(1)
    rivals.set_threads(1)
    if chosen.isa:
        rivals.import_ours()._core.set_isa(chosen.isa)
    orders = [FEATURE_MAJOR] * chosen.feature_major + [BATCH_MAJOR] * chosen.batch_major
    records = []
    for name in chosen.problems:
        for order in orders or [FEATURE_MAJOR, BATCH_MAJOR]:
            records.append(batch_sizes.sweep(name, order, chosen.n, mkl=not chosen.no_mkl, way=chosen.layout))
            show(records[-1])
    if len(records) > 1:
        for target in batch_sizes.TARGETS:
            if verdict := target.verdict(records):
                print(f"{verdict.what}: {verdict.figure.text}, bound {verdict.bound}; {verdict.figure.detail}")
    if chosen.output:
        found = {"machine": machine.record(1), "cases": records, "targets": []}
        chosen.output.write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
