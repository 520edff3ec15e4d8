# SPDX-License-Identifier: BSD-3-Clause
"""The targets for patterns that pack perfectly, and time against density: `accept.py --only patterns sweep`.

Every ratio is the median over interleaved rounds of rival / ours, at least 100 calls a sample. x and y are plain
C-order arrays: where a rival wants others, transposing or copying them is timed. What the rival would take if it got
arrays in its own layout for nothing stands beside it, and is not what is judged.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.problems import matrices as problems
from benchmarks.problems.matrices import Problem
from benchmarks.rivals import comparison as compare
from benchmarks.rivals import peers
from benchmarks.rivals.comparison import Comparison
from benchmarks.rivals.peers import Case, MklDense, MklSparse, Ours, Variant
from benchmarks.timing import loop as timing
from benchmarks.timing.loop import Effort, geometric_mean

FLOAT, BRAIN = "float32", "bfloat16"
# What a bound is over: (peer, family); None is the best of all families.
SPARSE, CSR, BSR, DENSE, UNPACKED = "MKL sparse", "MKL CSR", "MKL BSR", "MKL dense", "MKL dense, unpacked"
RIVALS = {
    SPARSE: (MklSparse.name, None),
    CSR: (MklSparse.name, "csr"),
    BSR: (MklSparse.name, "bsr"),
    DENSE: (MklDense.name, None),
    UNPACKED: (MklDense.name, "unpacked"),
}
SWEEP_BATCHES = (1, 16, 64)
CHOICE_BATCHES = (1, 4, 16, 64, 256)
CHOICE_HEIGHTS = (1, 4, 16)


@dataclass(frozen=True)
class Target:
    """A line of the table: problems by name, the batch size, and the lowest ratio over each rival."""

    what: str
    problems: tuple[str, ...]
    n: int
    bounds: dict[str, float]
    weights: str = FLOAT
    aim: bool = False  # reported against its bound, but a miss is no failure


def _balanced(height: int, set_size: int, shapes: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"balanced_{shape}_b{height}_s{set_size}" for shape in shapes)


def _line(
    height: int, set_size: int, shapes: Sequence[str], n: int, sparse: float, dense: float, **more: Any
) -> Target:
    # A packed dense matrix is a rival of its own at N = 4.
    bounds = {SPARSE: sparse, UNPACKED if n == 4 else DENSE: dense}
    what = f"({height}, 1), set_size {set_size}" + (f", {BRAIN}" if more.get("weights") == BRAIN else "")
    return Target(what, _balanced(height, set_size, shapes), n, bounds, **more)


SQUARE, FLAT, TALL, RAGGED, LARGE = "1024x1024", "1536x1664", "3072x768", "1500x1600", "4096x4096"
BOTH = (SQUARE, TALL)
LYRA_LAYERS = tuple(f"lyra/{name}" for name in ("conditioning_stack_0", "conditioning_stack_1",
                                                "conditioning_stack_2", "proj"))  # fmt: skip

TABLE: tuple[Target, ...] = (
    _line(1, 16, (SQUARE, FLAT, TALL), 1, 4.5, 55),
    _line(1, 20, (SQUARE, FLAT, TALL, RAGGED), 1, 3.7, 55),
    _line(1, 16, (LARGE,), 1, 2.5, 15),
    _line(1, 16, (LARGE,), 1, 5, 30, weights=BRAIN),
    _line(4, 16, BOTH, 1, 5.3, 65),
    _line(4, 16, BOTH, 4, 6, 55),
    _line(4, 16, BOTH, 16, 3.0, 15),
    _line(1, 16, (SQUARE, FLAT, TALL), 4, 3.6, 40),
    _line(1, 16, (SQUARE, TALL, LARGE), 16, 1.9, 10),
    _line(1, 16, BOTH, 64, 1.3, 8.5),
    _line(1, 20, BOTH, 64, 1.25, 9.5),
    _line(1, 16, BOTH, 256, 1.2, 7.5),
    _line(1, 20, BOTH, 256, 1.15, 8.5),
    _line(4, 16, BOTH, 64, 1.9, 13),
    _line(4, 16, BOTH, 256, 1.7, 11.5),
    *(
        _line(height, 16, BOTH, n, sparse, dense)
        for height in (8, 16)
        for n, sparse, dense in ((16, 3.4, 18), (64, 2.1, 15), (256, 1.9, 12.5))
    ),
    Target("Lyra GRU, real", ("lyra/gru_layer",), 1, {CSR: 3, BSR: 1.5, DENSE: 60}),
    Target("Lyra GRU, real", ("lyra/gru_layer",), 16, {CSR: 2.4, BSR: 1.3, DENSE: 17}),
    Target("Lyra 512x1024, real", LYRA_LAYERS, 1, {CSR: 4, BSR: 1.2, DENSE: 13}),
    Target("Lyra 512x1024, real", LYRA_LAYERS, 16, {CSR: 2, BSR: 1.1, DENSE: 8}),
)
# In a process of its own, both sides held to AVX2.
AVX2_TABLE: tuple[Target, ...] = tuple(
    Target(f"({height}, 1), set_size {size}, AVX2 forced", _balanced(height, size, BOTH), n, {SPARSE: bound}, aim=True)
    for height, size in ((1, 16), (1, 20), (4, 16))
    for n, bound in ((1, 2.0), (16, 1.3))
)


# --- measuring --------------------------------------------------------------------------------------------------------


def rounded_to_bfloat16(problem: Problem) -> Problem:
    """The same pattern with values that bfloat16 holds exactly: one reference for all."""

    def build() -> Any:
        matrix = problem.csr(np.float32)
        bits = matrix.data.view(np.uint32)
        matrix.data[...] = (bits + 0x7FFF + (bits >> 16 & 1) & 0xFFFF0000).view(np.float32)
        return matrix

    return replace(problem, name=f"{problem.name}_{BRAIN}", build=build)


def _converted(ours: Ours, case: Case, weights: str) -> Any:
    packed = ours.convert(case.matrix)
    if weights != FLOAT:
        import ml_dtypes  # noqa: F401  (names the dtype)

        packed = packed.astype(np.dtype(weights))
    return packed


def contest(variant: Variant) -> Hashable | None:
    """Who meets whom in a final: the families apart, only those that work on the case's own arrays."""
    return (variant.peer, variant.family) if variant.natural else None


