# SPDX-License-Identifier: BSD-3-Clause
"""The targets for patterns that pack perfectly.

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
from typing import Any, NamedTuple

import numpy as np

from benchmarks import problems, rivals, timing
from benchmarks.problems import Problem
from benchmarks.rivals import Case, Comparison, MklDense, MklSparse, Ours, Variant
from benchmarks.targets.target import Figure, Record, Records, Run, Target, at_least, of_section
from benchmarks.timing import Effort, geometric_mean

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
SECTION, AVX2_SECTION = "patterns", "patterns, AVX2"


class Product(NamedTuple):
    """A case of a target, by name."""

    problem: str
    n: int
    weights: str


# --- measuring --------------------------------------------------------------------------------------------------------


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
) -> tuple[Comparison | None, Record]:
    """One product against every rival, and the call from Python; None where it was not run or came out wrong."""
    about = {"section": section, "weights": weights, "problem": problem.name, "n": n}
    case = Case(problem if weights == FLOAT else problems.rounded_to_bfloat16(problem), n, threads=threads)
    ours = Ours()
    try:
        packed = _converted(ours, case, weights)
        mine = ours.bound(packed, case)
    except (ImportError, TypeError, ValueError) as error:
        if weights == FLOAT:
            raise
        return None, {"kind": "not run", **about, "why": f"{type(error).__name__}: {error}"}
    try:
        result = rivals.compare(case, [MklSparse(), MklDense()], effort, ours=[mine], contest=contest)
        calls = rivals.public_calls(case, packed)
    except AssertionError as error:  # a wrong result ends its case, not the run; it is a missed target of its own
        print(f"  {error}", file=sys.stderr)
        return None, {"kind": "wrong", **about, "section": "wrong", "error": str(error)}
    quick = effort.min_rounds == 1
    public = timing.race_python(calls, *((1, 0.05, 3) if quick else (5, 1.0, 20)), alone=threads == 1)
    return result, {
        "kind": "matmul", **result.record(), **about, "ratios": ratios(result),
        "python_ns": {name: public.median(name) for name in public.names},
    }  # fmt: skip


def _measured(table: Sequence[Sequence[Target]], section: str, run: Run) -> Iterator[Record]:
    """Each case of a table once."""
    rows = [row[0].cases for row in table]
    wanted = dict.fromkeys(product for cases in rows[:: 4 if run.quick else 1] for product in cases[: _count(run)])
    for name, n, weights in wanted:
        if name.startswith("lyra/") and run.folder is None:
            continue
        yield measure(problems.get(name, run.folder), n, weights, section, run.threads, run.effort)[1]


def _count(run: Run) -> int | None:
    return 1 if run.quick else None


def cases(run: Run) -> Iterator[Record]:
    """Balanced and blocked matrices against the best of every family of rivals, then both sides held to AVX2."""
    yield from _measured(TABLE, SECTION, run)
    yield from _avx2_in_a_process(run)


def avx2_cases(run: Run) -> list[Record]:
    """For a process whose environment holds both sides to AVX2."""
    return list(_measured(AVX2_TABLE, AVX2_SECTION, run))


def _avx2_in_a_process(run: Run) -> Iterator[Record]:
    levels = {level["name"]: level["supported"] for level in rivals.import_ours()._core.isa_levels()}
    if not levels.get("avx2"):
        why = "this CPU or this build has no avx2 level"
        yield {"kind": "not run", "section": AVX2_SECTION, "weights": FLOAT, "why": why}
        return
    environment = {**os.environ, "COMPLSPARSE_ISA": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
    options = ["--avx2", "--seconds", str(run.effort.budget_s), "--sample-cap", str(run.effort.max_sample_ms)]
    command = [sys.executable, run.script, *options, *(["--quick"] if run.quick else [])]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"the measurement with AVX2 forced failed:\n{done.stderr}")
    yield from json.loads(done.stdout)


# --- targets ----------------------------------------------------------------------------------------------------------


def products(target: Target, records: Records) -> dict[str, Record]:
    """The records of a target's cases, by problem."""
    section = AVX2_SECTION if target.aim else SECTION
    mine = {(r.get("problem"), r.get("n"), r["weights"]): r for r in of_section(records, section)}
    return {case.problem: mine[case] for case in target.cases if case in mine}


def over(found: dict[str, Record], key: str) -> dict[str, float]:
    """The ratios of the products that were run, by problem; `key` is a rival, or `<rival>, free`."""
    return {
        name: float(r["ratios"][key])
        for name, r in found.items()
        if r["kind"] == "matmul" and r["ratios"].get(key) is not None
    }


def peer_of(rival: str) -> str:
    """The rival with all its families."""
    return SPARSE if RIVALS[rival][0] == MklSparse.name else DENSE


