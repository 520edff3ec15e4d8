# SPDX-License-Identifier: BSD-3-Clause
"""``python tests/fuzz --seconds 60``: runs all targets, or those named, and reports. Status 1: something was found."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.registry import generator, load_targets
from fuzz.runner import run

ALL_CASES = 2**40


def arguments(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz", description="Random cases, in processes with a limit of memory.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"default: all of {', '.join(names)}")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together (default: 60)")
    parser.add_argument("--seed", type=int, default=None, help="default: the date, so that each day has its own cases")
    parser.add_argument("--first", type=int, default=0, help="the first case (default: 0)")
    parser.add_argument("--cases", type=int, default=ALL_CASES, help="of each target (default: until time is up)")
    parser.add_argument("--here", action="store_true", help="run the case --first in this process, for a debugger")
    args = parser.parse_args()
    for name in args.targets:
        if name not in names:
            parser.error(f"{name!r} is no target; there are {', '.join(names)}")
    if args.here and len(args.targets) != 1:
        parser.error("--here runs one case of one target")
    if args.seed is None:
        args.seed = int(time.strftime("%Y%m%d"))
    return args


def main() -> int:
    targets = load_targets()
    args = arguments(sorted(targets))
    names = args.targets or sorted(targets)
    if args.here:
        targets[names[0]].prepare()
        print(targets[names[0]].run(generator(args.seed, names[0], args.first)))
        return 0
    print(f"seed {args.seed}")
    findings = []
    for name in names:
        report = run(targets[name], args.seed, args.first, args.cases, args.seconds / len(names))
        print(report.line(), flush=True)
        findings += report.findings
    for finding in {finding.place: finding for finding in reversed(findings)}.values():  # the first of each
        print(f"\n{finding.kind} in {finding.target}, case {finding.case}: run it again with")
        print(f"    python tests/fuzz {finding.target} --seed {args.seed} --first {finding.case} --here")
        print(finding.text.rstrip())
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