def ratios(result: Comparison) -> dict[str, float | None]:
    """Over every rival, on the case's own arrays; `..., free` is with arrays that the rival got in its own layout, from
    the heat."""
    found: dict[str, float | None] = {}
    mine = min(v.name for v in result.variants if v.peer == Ours.name)
    for name, (peer, family) in RIVALS.items():
        found[name] = result.ratio(peer, family=family)
        heats = [ns for variant, ns in result.heat.items() if variant.startswith(f"{peer}: ")]
        found[f"{name}, free"] = min(heats) / result.heat[mine] if heats and family is None else None
    return found


def measure(
    problem: Problem, n: int, weights: str, section: str, threads: int, effort: Effort
) -> tuple[Comparison | None, dict[str, Any]]:
    """One product against every rival, and the call from Python; None where it was not run or came out wrong."""
    about = {"section": section, "weights": weights, "problem": problem.name, "n": n}
    case = Case(problem if weights == FLOAT else rounded_to_bfloat16(problem), n, threads=threads)
    ours = Ours()
    try:
        packed = _converted(ours, case, weights)
        mine = ours.bound(packed, case)
    except (ImportError, TypeError, ValueError) as error:
        if weights == FLOAT:
            raise
        return None, {"kind": "not run", **about, "why": f"{type(error).__name__}: {error}"}
    try:
        result = compare.compare(case, [MklSparse(), MklDense()], effort, ours=[mine], contest=contest)
        calls = peers.public_calls(case, packed)
    except AssertionError as error:  # a wrong result ends its case, not the run; it is a missed target of its own
        print(f"  {error}", file=sys.stderr)
        return None, {"kind": "wrong", **about, "section": "wrong", "error": str(error)}
    quick = effort.min_rounds == 1
    public = timing.race_python(calls, *((1, 0.05, 3) if quick else (5, 1.0, 20)), alone=threads == 1)
    return result, {
        "kind": "matmul", **result.record(), **about, "ratios": ratios(result),
        "python_ns": {name: public.median(name) for name in public.names},
    }  # fmt: skip


