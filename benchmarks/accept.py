# SPDX-License-Identifier: BSD-3-Clause
"""The speed targets, measured in one command:

    python benchmarks/accept.py -o results/acceptance.json [--data DIR] [--quick] [--only WORD ...]

Writes every case with its rivals to JSON and prints a table: target, figure, and what was missed. The exit status is 0
whatever the figures are; `--strict` makes a miss 1. `report.py` turns the JSON into tables and pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if not __package__:
    import _from_file  # noqa: F401

import numpy as np

from benchmarks.problems import matrices as problems
from benchmarks.problems.matrices import COUNTED_NNZ, Problem
from benchmarks.reports import machine
from benchmarks.rivals import comparison as compare
from benchmarks.rivals import peers
from benchmarks.rivals.peers import BATCH_MAJOR, FEATURE_MAJOR, Case, MklSparse, Ours
from benchmarks.targets import contests as winners
from benchmarks.targets import overhead, packing, patterns, regret
from benchmarks.targets import winners as spspmm
from benchmarks.timing import loop as timing
from benchmarks.timing.loop import Effort, geometric_mean

BATCHES = (1, 16, 64, 256)
# No cap that would cut a sample short of its 100 calls: slow cases have fewer rounds instead.
FAST = Effort(sample_ms=1.5, min_calls=100, max_sample_ms=10_000.0, min_rounds=5, max_rounds=9, budget_s=0.5)


@dataclass(frozen=True)
class Line:
    """One target: what, the bound, the figure, and the cases behind it that are worst."""

    what: str
    target: str
    figure: str
    met: bool | None  # None: not measured
    worst: str = ""


# --- measuring --------------------------------------------------------------------------------------------------------


def measure(
    problem: Problem, batches: Iterable[int], layout: str, dtype: Any, threads: int, section: str, effort: Effort
) -> Iterator[dict[str, Any]]:
    """Ours against MKL sparse in the compiled loop, and the public calls of ours and of scipy."""
    ours = Ours()
    packed = None
    for n in batches:
        case = Case(problem, n, layout, dtype, threads)
        if packed is None:
            packed = ours.convert(case.matrix)
        try:
            result = compare.compare(case, [MklSparse()], effort, ours=[ours.bound(packed, case)])
            calls = peers.public_calls(case, packed)
        except AssertionError as error:  # a wrong result ends its case, not the run; it is a missed target of its own
            print(f"  {error}", file=sys.stderr)
            yield {"kind": "wrong", "section": "wrong", "problem": problem.name, "n": n, "error": str(error)}
            continue
        public = timing.race_python(calls, rounds=5, sample_ms=1.0, min_calls=5)
        python_ns = {name: public.median(name) for name in public.names}
        yield {"kind": "matmul", "section": section, **result.record(), "python_ns": python_ns}


def ratio_cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    """The matrices of the ratio targets, feature-major; the smaller real ones are reported, not counted."""
    chosen = [*problems.random_problems(), *problems.real_problems(folder, ["dlmc"])]
    for problem in chosen[::6] if quick else chosen:
        yield from measure(problem, BATCHES, FEATURE_MAJOR, np.float32, threads, "ratios", effort)


def large_cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    for problem in problems.large_problems()[1:2] if quick else problems.large_problems():
        yield from measure(problem, BATCHES[:3], FEATURE_MAJOR, np.float32, threads, "large", effort)


def batch_major_cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    chosen = [*problems.random_problems(), problems.get("bernoulli_4096x4096_95")]
    for problem in chosen[::8] if quick else chosen:
        batches = BATCHES[1:] if problem.group == "random" else BATCHES[1:3]
        yield from measure(problem, batches, BATCH_MAJOR, np.float32, threads, "batch-major", effort)


def double_cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    chosen = [p for p in problems.random_problems() if p.name.startswith("bernoulli") and p.name.endswith("95")]
    for problem in chosen[::4] if quick else chosen:
        yield from measure(problem, BATCHES, FEATURE_MAJOR, np.float64, threads, "float64", effort)


def block_cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    """Real matrices of exact blocks, where MKL has a block form: reported, no target of their own yet."""
    chosen = problems.real_problems(folder, ["lyra"])
    for problem in chosen[::6] if quick else chosen:
        yield from measure(problem, (1, 16), FEATURE_MAJOR, np.float32, threads, "blocks", effort)


def overhead_cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    for n in (None, 8):
        _, record = overhead.measure(n, rounds=5 if quick else 21)
        yield {"kind": "overhead", "section": "overhead", **record}


def packing_cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    rounds = 3 if quick else 11
    for name in ("bernoulli_1024x1024_95", "bernoulli_3072x768_90", "bernoulli_4096x4096_95"):
        matrix = problems.get(name).csr(np.float32)
        samples = timing.race_python({"split": packing.pack_call(matrix, "split")}, rounds, min_calls=1)
        rate = matrix.nnz / samples.median("split") * 1e3
        yield {"kind": "pack", "section": "packing", "problem": name, "nnz": int(matrix.nnz), "strategy": "split",
               "million_nonzeros_per_second": rate}  # fmt: skip
        for strategy in ("split", "auto"):
            ours = Ours(strategy)
            convert = {strategy: lambda ours=ours, matrix=matrix: ours.convert(matrix)}
            samples = timing.race_python(convert, rounds, min_calls=1)
            yield {"kind": "from_scipy", "section": "packing", "problem": name, "nnz": int(matrix.nnz),
                   "strategy": strategy,
                   "million_nonzeros_per_second": matrix.nnz / samples.median(strategy) * 1e3}  # fmt: skip
    _, record = packing.break_even(Case(problems.get("bernoulli_1024x1024_95"), 16, threads=threads), rounds)
    yield {"kind": "break_even", "section": "packing", "problem": "bernoulli_1024x1024_95", **record}


def scaling_cases(rounds: int) -> dict[str, Any]:
    """Ours with one and with two threads in turn, in a process that has two cores."""
    compare.pin(2)
    cs = peers.import_ours()
    ours = Ours()
    case = Case(problems.get("bernoulli_4096x4096_95"), 64, threads=2)
    cs.set_num_threads(2)
    variant = ours.bound(ours.convert(case.matrix), case)
    variant.call()
    case.check(variant.name, variant.result)
    once = Effort(sample_ms=60.0, min_calls=1, max_sample_ms=60.0, min_rounds=1, max_rounds=1, budget_s=0.0)
    ns: dict[int, list[float]] = {1: [], 2: []}
    disturbed = []
    for r in range(rounds):
        for threads in (1, 2) if r % 2 == 0 else (2, 1):
            cs.set_num_threads(threads)
            samples = timing.race([variant.call], once)
            ns[threads].append(samples.median(variant.name))
            disturbed.append(samples.disturbed)
    ratio = float(np.median(np.array(ns[1]) / np.array(ns[2])))
    return {"kind": "scaling", "section": "threads", "problem": case.problem.name, "n": case.n,
            "ns": {str(t): float(np.median(values)) for t, values in ns.items()}, "speedup": ratio,
            "disturbed": float(np.mean(disturbed))}  # fmt: skip


def thread_cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    if len(os.sched_getaffinity(0)) < 2 and (os.cpu_count() or 1) < 2:
        return
    # A process of its own: thread pools keep the cores that they were born with.
    command = [sys.executable, __file__, "--scaling", "3" if quick else "11"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=_all_cores)
    if done.returncode:
        raise RuntimeError(f"the two-thread measurement failed:\n{done.stderr}")
    yield json.loads(done.stdout)


def pattern_cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    """Balanced and blocked matrices against the best of every family of rivals, then both sides held to AVX2."""
    yield from patterns.cases(folder, quick, threads, effort)
    yield from patterns.avx2_in_a_process(__file__, quick, effort.budget_s)


def regret_cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    names = regret.names(folder)
    for name in names[::4] if quick else names:
        for n in regret.BATCHES:
            yield {"section": "regret", **regret.measure(Case(problems.get(name, folder), n), regret.EFFORT)[1]}


_cores_at_start = os.sched_getaffinity(0)


def _all_cores() -> None:
    os.sched_setaffinity(0, _cores_at_start)


SECTIONS: dict[str, Callable[[Path | None, bool, int, Effort], Iterator[dict[str, Any]]]] = {
    "overhead": overhead_cases,
    "packing": packing_cases,
    "threads": thread_cases,
    "ratios": ratio_cases,
    "large": large_cases,
    "batch-major": batch_major_cases,
    "float64": double_cases,
    "blocks": block_cases,
    "patterns": pattern_cases,
    "sweep": patterns.sweep_cases,
    "regret": regret_cases,
    "contest": winners.cases,
    "winners": spspmm.cases,
    "grid": spspmm.grid_cases,
    "network": spspmm.network_cases,
    "choice": patterns.choice_cases,
}
# For the charts alone: run when asked for.
ON_REQUEST = ("choice",)


# --- judging ----------------------------------------------------------------------------------------------------------


def _ratio(record: dict[str, Any]) -> float:
    found = record["peers"].get(MklSparse.name, {}).get("ratio")
    return float("nan") if found is None else float(found)


def _shown(record: dict[str, Any]) -> str:
    """What the log of a run says of a case."""
    if found := record.get("ratios"):
        best = record["peers"][Ours.name]
        words = [f"{found[rival]:7.2f}" for rival in (patterns.SPARSE, patterns.DENSE) if found.get(rival)]
        return f"{best['ns'] / 1e3:10.2f} us {' '.join(words)}  {best['variant']}"
    return f"{_ratio(record):6.2f}"


def _label(record: dict[str, Any]) -> str:
    return f"{record['problem']} n={record['n']}"


def _worst(records: Sequence[dict[str, Any]], key: Callable[[dict[str, Any]], float], count: int = 3) -> str:
    return ", ".join(f"{_label(r)} {key(r):.2f}" for r in sorted(records, key=key)[:count])


def _first_words(wrong: Sequence[dict[str, Any]], count: int = 3) -> str:
    return "; ".join(r["error"] for r in wrong[:count])


def _mean_line(what: str, records: Sequence[dict[str, Any]], bound: float, key: Any = _ratio) -> Line:
    target = f">= {bound}"
    if not records or any(np.isnan(key(r)) for r in records):
        return Line(what, target, "not measured", None)
    mean = geometric_mean([key(r) for r in records])
    return Line(f"{what} ({len(records)} cases)", target, f"{mean:.2f}", mean >= bound, _worst(records, key))


def judge(records: Sequence[dict[str, Any]]) -> list[Line]:
    """The targets, from the records of `SECTIONS`."""
    by_section: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_section.setdefault(record["section"], []).append(record)
    lines = []
    if wrong := by_section.get("wrong"):
        lines.append(Line("every result within its bound", "0 wrong", str(len(wrong)), False, _first_words(wrong)))
    ratios = by_section.get("ratios", [])
    counted = [r for r in ratios if r["nnz"] >= COUNTED_NNZ]
    for n, bound in ((1, 2.0), (16, 1.6), (64, 1.2), (256, 1.2)) if ratios else ():
        lines.append(_mean_line(f"MKL sparse / ours, geomean, N = {n}", [r for r in counted if r["n"] == n], bound))
    sparsest = [r for r in counted if r["n"] == 1 and r["group"] == "random" and r["problem"].endswith("_98")]
    if counted:
        lines.append(_mean_line("the same, 98% random, N = 1", sparsest, 1.3))
        low = min(_ratio(r) for r in counted)
        what = f"lowest single ratio, {COUNTED_NNZ} non-zeros or more ({len(counted)} cases)"
        lines.append(Line(what, ">= 0.85", f"{low:.2f}", low >= 0.85, _worst(counted, _ratio, 5)))
    for n, bound in ((1, 1.2), (16, 1.6), (64, 1.25)) if "large" in by_section else ():
        large = [r for r in by_section.get("large", []) if r["n"] == n]
        lines.append(_mean_line(f"4096 x 4096, geomean, N = {n}", large, bound))

    def to_column_major(record: dict[str, Any]) -> float:
        found = record.get("ratio_to_column_major")
        return float("nan") if found is None else float(found)

    batch_major = by_section.get("batch-major", [])
    if batch_major:
        lines.append(_mean_line("batch-major: MKL column-major / ours, geomean", batch_major, 3.0, to_column_major))
    for n in BATCHES[1:] if batch_major else ():
        chosen = [r for r in batch_major if r["n"] == n]
        lines.append(_mean_line(f"the same, N = {n}", chosen, 3.0, to_column_major))

    products = [r for r in records if r["kind"] == "matmul" and not r["section"].startswith("patterns")]
    if products:
        # What a call costs us beyond scipy's on next to nothing is the allowance.
        allowance = max((r["above_numpy_ns"] for r in by_section.get("overhead", [])), default=0.0)

        def lead(record: dict[str, Any]) -> float:
            python = record["python_ns"]
            fastest = min(value for name, value in python.items() if name.startswith("scipy"))
            return float(fastest / max(python["public"] - max(allowance, 0.0), 1.0))

        low = min(map(lead, products))
        what = f"scipy / ours beyond the call overhead, lowest ({len(products)} cases)"
        lines.append(Line(what, ">= 1", f"{low:.2f}", low >= 1.0, _worst(products, lead)))
    for record in by_section.get("overhead", []):
        which = "vector" if record["n"] is None else f"{record['n']} columns"
        above, plan = record["above_numpy_ns"] / 1e3, record["plan_ns"] / 1e3
        lines.append(Line(f"call on 8x8 above np.matmul(out=), {which}", "<= 0.6 us", f"{above:.2f} us", above <= 0.6))
        lines.append(Line(f"bound plan call on 8x8, {which}", "<= 0.35 us", f"{plan:.2f} us", plan <= 0.35))
    for record in by_section.get("threads", []):
        speedup = record["speedup"]
        lines.append(Line("two threads, 4096x4096, N = 64", ">= 1.8", f"{speedup:.2f}", speedup >= 1.8))
    for kind, what in (("pack", "packing alone, split"), ("from_scipy", "from_scipy, split")):
        rates = [
            r for r in by_section.get("packing", []) if r["kind"] == kind and r.get("strategy", "split") == "split"
        ]
        if rates:
            low = min(r["million_nonzeros_per_second"] for r in rates)
            detail = ", ".join(f"{r['problem']} {r['million_nonzeros_per_second']:.0f}" for r in rates)
            lines.append(Line(what, ">= 50 M nnz/s", f"{low:.0f} M nnz/s", low >= 50, detail))
    for record in by_section.get("packing", []):
        if record["kind"] == "break_even":
            count = record["multiplies"]
            what = "break-even against scipy, N = 16, 1024x1024 95%"
            us = {k: record[f"{k}_ns"] / 1e3 for k in ("prepare", "scipy", "public")}
            detail = f"prepared in {us['prepare']:.0f} us, scipy {us['scipy']:.0f} us, ours {us['public']:.0f} us"
            lines.append(Line(what, "<= 20 multiplies", f"{count:.1f}", count <= 20, detail))
    lines += _pattern_lines(patterns.verdicts(records))
    for record in by_section.get("sweep", []):
        for line in record["fits"]:
            if line["peer"] == Ours.name:
                what = f"time against density, (1, 1), N = {record['n']}"
                r_squared, share = line["r_squared"], line["share"]
                lines.append(Line(f"{what}: R²", ">= 0.99", f"{r_squared:.4f}", r_squared >= 0.99))
                lines.append(Line(f"{what}: intercept / 80% time", "< 10%", f"{share:.1%}", share < 0.1))
    lines += [Line(*bound) for bound in winners.bounds_of(records)]
    lines += [Line(*bound) for bound in spspmm.bounds(records)]
    if regrets := by_section.get("regret"):
        what = f"regret of the plan's choice, geomean ({len(regrets)} cases)"
        if all(len(r["ns"]) == 1 for r in regrets):
            lines.append(Line(what, "< 5%", "not measured: the library names no candidates", None))
        else:
            found = regret.mean(regrets)
            worst = sorted(regrets, key=lambda r: -r["regret"])[:5]
            detail = ", ".join(f"{_label(r)} {r['regret']:.0%} ({r['chosen']}, best {r['best']})" for r in worst)
            lines.append(Line(what, "< 5%", f"{found:.1%}", found < 0.05, detail))
    return lines


def _pattern_lines(verdicts: Sequence[patterns.Verdict]) -> list[Line]:
    """The table of patterns, one line per bound. A line is met where every matrix of it is."""
    lines = []
    for verdict in verdicts:
        for rival, bound in verdict.target.bounds.items():
            what = f"{verdict.target.what}, N = {verdict.target.n}: {rival} / ours"
            target = f"{'aim ' if verdict.target.aim else ''}>= {bound:g}"
            if verdict.missing or not verdict.found[rival]:
                lines.append(Line(what, target, verdict.missing or f"no {rival} here", None))
                continue
            figure = f"lowest {verdict.lowest(rival):.2f}, mean {verdict.mean(rival):.2f}"
            lines.append(Line(what, target, figure, None if verdict.target.aim else verdict.met(rival),
                              verdict.each(rival)))  # fmt: skip
    return lines


def table(lines: Sequence[Line]) -> str:
    rows = ["| target | bound | measured | | lowest cases, or what it is made of |", "|---|---|---|---|---|"]
    marks = {True: "met", False: "**missed**", None: "-"}
    rows += [f"| {r.what} | {r.target} | {r.figure} | {marks[r.met]} | {r.worst} |" for r in lines]
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure the speed targets.")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/acceptance.json"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--quick", action="store_true", help="a sixth of the matrices")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=list(SECTIONS),
        metavar="SECTION",
        help=f"of {', '.join(SECTIONS)}; {', '.join(ON_REQUEST)} runs only when named",
        default=[s for s in SECTIONS if s not in ON_REQUEST],
    )
    parser.add_argument("--seconds", type=float, default=FAST.budget_s, help="time for the race of one case")
    parser.add_argument("--sample-cap", type=float, default=FAST.max_sample_ms, metavar="MS",
                        help="longest sample; under a small one slow calls get fewer than 100 a sample")  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="exit status 1 when a target is missed")
    parser.add_argument("--scaling", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--avx2", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.scaling:
        print(json.dumps(scaling_cases(chosen.scaling)))
        return 0
    there, why = Ours().available()
    if not there:
        print(f"complsparse is {why}", file=sys.stderr)
        return 2
    cores = compare.pin(1)
    peers.set_threads(1)
    effort = Effort(**{**asdict(FAST), "budget_s": chosen.seconds, "max_sample_ms": chosen.sample_cap})
    if chosen.avx2:
        print(json.dumps(patterns.avx2_cases(chosen.quick, 1, effort)))
        return 0
    for name, reason in peers.absent().items():
        print(f"absent: {name}: {reason}", file=sys.stderr)
    folder = problems.data_folder(chosen.data)
    if folder is None:
        print("no folder of real matrices (--data, COMPLSPARSE_DATA): generated ones only", file=sys.stderr)
    records: list[dict[str, Any]] = []
    for section in chosen.only:
        start = time.monotonic()
        for record in SECTIONS[section](folder, chosen.quick, 1, effort):
            records.append(record)
            if record["kind"] == "matmul":
                print(f"  {_label(record):<72} {_shown(record)}", file=sys.stderr)
        print(f"{section}: {time.monotonic() - start:.0f} s on core {cores}", file=sys.stderr)
    disturbed = [r["disturbed"] for r in records if "disturbed" in r]
    if disturbed and np.mean(disturbed) > 0.02:
        print(f"{np.mean(disturbed):.0%} of the samples had to share their core: measure again when it is free",
              file=sys.stderr)  # fmt: skip
    lines = judge(records)
    content = {"machine": machine.record(1, roof=True), "cases": records, "targets": [asdict(line) for line in lines]}
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(json.dumps(content, indent=1) + "\n")
    found = patterns.verdicts(records)
    in_their_own_table = _pattern_lines(found)
    print(table([line for line in lines if line not in in_their_own_table]))
    if found:
        print(f"\n{patterns.table(found)}")
    for sweep_table in patterns.sweep_tables(records):
        print(f"\n{sweep_table}")
    if grid := spspmm.grid_table(records):
        print(f"\n{grid}")
    return 1 if chosen.strict and any(line.met is False for line in lines) else 0


if __name__ == "__main__":
    raise SystemExit(main())
