# SPDX-License-Identifier: BSD-3-Clause
"""Products with sparse activations: `accept.py --only winners grid`, or alone:

    python benchmarks/spspmm.py [balanced_1024x1024_b16_s20 ...] [-n 1 16 64] [--share 0.1]

Every ratio is the median over interleaved rounds of rival / ours. Vectors have winners of their own. Rivals that take
sparse activations get theirs prepared ahead (MKL's handles, optimised), those that take dense ones get the zeros.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.problems import matrices as problems
from benchmarks.rivals import comparison as compare
from benchmarks.rivals import peers
from benchmarks.rivals.peers import MklDense, MklSparse, MklSpmmd, Ours, OursWinners, Variant, WinnersCase
from benchmarks.targets.patterns import fit
from benchmarks.timing import loop as timing
from benchmarks.timing.loop import Effort, geometric_mean

SHARE = 0.1
COLUMNS, WRITTEN_OUT, CHOSEN, DENSE_X = "columns", "dense", "chosen", "sparse-dense"
SPMMD, SPARSE, DENSE = MklSpmmd.name, MklSparse.name, MklDense.name
SHAPES = ("1024x1024", "1500x1600", "3072x768")
HEIGHTS = (1, 4, 8, 16)
OVER_DENSE = {1: 50, 4: 140, 8: 200, 16: 250}
OVER_SPMMD = {1: 1.2, 4: 3, 8: 4, 16: 4.5}
OVER_OWN = {1: 1.0, 4: 1.8, 8: 1.0, 16: 3.0}
FRESH = 32  # sets of winners that are taken in turn
GRID_SETS, GRID_SHARES = (5, 7, 10, 14, 20, 33, 50), (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
LINEAR_SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True)
class Target:
    """A bound on the time of a rival over ours; `rivals` are the ones whose best is meant."""

    what: str
    problem: str
    n: int
    rivals: tuple[str, ...]
    bound: float
    fresh: bool = False


def _name(shape: str, height: int) -> str:
    # Members of 16 rows fill sets of 16 without a rest, those of fewer rows sets of 20.
    return f"balanced_{shape}_b{height}_s{16 if height == 16 else 20}"


def _targets() -> Iterator[Target]:
    for shape in SHAPES:
        for height in HEIGHTS:
            about = (f"({height}, 1) {shape}", _name(shape, height), 1)
            yield Target(*about, (DENSE,), OVER_DENSE[height])
            yield Target(*about, (SPMMD,), OVER_SPMMD[height])
            yield Target(*about, (DENSE_X,), OVER_OWN[height])
    large = ("(16, 1) 4096x4096, fresh winners", _name("4096x4096", 16), 1)
    yield Target(*large, (SPMMD,), 2, fresh=True)
    yield Target(*large, (DENSE,), 150, fresh=True)
    for n, least in ((16, 1.9), (64, 1.3)):
        for height, bound in ((1, least), (16, 4.0)):
            about = (f"({height}, 1) 1024x1024", _name("1024x1024", height), n)
            yield Target(*about, (SPMMD, SPARSE), bound)
            yield Target(*about, (DENSE_X,), 1.0)


TARGETS = tuple(_targets())


def _winners(problem: problems.Problem, share: float) -> int:
    return max(1, round(share * problem.csr(np.float32).shape[1]))


def _checked(case: WinnersCase, variants: Sequence[Variant]) -> list[Variant]:
    for variant in variants:
        variant.result[...] = np.nan
        variant.call()
        case.check(variant.name, variant.result)
    return list(variants)


def _fastest(case: WinnersCase, variants: Sequence[Variant]) -> Variant:
    mine = _checked(case, variants)
    heat = timing.race([v.call for v in mine], replace(timing.HEAT, alone=case.threads == 1))
    return min(mine, key=lambda v: heat.median(v.name))


def _rivals(case: WinnersCase, names: Sequence[str]) -> dict[str, Variant]:
    """The best variant of each, by a heat. On any layout of x and y: the most that a caller could get out of it."""
    known = {SPMMD: MklSpmmd(), SPARSE: MklSparse(), DENSE: MklDense()}
    return {name: _fastest(case, list(known[name].variants(case))) for name in names if known[name].available()[0]}


def measure(
    problem: problems.Problem, n: int, share: float, threads: int, effort: Effort, rivals: Sequence[str], fresh: bool
) -> tuple[timing.Samples, dict[str, Any]]:
    """Ours (what the plan chooses, every way, and the product with dense x) and the rivals, in one race."""
    case = WinnersCase(problem, n, threads=threads, winners=_winners(problem, share))
    packed, ours = Ours().convert(case.matrix), OursWinners()
    variants = {f"{Ours.name} {v.form}": v for v in _checked(case, ours.all_ways(packed, case))}
    chosen = f"{Ours.name} {ours.ways(packed, case)[0]}"
    variants[f"{Ours.name} {DENSE_X}"] = _checked(case, [Ours().bound(packed, case)])[0]
    variants |= _rivals(case, rivals)
    calls = [replace(v.call, name=name) for name, v in variants.items()]
    if fresh:
        others = [replace(case, seed=seed) for seed in range(FRESH)]
        spmmd = SPMMD in variants and variants[SPMMD].form
        calls = [c for c in calls if c.name not in (chosen, SPMMD)]
        mine = [_checked(other, [ours.variant(packed, other, chosen)])[0] for other in others]
        calls.append(peers.in_turn(chosen, mine))
        if spmmd:
            rival = MklSpmmd()
            theirs = [next(v for v in rival.variants(other) if v.form == spmmd) for other in others]
            calls.append(peers.in_turn(SPMMD, [_checked(o, [v])[0] for o, v in zip(others, theirs)]))
    samples = timing.race(calls, replace(effort, alone=threads == 1))
    return samples, {
        "kind": "winners", "section": "winners", "problem": problem.name, "n": n, "winners": case.winners,
        "fresh": fresh, "chosen": chosen, "threads": threads, "rounds": len(samples.ns),
        "disturbed": samples.disturbed, "ns": {name: samples.median(name) for name in samples.names},
        "forms": {name: v.form for name, v in variants.items()},
        "ratios": {name: samples.ratio(name, chosen) for name in samples.names},
    }  # fmt: skip


def cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    """What the table of targets needs, each product once."""
    wanted: dict[tuple[str, int, bool], set[str]] = {}
    for target in TARGETS[::5] if quick else TARGETS:
        rivals = {name for name in target.rivals if name != DENSE_X}
        wanted.setdefault((target.problem, target.n, target.fresh), set()).update(rivals)
    for (name, n, fresh), rivals in wanted.items():
        yield measure(problems.get(name), n, SHARE, threads, effort, sorted(rivals), fresh)[1]
    yield from linear_cases(quick, threads, effort)


def linear_cases(quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    """Time against winners with the columns forced, all counts in one race."""
    for height in (1, 16):
        problem = problems.get(_name("1024x1024", height))
        calls, counts = [], []
        packed = None
        for share in LINEAR_SHARES[::3] if quick else LINEAR_SHARES:
            case = WinnersCase(problem, 1, threads=threads, winners=_winners(problem, share))
            packed = Ours().convert(case.matrix) if packed is None else packed
            at = OursWinners().ways(packed, case).index(COLUMNS)
            variant = _checked(case, [OursWinners().variant(packed, case, COLUMNS, at)])[0]
            calls.append(replace(variant.call, name=str(case.winners)))
            counts.append(case.winners)
        samples = timing.race(calls, replace(effort, alone=threads == 1))
        ns = [samples.median(call.name) for call in calls]
        yield {"kind": "linear", "section": "winners", "problem": problem.name, "winners": counts, "ns": ns,
               "disturbed": samples.disturbed, **vars(fit(counts, ns))}  # fmt: skip


def grid_cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    """Weight sparsity x activation sparsity at N = 1: what the plan chooses over the dense product."""
    step = 3 if quick else 1
    for height in (1, 16):
        for size in GRID_SETS[::step]:
            problem = problems.balanced((1024, 1024), size, height, group="grid")
            calls: list[timing.Candidate] = []
            points: list[dict[str, Any]] = []
            packed = None
            for share in GRID_SHARES[::step]:
                case = WinnersCase(problem, 1, threads=threads, winners=_winners(problem, share))
                if packed is None:
                    packed = Ours().convert(case.matrix)
                    calls += [replace(v.call, name=name) for name, v in _rivals(case, [DENSE]).items()]
                way = OursWinners().ways(packed, case)[0]
                variant = _checked(case, [OursWinners().variant(packed, case, way)])[0]
                calls.append(replace(variant.call, name=str(case.winners)))
                points.append({"share": share, "winners": case.winners, "way": way})
            samples = timing.race(calls, replace(effort, alone=threads == 1))
            for point in points:
                point["ns"] = samples.median(str(point["winners"]))
                if DENSE in samples.names:
                    point["ratio"] = samples.ratio(DENSE, str(point["winners"]))
            yield {"kind": "grid", "section": "grid", "problem": problem.name, "height": height,
                   "weight_sparsity": 1 - 1 / size, "points": points, "disturbed": samples.disturbed}  # fmt: skip


# --- a network --------------------------------------------------------------------------------------------------------

LAYERS, NEURONS, INPUTS, THRESHOLD = 30, 1024, 1200, 0.3


def guide() -> dict[str, Any]:
    """The names that the sessions of docs/guide/winners.md define, its example among them."""
    page = Path(__file__).resolve().parents[2] / "docs" / "guide" / "winners.md"
    example = page.read_text().partition("## Example")[2]
    names: dict[str, Any] = {"np": np, "cs": peers.import_ours()}
    for block in re.findall(r"^```pycon\n(.*?)^```$", example, re.MULTILINE | re.DOTALL):
        lines = [line[4:] for line in block.splitlines() if line.startswith((">>> ", "... "))]
        exec("\n".join(lines), names)
    return names


def network_cases(folder: Path | None, quick: bool, threads: int, effort: Effort) -> Iterator[dict[str, Any]]:
    """The example of the guide at full size, and the same loop in SciPy."""
    names = guide()
    rng = np.random.default_rng(2)
    layers = [names["layer"](seed, NEURONS) for seed in range(5 if quick else LAYERS)]
    inputs = rng.random((INPUTS, NEURONS)) < rng.uniform(0.02, 0.3, (INPUTS, 1))
    x = names["cs"].Winners.from_dense(inputs.astype(np.float32))
    csr, weights = x.tocsr(), [W.tocsr() for W in layers]
    calls = {
        "public": lambda: names["survivors"](layers, x, THRESHOLD),
        "scipy": lambda: names["survivors_in_scipy"](weights, csr, THRESHOLD),
    }
    rows = {who: call() for who, call in calls.items()}
    samples = timing.race_python(calls, rounds=3 if quick else 7, min_calls=1, alone=threads == 1)
    yield {"kind": "network", "section": "network", "layers": len(layers), "inputs": INPUTS,
           "survivors": len(rows["public"]), "same": bool(np.array_equal(rows["public"], rows["scipy"])),
           "ns": {who: samples.median(who) for who in calls}, "ratio": samples.ratio("scipy", "public")}  # fmt: skip


# --- judging ----------------------------------------------------------------------------------------------------------


def _bounds(records: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, str, bool | None, str]]:
    """(what, target, figure, met, detail) of each bound."""
    known = {(r["problem"], r["n"], r["fresh"]): r for r in records if r["kind"] == "winners"}
    for target in TARGETS:
        names = [f"{Ours.name} {DENSE_X}" if name == DENSE_X else name for name in target.rivals]
        over = "our sparse-dense product" if target.rivals == (DENSE_X,) else " or ".join(target.rivals)
        what = f"winners, {target.what}, N = {target.n}: {over} / ours"
        record = known.get((target.problem, target.n, target.fresh))
        if record is None:
            continue
        there = [name for name in names if name in record["ratios"]]
        if not there:
            yield what, f">= {target.bound:g}", "absent", None, ""
            continue
        best = min(there, key=lambda name: record["ns"][name])
        ratio = record["ratios"][best]
        us = record["ns"]
        detail = (f"{record['chosen'].removeprefix(Ours.name).strip()} {us[record['chosen']] / 1e3:.2f} us, {best} "
                  f"({record['forms'][best]}) {us[best] / 1e3:.2f} us")  # fmt: skip
        yield (
            what,
            f">= {target.bound:g}",
            f"{ratio:.2f}",
            ratio >= target.bound * (0.98 if over[0] == "o" else 1),
            detail,
        )
    for record in (r for r in records if r["kind"] == "linear"):
        what = f"time against winners, {record['problem']}: R²"
        detail = f"{record['winners'][0]} to {record['winners'][-1]} winners"
        yield what, ">= 0.99", f"{record['r_squared']:.4f}", record["r_squared"] >= 0.99, detail

    for record in (r for r in records if r["kind"] == "network"):
        what = f"sparse network, {record['layers']} layers, {record['inputs']} inputs: SciPy's CSR @ CSR / ours"
        ms = {who: ns / 1e6 for who, ns in record["ns"].items()}
        same = "the same" if record["same"] else "NOT the same"
        detail = f"{ms['public']:.0f} ms, SciPy {ms['scipy']:.0f} ms, {same} {record['survivors']} rows survive"
        yield what, ">= 5", f"{record['ratio']:.2f}", record["ratio"] >= 5 and record["same"], detail


def bounds(records: Sequence[dict[str, Any]]) -> list[tuple[str, str, str, bool | None, str]]:
    return list(_bounds(records))


def grid_table(records: Sequence[dict[str, Any]]) -> str:
    """Times faster than dense, by weight and activation sparsity; in brackets the two sparsities multiplied."""
    lines = []
    for height in dict.fromkeys(r["height"] for r in records if r["kind"] == "grid"):
        rows = [r for r in records if r["kind"] == "grid" and r["height"] == height]
        shares = [point["share"] for point in rows[0]["points"]]
        lines.append(f"| ({height}, 1): weights | " + " | ".join(f"{1 - s:.0%} of x zero" for s in shares) + " |")
        lines.append("|---" * (len(shares) + 1) + "|")
        for row in rows:
            ideal = 1 / (1 - row["weight_sparsity"])
            cells = [f"{p.get('ratio', float('nan')):.0f} ({ideal / p['share']:.0f})" for p in row["points"]]
            lines.append(f"| {row['weight_sparsity']:.1%} zero | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Race products with winners against rivals.")
    parser.add_argument("problems", nargs="*", default=[_name("1024x1024", height) for height in HEIGHTS])
    parser.add_argument("-n", nargs="+", type=int, default=[1])
    parser.add_argument("--share", nargs="+", type=float, default=[SHARE])
    parser.add_argument("--fresh", action="store_true", help="other winners at each call")
    parser.add_argument("--no-dense", action="store_true")
    chosen = parser.parse_args(arguments)
    compare.pin(1)
    peers.set_threads(1)
    effort = Effort(sample_ms=1.0, min_calls=20, min_rounds=7, max_rounds=11, budget_s=0.4)
    rivals = [SPMMD, SPARSE, *([] if chosen.no_dense else [DENSE])]
    wrong: list[float] = []
    for name in chosen.problems:
        for n in chosen.n:
            for share in chosen.share:
                record = measure(problems.get(name), n, share, 1, effort, rivals, chosen.fresh)[1]
                print(f"{name} n={n} {record['winners']} winners")
                for who, ns in sorted(record["ns"].items(), key=lambda item: item[1]):
                    mark = "*" if who == record["chosen"] else " "
                    print(f"  {mark} {ns / 1e3:10.3f} us {record['ratios'][who]:8.2f}  {who} {record['forms'][who]}")
                ways = [record["ns"].get(f"{Ours.name} {way}", np.inf) for way in (COLUMNS, WRITTEN_OUT)]
                wrong.append(record["ns"][record["chosen"]] / min(ways))
    print(f"chosen / best of ours, geometric mean: {geometric_mean(wrong):.3f}, worst {max(wrong):.2f}")
    return 0