def measured(
    table: Sequence[Target], section: str, folder: Path | None, quick: bool, threads: int, effort: Effort
) -> Iterator[dict[str, Any]]:
    """Each case of a table once."""
    if quick:
        table = table[::4]
    wanted = dict.fromkeys((name, t.n, t.weights) for t in table for name in (t.problems[:1] if quick else t.problems))
    for name, n, weights in wanted:
        if name.startswith("lyra/") and folder is None:
            continue
        yield measure(problems.get(name, folder), n, weights, section, threads, effort)[1]


def cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    yield from measured(TABLE, "patterns", folder, quick, threads, effort)


def avx2_cases(quick: bool, threads: int, effort: Effort) -> list[dict[str, Any]]:
    """For a process whose environment holds both sides to AVX2."""
    return list(measured(AVX2_TABLE, "patterns, AVX2", None, quick, threads, effort))


def avx2_in_a_process(script: str, quick: bool, seconds: float) -> Iterator[dict[str, Any]]:
    section = "patterns, AVX2"
    levels = {level["name"]: level["supported"] for level in _levels()}
    if not levels.get("avx2"):
        yield {
            "kind": "not run",
            "section": section,
            "weights": FLOAT,
            "why": "this CPU or this build has no avx2 level",
        }
        return
    environment = {**os.environ, "COMPLSPARSE_ISA": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
    command = [sys.executable, script, "--avx2", "--seconds", str(seconds), *(["--quick"] if quick else [])]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"the measurement with AVX2 forced failed:\n{done.stderr}")
    yield from json.loads(done.stdout)


def _levels() -> list[dict[str, Any]]:
    from complsparse import _core

    return list(_core.isa_levels())


# --- time against density ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """Least squares: time = intercept + slope * density."""

    intercept: float
    slope: float
    r_squared: float
    share: float  # the intercept over the time of the densest point


def fit(density: Sequence[float], ns: Sequence[float]) -> Fit:
    x, y = np.asarray(density), np.asarray(ns)
    slope, intercept = np.polyfit(x, y, 1)
    left = y - (intercept + slope * x)
    r_squared = 1 - np.sum(left**2) / np.sum((y - y.mean()) ** 2)
    return Fit(float(intercept), float(slope), float(r_squared), float(intercept / y[np.argmax(x)]))


def _fastest(variants: Sequence[Variant], case: Case) -> Variant:
    """The best of a rival in a heat, on the case's own arrays, checked."""
    natural = [v for v in variants if v.natural]
    for variant in natural:
        variant.result[...] = np.nan
        variant.call()
        case.check(variant.name, variant.result)
    heat = timing.race([v.call for v in natural], replace(timing.HEAT, alone=case.threads == 1))
    return min(natural, key=lambda v: heat.median(v.name))


