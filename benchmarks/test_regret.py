# SPDX-License-Identifier: BSD-3-Clause
"""Where the plan's choice was not the best of its candidates, and by how much."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import problems, timing
from benchmarks.targets import costs, regret, regret_list
from benchmarks.targets.costs import Product

SMOKE = ("balanced_1024x1024_b1_s16", "balanced_1024x1024_b16_s16")
BATCHES = (1, 4, 16, 64, 256)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = problems.data_folder(metafunc.config.getoption("--data"))
    cases = [
        pytest.param(Product(name, n, "f"), folder, id=f"{name}-n{n}",
                     marks=[] if name in SMOKE and n in (1, 16) else [pytest.mark.full])
        for name in (*SMOKE, *regret_list.matrices(folder)[: regret.QUICK_MATRICES])
        for n in BATCHES
    ]  # fmt: skip
    metafunc.parametrize(("product", "folder"), cases)


def test_regret(product: Product, folder: Path | None, smoke: bool, replay: Callable[..., None]) -> None:
    """The benchmark is the chosen candidate; all of them and the regret stand in `extra_info`."""
    samples = costs.race(product, folder, timing.SMOKE if smoke else costs.EFFORT)
    if samples is None:
        pytest.skip("not run: one layout alone serves this product")
    chosen, best = samples.names[0], min(samples.names, key=samples.median)
    record = {"problem": product.matrix, "n": product.n, "chosen": chosen, "best": best,
              "regret": max(0.0, samples.ratio(chosen, best) - 1),
              "ns": {name: samples.median(name) for name in samples.names}}  # fmt: skip
    replay(samples, chosen, f"regret n={product.n}", record)
