# SPDX-License-Identifier: BSD-3-Clause
"""What the plan chose for products of 8-bit numbers beside every layout that it could have chosen, on one thread:

python benchmarks/quantized_costs.py [--json FILE] [--fit]

With --json the times are kept, and read where the file is there; --fit looks for constants with less regret.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

if not __package__:
    import _from_file  # noqa: F401

from benchmarks import rivals, timing
from benchmarks.problems.matrices import seed_of
from benchmarks.regret import print_summary
from benchmarks.targets import cost_fit, costs
from benchmarks.targets.costs import Measured, Product

SHAPES = ((128, 256), (256, 512), (512, 512), (1024, 1024), (1500, 1600), (2048, 2048))
PATTERNS = ((1, 1, 16), (1, 1, 8), (1, 4, 16), (4, 4, 16), (8, 4, 16), (16, 4, 16), (8, 1, 16))  # one block of so many
BATCHES = (2, 3, 4, 6, 8, 12, 15, 16, 20, 24, 31, 32, 40, 48, 63, 64, 100, 128)


def matrices() -> dict[str, Any]:
    """Whole blocks at random, by name."""
    cs, found = rivals.import_ours(), {}
    for (rows, cols), (height, width, of) in itertools.product(SHAPES, PATTERNS):
        name = f"int8_{rows}x{cols}_{height}x{width}_{of}"
        rng = np.random.default_rng(seed_of(name))
        blocks = rng.random((-(-rows // height), -(-cols // width))) < 1 / of
        mask = np.kron(blocks, np.ones((height, width), bool))[:rows, :cols]
        found[name] = cs.from_dense(np.where(mask, rng.integers(1, 128, (rows, cols)), 0).astype(np.int8))
    return found


class BytesModel(cost_fit.Model):
    """What the cost model says of products of these matrices and uint8."""

    dtype = np.dtype(np.uint8)

    def __init__(self, packed: dict[str, Any], measured: Sequence[Measured]) -> None:
        self.measured, self.isa, self._packed = list(measured), costs.isa(), packed


def measure(packed: dict[str, Any]) -> Iterator[Measured]:
    from complsparse._progress import progress

    core, rng = rivals.import_ours()._core, np.random.default_rng(0)
    ghz = timing.clock_ghz()
    with progress("measuring", len(packed)) as step:
        for name, W in packed.items():
            step(name)
            for n, order in itertools.product(BATCHES, "fb"):
                rows = order == "b"
                x_shape, y_shape = ((n, side) if rows else (side, n) for side in W.shape[::-1])
                x, y = rng.integers(0, 256, x_shape, dtype=np.uint8), np.empty(y_shape, np.int32)
                calls = {}
                for i, candidate in enumerate(core.candidates(W, n, x.dtype, rows)):
                    plan = core.make_plan(W, n, x.dtype, rows, None, None, False, i)
                    calls[candidate["layout"]] = lambda plan=plan, x=x, y=y: plan(x, out=y)
                samples = timing.race_python(calls, rounds=7, sample_ms=1, min_calls=3)
                cycles = {layout: float(samples.ns[:, i].min()) * ghz / n for i, layout in enumerate(samples.names)}
                yield Measured(Product(name, n, order), cycles)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time what the plan chose for 8-bit numbers against every candidate.")
    parser.add_argument("--json", type=Path, help="where the times are kept")
    parser.add_argument("--fit", action="store_true")
    args = parser.parse_args()
    rivals.set_threads(1)
    packed = matrices()
    if args.json is not None and args.json.exists():
        found = [Measured(Product(*product), cycles) for product, cycles in json.loads(args.json.read_text())]
    else:
        found = list(measure(packed))
        if args.json is not None:
            args.json.write_text(json.dumps([[list(m.product), m.cycles] for m in found]))
    model = BytesModel(packed, found)
    start = rivals.import_ours()._core.cost_constants()
    print_summary(model.regrets(start))
    if args.fit:
        values = cost_fit.fitted([model], start)
        print_summary(model.regrets(values))
        print({name: value for name, value in values.items() if value != start[name]})


if __name__ == "__main__":
    main()
