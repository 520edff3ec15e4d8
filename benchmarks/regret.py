# SPDX-License-Identifier: BSD-3-Clause
"""What the plan chose beside every candidate that it could have chosen, over the fixed list of 400 matrices:

python benchmarks/regret.py [--json results/regret.json] [--quick] [--seconds 120]

With --json the times are kept; what is there is not measured again. Or for some products, with every candidate's time:

python benchmarks/regret.py balanced_1024x1024_b1_s16 ... [-n 1 16 64] [--winners 50] [--batch-major]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

if not __package__:
    import _from_file  # noqa: F401

from benchmarks import problems, rivals, timing
from benchmarks.fit_costs import percent
from benchmarks.reports import machine
from benchmarks.targets import cost_fit, costs, regret
from benchmarks.targets.cost_fit import Regret
from benchmarks.targets.costs import Product

SHOWN = 20


def _batch(product: Product) -> str:
    n = product.n
    return (
        "1"
        if n == 1
        else "2-7"
        if n < 8
        else "8-15"
        if n < 16
        else "16-31"
        if n < 32
        else "32-127"
        if n < 128
        else "128-"
    )


def _kind(found: Regret) -> str:
    return "winners" if found.of.product.winners is not None else f"N = {_batch(found.of.product)}"


def print_summary(found: Sequence[Regret]) -> None:
    print(f"{'':12} {'of':>5} {'mean':>8} {'worst':>8} {'> 15%':>6}")
    for name, of in {"all": list(found), **dict(sorted(cost_fit.by(found, _kind).items()))}.items():
        over = sum(r.ratio > 1.15 for r in of)
        print(
            f"{name:12} {len(of):5} {percent(1 + cost_fit.mean(of)):>8} {percent(cost_fit.worst(of).ratio):>8} {over:6}"
        )
    print(f"the worst {SHOWN}:")
    for r in sorted(found, key=lambda r: -r.ratio)[:SHOWN]:
        print(f"{percent(r.ratio):>8} {r.of.product}: {r.chosen}, best {r.best}")


def print_candidates(found: Regret) -> None:
    print(f"{found.of.product}: {percent(found.ratio)} with {found.chosen}")
    for layout, cycles in sorted(found.of.cycles.items(), key=lambda item: item[1]):
        print(f"    {cycles:12.0f} cycles a column  {layout}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Time what the plan chose against every candidate.")
    parser.add_argument("problems", nargs="*")
    parser.add_argument("-n", nargs="+", type=int, default=[1, 4, 16, 64, 256])
    parser.add_argument("--winners", type=int, help="of each vector; all activations count where it is not given")
    parser.add_argument("--batch-major", action="store_true")
    parser.add_argument("--json", type=Path, help="a record to go on with, and to keep the times in")
    parser.add_argument("--quick", action="store_true", help=f"the first {regret.QUICK_MATRICES} matrices, a sample")
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop measuring after so long")
    parser.add_argument("--data", type=Path)
    chosen = parser.parse_args(arguments)
    timing.pin(1)
    rivals.set_threads(1)
    folder = problems.data_folder(chosen.data)
    if not chosen.problems:
        matrices = regret.QUICK_MATRICES if chosen.quick else None
        measured = regret.measured(regret.resumed(chosen.json), folder, matrices, chosen.seconds)
        if chosen.json:
            costs.write(chosen.json, costs.record(measured, machine.record(1)))
        print_summary(regret.regrets(measured, folder))
        return 0
    order = "b" if chosen.batch_major else "f"
    products = [Product(name, n, order, chosen.winners) for name in chosen.problems for n in chosen.n]
    measured = [found for product in products if (found := costs.measure(product, folder)[0]) is not None]
    for found in regret.regrets(measured, folder):
        print_candidates(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