def short(problem: str) -> str:
    """A problem by what its line does not say already."""
    return problem.split("_")[1] if problem.startswith("balanced_") else problem.removeprefix("lyra/")


def _lowest(records: Records, target: Target) -> Figure | None:
    """Every matrix has to reach the bound."""
    mine = of_section(records, AVX2_SECTION if target.aim else SECTION)
    if not mine:
        return None
    found = products(target, records)
    none_of_it = [r for r in mine if "problem" not in r]
    if refused := [r["why"] for r in (*none_of_it, *found.values()) if r["kind"] == "not run"]:
        return Figure(f"not run: {refused[0]}")
    if not any(r["kind"] == "matmul" for r in found.values()):
        return Figure("not measured")
    [rival] = target.rivals
    ratio = over(found, rival)
    if not ratio:
        return Figure(f"no {rival} here")
    left_out = [c.problem for c in target.cases if c.problem not in found or found[c.problem]["kind"] != "matmul"]
    detail = [*(f"{short(name)} {value:.2f}" for name, value in ratio.items()),
              *(f"{short(name)} not measured" for name in left_out)]  # fmt: skip
    low, mean = min(ratio.values()), geometric_mean(list(ratio.values()))
    return Figure(f"lowest {low:.2f}, mean {mean:.2f}", low, ", ".join(detail), partial=bool(left_out))


def _row(
    what: str, names: Sequence[str], n: int, bounds: dict[str, float], weights: str = FLOAT, aim: bool = False
) -> tuple[Target, ...]:
    """The targets of a line of the table: the lowest ratio over each rival."""
    cases = tuple(Product(name, n, weights) for name in names)

    def target(rival: str, bound: float) -> Target:
        named = f"{what}, N = {n}: {rival} / ours"
        made = Target(named, at_least(bound), lambda records: _lowest(records, made), cases, (rival,), what, aim)
        return made

    return tuple(target(rival, bound) for rival, bound in bounds.items())


def _balanced(height: int, set_size: int, shapes: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"balanced_{shape}_b{height}_s{set_size}" for shape in shapes)


def _line(
    height: int, set_size: int, shapes: Sequence[str], n: int, sparse: float, dense: float, weights: str = FLOAT
) -> tuple[Target, ...]:
    # A packed dense matrix is a rival of its own at N = 4.
    bounds = {SPARSE: sparse, UNPACKED if n == 4 else DENSE: dense}
    what = f"({height}, 1), set_size {set_size}" + (f", {BRAIN}" if weights == BRAIN else "")
    return _row(what, _balanced(height, set_size, shapes), n, bounds, weights)


SQUARE, FLAT, TALL, RAGGED, LARGE = "1024x1024", "1536x1664", "3072x768", "1500x1600", "4096x4096"
BOTH = (SQUARE, TALL)
LYRA_LAYERS = tuple(f"lyra/{name}" for name in ("conditioning_stack_0", "conditioning_stack_1",
                                                "conditioning_stack_2", "proj"))  # fmt: skip

TABLE = (
    _line(1, 16, (SQUARE, FLAT, TALL), 1, 4.5, 55),
    _line(1, 20, (SQUARE, FLAT, TALL, RAGGED), 1, 3.7, 55),
    _line(1, 16, (LARGE,), 1, 2.5, 15),
    _line(1, 16, (LARGE,), 1, 5, 30, weights=BRAIN),
    _line(4, 16, BOTH, 1, 5.3, 65),
    _line(4, 16, BOTH, 4, 6, 55),
    _line(4, 16, BOTH, 16, 3, 15),
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
    _row("Lyra GRU, real", ("lyra/gru_layer",), 1, {CSR: 3, BSR: 1.5, DENSE: 60}),
    _row("Lyra GRU, real", ("lyra/gru_layer",), 16, {CSR: 2.4, BSR: 1.3, DENSE: 17}),
    _row("Lyra 512x1024, real", LYRA_LAYERS, 1, {CSR: 4, BSR: 1.2, DENSE: 13}),
    _row("Lyra 512x1024, real", LYRA_LAYERS, 16, {CSR: 2, BSR: 1.1, DENSE: 8}),
)
# In a process of its own, both sides held to AVX2.
AVX2_TABLE = tuple(
    _row(f"({height}, 1), set_size {size}, AVX2 forced", _balanced(height, size, BOTH), n, {SPARSE: bound}, aim=True)
    for height, size in ((1, 16), (1, 20), (4, 16))
    for n, bound in ((1, 2), (16, 1.3))
)
TARGETS = tuple(target for row in (*TABLE, *AVX2_TABLE) for target in row)