def sweep(
    n: int,
    threads: int,
    effort: Effort,
    heights: Sequence[int] = (1,),
    set_sizes: Sequence[int] = problems.SWEEP_SETS,
    kind: str = "sweep",
) -> tuple[timing.Samples, dict[str, Any]]:
    """Every density and block height in one interleaved race, so that all see the same clock; dense beside them."""
    ours, sparse, dense = Ours(), MklSparse(), MklDense()
    racers: dict[str, Variant] = {}
    points: list[dict[str, Any]] = []
    for height in heights:
        for size in set_sizes:
            problem = problems.balanced(problems.SHAPES[0], size, height, group="sweep")
            case = Case(problem, n, threads=threads)
            found = {Ours.name: _fastest(list(ours.variants(case)), case)}
            if sparse.available()[0]:
                found[MklSparse.name] = _fastest(list(sparse.variants(case)), case)
            if dense.available()[0] and not points:
                racers[MklDense.name] = _fastest(list(dense.variants(case)), case)
            racers |= {f"{peer} {problem.name}": variant for peer, variant in found.items()}
            share = case.matrix.nnz / np.prod(case.matrix.shape)
            points.append({"problem": problem.name, "height": height, "set_size": size, "density": float(share),
                           "nnz": int(case.matrix.nnz),
                           "variants": {peer: v.form for peer, v in found.items()}})  # fmt: skip
    calls = [replace(v.call, name=name) for name, v in racers.items()]
    samples = timing.race(calls, replace(effort, alone=threads == 1))
    fits = []
    for point in points:
        own = {peer: f"{peer} {point['problem']}" for peer in point["variants"]}
        point["ns"] = {peer: samples.median(name) for peer, name in own.items()}
        point["ratio"] = {
            peer: samples.ratio(name, own[Ours.name])
            for peer, name in [*own.items(), (MklDense.name, MklDense.name)]
            if peer != Ours.name and name in racers
        }
    for height in heights:
        for peer in points[0]["ns"]:
            row = [
                (p["density"], p["ns"][peer])
                for p in points
                if p["height"] == height and p["set_size"] in problems.SWEEP_SETS
            ]
            fits.append({"height": height, "peer": peer, **vars(fit(*map(list, zip(*row))))})
    out = {"kind": kind, "section": kind, "n": n, "shape": list(problems.SHAPES[0]), "threads": threads,
           "rounds": len(samples.ns), "disturbed": samples.disturbed, "calls_per_sample": min(samples.calls),
           "points": points, "fits": fits}  # fmt: skip
    if MklDense.name in racers:
        out["dense"] = {"variant": racers[MklDense.name].form, "ns": samples.median(MklDense.name)}
    return samples, out


def sweep_cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    """From 80% to 98% sparse, (1, 1)."""
    sizes = problems.SWEEP_SETS[::3] if quick else problems.SWEEP_SETS
    for n in SWEEP_BATCHES:
        yield sweep(n, threads, replace(effort, min_rounds=7, max_rounds=11, budget_s=2.0), set_sizes=sizes)[1]


def choice_cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    """Sparsity x block height x batch size, for the chart that helps to choose: fewer calls a sample."""
    sizes = (*problems.CROSSOVER_SETS, *problems.SWEEP_SETS)
    effort = replace(effort, min_calls=10, sample_ms=1.0, min_rounds=5, max_rounds=7, budget_s=1.0)
    for n in CHOICE_BATCHES[::2] if quick else CHOICE_BATCHES:
        yield sweep(n, threads, effort, CHOICE_HEIGHTS, sizes[::2] if quick else sizes, "choice")[1]


# --- judging ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured: per rival the ratios of its cases, by problem."""

    target: Target
    found: dict[str, dict[str, float]]
    free: dict[str, float]  # geometric mean where the rival's best of all got arrays of its own layout for nothing
    python_us: dict[str, float]
    missing: str = ""
    left_out: tuple[str, ...] = ()

    def mean(self, rival: str) -> float:
        return geometric_mean(list(self.found[rival].values()))

    def lowest(self, rival: str) -> float:
        return min(self.found[rival].values())

    def each(self, rival: str) -> str:
        words = [f"{short(name)} {ratio:.2f}" for name, ratio in self.found[rival].items()]
        return ", ".join([*words, *(f"{short(name)} not measured" for name in self.left_out)])

    def met(self, rival: str) -> bool | None:
        """Every matrix has to reach the bound; a line of which some are left out can only be missed."""
        if self.missing or not self.found.get(rival):
            return None
        if self.lowest(rival) < self.target.bounds[rival]:
            return False
        return None if self.left_out else True


