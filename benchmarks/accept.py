# SPDX-License-Identifier: BSD-3-Clause
"""The speed targets, measured in one command:

    python benchmarks/accept.py -o results/acceptance.json [--data DIR] [--quick] [--only WORD ...]

Writes every case with its rivals to JSON and prints a table: target, figure, and what was missed. The exit status is 0
whatever the figures are; `--strict` makes a miss 1. `report.py` turns the JSON into tables and pictures.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

if not __package__:
    import _from_file  # noqa: F401

import numpy as np

from benchmarks import problems, rivals, timing
from benchmarks.reports import machine
from benchmarks.reports.targets import acceptance_table, grid_table, of_patterns, patterns_table, sweep_tables
from benchmarks.targets import ON_REQUEST, SECTIONS, judge, patterns, threads
from benchmarks.targets.general import over_mkl
from benchmarks.targets.target import Record, Run, label
from benchmarks.timing import Effort

# No cap that would cut a sample short of its 100 calls: slow cases have fewer rounds instead.
FAST = Effort(sample_ms=1.5, min_calls=100, max_sample_ms=10_000.0, min_rounds=5, max_rounds=9, budget_s=0.5)


def _shown(record: Record) -> str:
    """What the log of a run says of a case."""
    if found := record.get("ratios"):
        best = record["peers"][rivals.Ours.name]
        words = [f"{found[rival]:7.2f}" for rival in (patterns.SPARSE, patterns.DENSE) if found.get(rival)]
        return f"{best['ns'] / 1e3:10.2f} us {' '.join(words)}  {best['variant']}"
    return f"{over_mkl(record):6.2f}"


def measure(sections: Sequence[str], run: Run, cores: Sequence[int]) -> list[Record]:
    records: list[Record] = []
    for section in sections:
        start = time.monotonic()
        for record in SECTIONS[section](run):
            records.append(record)
            if record["kind"] == "matmul":
                print(f"  {label(record):<72} {_shown(record)}", file=sys.stderr)
        print(f"{section}: {time.monotonic() - start:.0f} s on core {cores}", file=sys.stderr)
    return records


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description="Measure the speed targets.")
    found.add_argument("-o", "--output", type=Path, default=Path("results/acceptance.json"))
    found.add_argument("--data", type=Path)
    found.add_argument("--quick", action="store_true", help="a sixth of the matrices")
    found.add_argument(
        "--only",
        nargs="+",
        choices=list(SECTIONS),
        metavar="SECTION",
        help=f"of {', '.join(SECTIONS)}; {', '.join(ON_REQUEST)} runs only when named",
        default=[s for s in SECTIONS if s not in ON_REQUEST],
    )
    found.add_argument("--seconds", type=float, default=FAST.budget_s, help="time for the race of one case")
    found.add_argument("--sample-cap", type=float, default=FAST.max_sample_ms, metavar="MS",
                        help="longest sample; under a small one slow calls get fewer than 100 a sample")  # fmt: skip
    found.add_argument("--strict", action="store_true", help="exit status 1 when a target is missed")
    found.add_argument("--scaling", type=int, help=argparse.SUPPRESS)
    found.add_argument("--avx2", action="store_true", help=argparse.SUPPRESS)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parser().parse_args(arguments)
    if chosen.scaling:
        print(json.dumps(threads.measure(chosen.scaling)))
        return 0
    there, why = rivals.Ours().available()
    if not there:
        print(f"complsparse is {why}", file=sys.stderr)
        return 2
    cores = timing.pin(1)
    rivals.set_threads(1)
    effort = replace(FAST, budget_s=chosen.seconds, max_sample_ms=chosen.sample_cap)
    if chosen.avx2:
        print(json.dumps(patterns.avx2_cases(Run(None, chosen.quick, 1, effort))))
        return 0
    for name, reason in rivals.absent().items():
        print(f"absent: {name}: {reason}", file=sys.stderr)
    folder = problems.data_folder(chosen.data)
    if folder is None:
        print("no folder of real matrices (--data, COMPLSPARSE_DATA): generated ones only", file=sys.stderr)
    records = measure(chosen.only, Run(folder, chosen.quick, 1, effort, __file__), cores)
    disturbed = [r["disturbed"] for r in records if "disturbed" in r]
    if disturbed and np.mean(disturbed) > 0.02:
        print(f"{np.mean(disturbed):.0%} of the samples had to share their core: measure again when it is free",
              file=sys.stderr)  # fmt: skip
    verdicts = judge(records)
    content = {"machine": machine.record(1, roof=True), "cases": records, "targets": [v.record() for v in verdicts]}
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(json.dumps(content, indent=1) + "\n")
    in_their_own_table = of_patterns(verdicts)
    print(acceptance_table([v for v in verdicts if v not in in_their_own_table]))
    if in_their_own_table:
        print(f"\n{patterns_table(verdicts, records)}")
    for table in sweep_tables(records):
        print(f"\n{table}")
    if grid := grid_table(records):
        print(f"\n{grid}")
    return 1 if chosen.strict and any(v.met is False for v in verdicts) else 0


if __name__ == "__main__":
    raise SystemExit(main())
