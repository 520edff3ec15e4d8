# SPDX-License-Identifier: BSD-3-Clause
"""Winners of 8-bit vectors beside those of float32: `python benchmarks/quantized_winners.py`, one thread.

Products of one vector with a tenth of its activations alive and weights in blocks of (16, 1), as bound calls;
and contests of 150 of 1500, one vector and 64. All are called from Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

if not __package__:
    import _from_file  # noqa: F401

from benchmarks import rivals, timing

SHAPES = ((1024, 1024), (1536, 1600), (4096, 4096))


def products(shape: tuple[int, int]) -> dict[str, Callable[[], object]]:
    cs, rng = rivals.import_ours(), np.random.default_rng(0)
    W = cs.random(shape, set_size=16, block=(16, 1), rng=rng)
    found = {}
    for name in ("float32", "uint8", "int8"):
        dtype = np.dtype(name)
        small = W.with_values(rng.integers(-127, 128, W.nnz, dtype=np.int8))
        weights = W if dtype == np.float32 else small
        winners = cs.kwta(rng.integers(1, 127, shape[1]).astype(dtype), shape[1] // 10)
        f = weights.plan(n=1, dtype=dtype, winners=shape[1] // 10)
        y = np.empty(shape[0], f.dtype)
        exact = weights.toarray().astype(np.float64) @ winners.toarray().astype(np.float64)
        if not np.allclose(f(winners, out=y), exact, rtol=1e-4, atol=1e-3):
            raise AssertionError(f"the product of {shape} with {name} is wrong")
        found[name] = f.bind(winners, y)
    return found


def contests() -> dict[str, Callable[[], object]]:
    cs, rng = rivals.import_ours(), np.random.default_rng(0)
    found = {}
    for name in ("float32", "uint8", "int8"):
        if name == "float32":
            x = rng.standard_normal((64, 1500), dtype=np.float32)
        else:
            x = rng.integers(0, 256, (64, 1500), dtype=np.uint8).view(name)
        found[f"{name}, 1 vector"] = lambda x=x[0]: cs.kwta(x, 150)
        found[f"{name}, 64 vectors"] = lambda x=x: cs.kwta(x, 150)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Winners of 8-bit vectors.")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    rivals.set_threads(1)
    for shape in SHAPES:
        samples = timing.race_python(products(shape), args.rounds, 1.0, 100, alone=True)
        for name in ("float32", "uint8", "int8"):
            ratio = samples.ratio("float32", name)
            print(f"{shape}, {name:8} {samples.median(name) / 1e3:9.3f} us  {ratio:5.2f}x")
    calls = contests()
    samples = timing.race_python(calls, args.rounds, 1.0, 1, alone=True)
    for name in calls:
        like = "float32," + name.partition(",")[2]
        print(f"kwta 150 of 1500, {name:20} {samples.median(name) / 1e3:9.3f} us  {samples.ratio(like, name):5.2f}x")


if __name__ == "__main__":
    main()