def _verdict(target: Target, records: Sequence[dict[str, Any]]) -> Verdict:
    mine = {r["problem"]: r for r in records if r.get("n") == target.n and r.get("weights") == target.weights}
    here = {name: mine[name] for name in target.problems if name in mine}
    if refused := [r["why"] for r in here.values() if r["kind"] == "not run"]:
        return Verdict(target, {}, {}, {}, f"not run: {refused[0]}")
    products = {name: r for name, r in here.items() if r["kind"] == "matmul"}
    if not products:
        return Verdict(target, {}, {}, {}, "not measured")

    def per_problem(key: str) -> dict[str, float]:
        return {name: float(r["ratios"][key]) for name, r in products.items() if r["ratios"].get(key) is not None}

    found = {rival: per_problem(rival) for rival in target.bounds}
    free = {rival: geometric_mean(list(per_problem(f"{rival}, free").values())) for rival in (SPARSE, DENSE)}
    python = {name: r["python_ns"]["public"] / 1e3 for name, r in products.items()}
    return Verdict(target, found, free, python, left_out=tuple(p for p in target.problems if p not in products))


def verdicts(records: Sequence[dict[str, Any]]) -> list[Verdict]:
    found = []
    for section, table in (("patterns", TABLE), ("patterns, AVX2", AVX2_TABLE)):
        mine = [r for r in records if r["section"] == section]
        if mine:
            found += [_verdict(target, mine) for target in table]
    return found


def _peer_of(rival: str) -> str:
    return SPARSE if RIVALS[rival][0] == MklSparse.name else DENSE


def short(problem: str) -> str:
    """A problem by what its line does not say already."""
    return problem.split("_")[1] if problem.startswith("balanced_") else problem.removeprefix("lyra/")


def table(found: Sequence[Verdict]) -> str:
    """The acceptance table, with what was measured."""
    rows = [
        "| pattern | N | over | bound | mean | lowest | | each | with arrays in the rival's layout | from Python, us |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    marks = {True: "met", False: "**missed**", None: "-"}
    for v in found:
        first = [v.target.what, str(v.target.n)]
        python = ", ".join(f"{us:.2f}" for us in v.python_us.values())
        for rival, bound in v.target.bounds.items():
            if v.missing or not v.found[rival]:
                rows.append(f"| {' | '.join(first)} | {rival} | {bound:g} | {v.missing or 'absent'} | | - | | | |")
            else:
                each = v.each(rival)
                mark = (
                    {None: "-", True: "aim reached", False: "aim missed"}[v.met(rival)]
                    if v.target.aim
                    else marks[v.met(rival)]
                )
                figures = (
                    f"{v.mean(rival):.2f} | {v.lowest(rival):.2f} | {mark} | {each} | {v.free[_peer_of(rival)]:.2f}"
                )
                rows.append(f"| {' | '.join(first)} | {rival} | {bound:g} | {figures} | {python} |")
            first, python = ["", ""], ""
    return "\n".join(rows)


def sweep_tables(records: Sequence[dict[str, Any]]) -> list[str]:
    """A table for every kind of sweep among the records."""
    mine = sorted(
        (r for r in records if r["kind"] in ("sweep", "choice")), key=lambda r: (r["kind"] != "sweep", r["n"])
    )
    kinds = dict.fromkeys(r["kind"] for r in mine)
    return [_sweep_table([r for r in mine if r["kind"] == kind]) for kind in kinds]


def _sweep_table(records: Sequence[dict[str, Any]]) -> str:
    """Time against density, in microseconds: one row per block height, batch size and side."""
    rows: list[str] = []
    for record in records:
        sizes = list(dict.fromkeys(p["set_size"] for p in record["points"]))
        if not rows:
            head = [f"{100 * (1 - 1 / size):.3g}%" for size in sizes]
            rows = ["| N | block | us | " + " | ".join(head) + " | R² | intercept / 80% time |"]
            rows.append("|---" * (len(head) + 5) + "|")
        for line in record["fits"]:
            mine = [p for p in record["points"] if p["height"] == line["height"]]
            cells = [f"{p['ns'][line['peer']] / 1e3:.2f}" for p in mine]
            rows.append(f"| {record['n']} | ({line['height']}, 1) | {line['peer']} | {' | '.join(cells)} | "
                        f"{line['r_squared']:.4f} | {100 * line['share']:.1f}% |")  # fmt: skip
        if dense := record.get("dense"):
            cells = [f"{dense['ns'] / 1e3:.2f}"] * len(sizes)
            rows.append(f"| {record['n']} | | {MklDense.name} | {' | '.join(cells)} | | |")
    return "\n".join(rows)
