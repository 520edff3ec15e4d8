# SPDX-License-Identifier: BSD-3-Clause
"""Products with sparse activations.

Every ratio is the median over interleaved rounds of rival / ours. Vectors have winners of their own. Rivals that take
sparse activations get theirs prepared ahead (MKL's handles, optimised), those that take dense ones get the zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks import problems, rivals, timing
from benchmarks.problems import Problem, networks
from benchmarks.rivals import MklDense, MklSparse, MklSpmmd, Ours, OursWinners, Variant, WinnersCase
from benchmarks.targets.density import fit
from benchmarks.targets.target import Figure, Record, Records, Run, Target, at_least
from benchmarks.timing import Candidate, Effort, Samples

SHARE = 0.1
COLUMNS, WRITTEN_OUT, DENSE_X = "columns", "dense", "sparse-dense"
SPMMD, SPARSE, DENSE = MklSpmmd.name, MklSparse.name, MklDense.name
SHAPES = ("1024x1024", "1500x1600", "3072x768")
HEIGHTS = (1, 4, 8, 16)
OVER_DENSE = {1: 50, 4: 140, 8: 200, 16: 250}
OVER_SPMMD = {1: 1.2, 4: 3, 8: 4, 16: 4.5}
OVER_OWN = {1: 1, 4: 1.8, 8: 1, 16: 3}
FRESH = 32  # sets of winners that are taken in turn
GRID_SETS, GRID_SHARES = (5, 7, 10, 14, 20, 33, 50), (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
LINEAR_SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
LINEAR_HEIGHTS = (1, 16)
QUICK_LAYERS = 5


class Product(NamedTuple):
    """A case of a target. `fresh`: other winners at each call."""

    problem: str
    n: int
    fresh: bool = False


# --- measuring --------------------------------------------------------------------------------------------------------


def named(shape: str, height: int) -> str:
    # Members of 16 rows fill sets of 16 without a rest, those of fewer rows sets of 20.
    return f"balanced_{shape}_b{height}_s{16 if height == 16 else 20}"


def _winners(problem: Problem, share: float) -> int:
    return max(1, round(share * problem.csr(np.float32).shape[1]))


def _rivals(case: WinnersCase, names: Sequence[str]) -> dict[str, Variant]:
    """The best variant of each, by a heat. On any layout of x and y: the most that a caller could get out of it."""
    known = {SPMMD: MklSpmmd(), SPARSE: MklSparse(), DENSE: MklDense()}
    return {
        name: rivals.fastest(case, list(known[name].variants(case))) for name in names if known[name].available()[0]
    }


def _one(case: WinnersCase, variant: Variant) -> Variant:
    return rivals.checked(case, [variant])[0]


def measure(
    problem: Problem, n: int, share: float, threads: int, effort: Effort, others: Sequence[str], fresh: bool
) -> tuple[Samples, Record]:
    """Ours (what the plan chooses, every way, and the product with dense x) and the rivals, in one race."""
    case = WinnersCase(problem, n, threads=threads, winners=_winners(problem, share))
    packed, ours = Ours().convert(case.matrix), OursWinners()
    variants = {f"{Ours.name} {v.form}": v for v in rivals.checked(case, ours.all_ways(packed, case))}
    chosen = f"{Ours.name} {ours.ways(packed, case)[0]}"
    variants[f"{Ours.name} {DENSE_X}"] = _one(case, Ours().bound(packed, case))
    variants |= _rivals(case, others)
    calls = [replace(v.call, name=name) for name, v in variants.items()]
    if fresh:
        cases_in_turn = [replace(case, seed=seed) for seed in range(FRESH)]
        calls = [c for c in calls if c.name not in (chosen, SPMMD)]
        mine = [_one(other, ours.variant(packed, other, chosen)).call for other in cases_in_turn]
        calls.append(timing.in_turn(chosen, mine))
        if SPMMD in variants:
            rival, form = MklSpmmd(), variants[SPMMD].form
            theirs = [_one(c, next(v for v in rival.variants(c) if v.form == form)).call for c in cases_in_turn]
            calls.append(timing.in_turn(SPMMD, theirs))
    samples = timing.race(calls, replace(effort, alone=threads == 1))
    return samples, {
        "kind": "winners", "section": "winners", "problem": problem.name, "n": n, "winners": case.winners,
        "fresh": fresh, "chosen": chosen, "threads": threads, "rounds": len(samples.ns),
        "disturbed": samples.disturbed, "ns": {name: samples.median(name) for name in samples.names},
        "forms": {name: v.form for name, v in variants.items()},
        "ratios": {name: samples.ratio(name, chosen) for name in samples.names},
    }  # fmt: skip


def cases(run: Run) -> Iterator[Record]:
    """What the table of targets needs, each product once."""
    wanted: dict[Product, set[str]] = {}
    for target in TABLE[::5] if run.quick else TABLE:
        others = {name for name in target.rivals if name != DENSE_X}
        wanted.setdefault(target.cases[0], set()).update(others)
    for (name, n, fresh), others in wanted.items():
        yield measure(problems.get(name), n, SHARE, run.threads, run.effort, sorted(others), fresh)[1]
    yield from _linear_cases(run)


def _linear_cases(run: Run) -> Iterator[Record]:
    """Time against winners with the columns forced, all counts in one race."""
    for height in LINEAR_HEIGHTS:
        problem = problems.get(named("1024x1024", height))
        calls, counts = [], []
        packed = None
        for share in LINEAR_SHARES[::3] if run.quick else LINEAR_SHARES:
            case = WinnersCase(problem, 1, threads=run.threads, winners=_winners(problem, share))
            packed = Ours().convert(case.matrix) if packed is None else packed
            at = OursWinners().ways(packed, case).index(COLUMNS)
            variant = _one(case, OursWinners().variant(packed, case, COLUMNS, at))
            calls.append(replace(variant.call, name=str(case.winners)))
            counts.append(case.winners)
        samples = timing.race(calls, replace(run.effort, alone=run.threads == 1))
        ns = [samples.median(call.name) for call in calls]
        yield {"kind": "linear", "section": "winners", "problem": problem.name, "winners": counts, "ns": ns,
               "disturbed": samples.disturbed, **asdict(fit(counts, ns))}  # fmt: skip


def grid_cases(run: Run) -> Iterator[Record]:
    """Weight sparsity x activation sparsity at N = 1: what the plan chooses over the dense product."""
    step = 3 if run.quick else 1
    for height in (1, 16):
        for size in GRID_SETS[::step]:
            problem = problems.balanced((1024, 1024), size, height, group="grid")
            calls: list[Candidate] = []
            points: list[Record] = []
            packed = None
            for share in GRID_SHARES[::step]:
                case = WinnersCase(problem, 1, threads=run.threads, winners=_winners(problem, share))
                if packed is None:
                    packed = Ours().convert(case.matrix)
                    calls += [replace(v.call, name=name) for name, v in _rivals(case, [DENSE]).items()]
                way = OursWinners().ways(packed, case)[0]
                variant = _one(case, OursWinners().variant(packed, case, way))
                calls.append(replace(variant.call, name=str(case.winners)))
                points.append({"share": share, "winners": case.winners, "way": way})
            samples = timing.race(calls, replace(run.effort, alone=run.threads == 1))
            for point in points:
                point["ns"] = samples.median(str(point["winners"]))
                if DENSE in samples.names:
                    point["ratio"] = samples.ratio(DENSE, str(point["winners"]))
            yield {"kind": "grid", "section": "grid", "problem": problem.name, "height": height,
                   "weight_sparsity": 1 - 1 / size, "points": points, "disturbed": samples.disturbed}  # fmt: skip


def network_cases(run: Run) -> Iterator[Record]:
    """The example of the guide at full size, and the same loop in SciPy."""
    names = networks.guide(rivals.import_ours())
    rng = np.random.default_rng(2)
    count = QUICK_LAYERS if run.quick else networks.LAYERS
    layers = [names["layer"](seed, networks.NEURONS) for seed in range(count)]
    inputs = rng.random((networks.INPUTS, networks.NEURONS)) < rng.uniform(0.02, 0.3, (networks.INPUTS, 1))
    x = names["cs"].Winners.from_dense(inputs.astype(np.float32))
    csr, weights = x.tocsr(), [W.tocsr() for W in layers]
    calls = {
        "public": lambda: names["survivors"](layers, x, networks.THRESHOLD),
        "scipy": lambda: names["survivors_in_scipy"](weights, csr, networks.THRESHOLD),
    }
    rows = {who: call() for who, call in calls.items()}
    samples = timing.race_python(calls, rounds=3 if run.quick else 7, min_calls=1, alone=run.threads == 1)
    yield {"kind": "network", "section": "network", "layers": len(layers), "inputs": networks.INPUTS,
           "survivors": len(rows["public"]), "same": bool(np.array_equal(rows["public"], rows["scipy"])),
           "ns": {who: samples.median(who) for who in calls}, "ratio": samples.ratio("scipy", "public")}  # fmt: skip


# --- targets ----------------------------------------------------------------------------------------------------------


def _over(records: Records, product: Product, over: tuple[str, ...]) -> Figure | None:
    """Ours against the best of these."""
    of = [r for r in records if r["kind"] == "winners" and (r["problem"], r["n"], r["fresh"]) == product]
    if not of:
        return None
    record = of[-1]
    names = [f"{Ours.name} {DENSE_X}" if name == DENSE_X else name for name in over]
    there = [name for name in names if name in record["ratios"]]
    if not there:
        return Figure("absent")
    us = {name: ns / 1e3 for name, ns in record["ns"].items()}
    chosen, best = record["chosen"], min(there, key=lambda name: us[name])
    detail = (f"{chosen.removeprefix(Ours.name).strip()} {us[chosen]:.2f} us, {best} ({record['forms'][best]}) "
              f"{us[best]:.2f} us")  # fmt: skip
    return Figure(f"{record['ratios'][best]:.2f}", record["ratios"][best], detail)


def _r_squared(records: Records, problem: str) -> Figure | None:
    for record in records:
        if record["kind"] == "linear" and record["problem"] == problem:
            detail = f"{record['winners'][0]} to {record['winners'][-1]} winners"
            return Figure(f"{record['r_squared']:.4f}", record["r_squared"], detail)
    return None


def _network(records: Records, layers: int) -> Figure | None:
    for record in records:
        if record["kind"] == "network" and record["layers"] == layers:
            ms = {who: ns / 1e6 for who, ns in record["ns"].items()}
            same = "the same" if record["same"] else "NOT the same"
            detail = f"{ms['public']:.0f} ms, SciPy {ms['scipy']:.0f} ms, {same} {record['survivors']} rows survive"
            return Figure(f"{record['ratio']:.2f}", record["ratio"], detail, wrong=not record["same"])
    return None


def _target(what: str, product: Product, over: tuple[str, ...], bound: float) -> Target:
    own = over == (DENSE_X,)
    rival = "our sparse-dense product" if own else " or ".join(over)
    return Target(f"winners, {what}, N = {product.n}: {rival} / ours", at_least(bound),
                  partial(_over, product=product, over=over), (product,), over,
                  slack=0.02 if own else 0.0)  # fmt: skip


def _table() -> Iterator[Target]:
    for shape in SHAPES:
        for height in HEIGHTS:
            about = (f"({height}, 1) {shape}", Product(named(shape, height), 1))
            yield _target(*about, (DENSE,), OVER_DENSE[height])
            yield _target(*about, (SPMMD,), OVER_SPMMD[height])
            yield _target(*about, (DENSE_X,), OVER_OWN[height])
    large = ("(16, 1) 4096x4096, fresh winners", Product(named("4096x4096", 16), 1, fresh=True))
    yield _target(*large, (SPMMD,), 2)
    yield _target(*large, (DENSE,), 150)
    for n, least in ((16, 1.9), (64, 1.3)):
        for height, bound in ((1, least), (16, 4)):
            about = (f"({height}, 1) 1024x1024", Product(named("1024x1024", height), n))
            yield _target(*about, (SPMMD, SPARSE), bound)
            yield _target(*about, (DENSE_X,), 1)


TABLE = tuple(_table())
TARGETS = (
    *TABLE,
    *(
        Target(f"time against winners, {name}: R²", at_least(0.99), partial(_r_squared, problem=name))
        for name in (named("1024x1024", height) for height in LINEAR_HEIGHTS)
    ),
    *(
        Target(f"sparse network, {layers} layers, {networks.INPUTS} inputs: SciPy's CSR @ CSR / ours", at_least(5),
               partial(_network, layers=layers))
        for layers in (QUICK_LAYERS, networks.LAYERS)
    ),
)  # fmt: skip
