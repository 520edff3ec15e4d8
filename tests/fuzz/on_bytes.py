# SPDX-License-Identifier: BSD-3-Clause
"""Products of 8-bit numbers, on every level and layout."""

from __future__ import annotations

import numpy as np
from byte_products import PATTERNS, check_dense, check_quantized, check_winners, draw_weights

import complsparse as cs
from complsparse import _core
from fuzz.registry import target


@target(megabytes=256)
def byte_products(rng: np.random.Generator) -> str:
    """One matrix on one level, and four batches in all ways that they could be multiplied: the bits of sums in int64.

    A few of them also requantised, about any zero points."""
    level = str(rng.choice(cs.isa_levels()))
    _core.set_isa(level)
    rows, cols = (int(size) for size in np.exp(rng.uniform(0, [4.6, 6.2])))
    D, W = draw_weights(rng, rows, cols, str(rng.choice(PATTERNS)))
    for _ in range(4):
        n, dtype = int(rng.choice([1, 1, 2, 3, 4, 5, 8, 9, 16, 17, 33])), str(rng.choice(["uint8", "int8"]))
        with cs.num_threads(int(rng.choice([1, 1, 1, 2]))):
            check_dense(rng, D, W, n, dtype, bool(rng.random() < 0.5))
            if rng.random() < 0.3:
                check_winners(rng, D, W, n, dtype, int(rng.integers(cols + 1)))
            if rng.random() < 0.3:
                check_quantized(rng, D, W, n, dtype)
    return level
