# SPDX-License-Identifier: BSD-3-Clause
"""Contests of k winners: vectors, and how many of their entries win."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VECTORS = 64  # different ones, in turn


@dataclass(frozen=True)
class Task:
    """The k largest of each vector of n: one vector a call, or `batch` of them, entries along `axis`."""

    n: int
    k: int
    batch: int = 0  # 0: one vector
    axis: int = -1

    @property
    def name(self) -> str:
        return f"{self.k} of {self.n}" + (f", {self.batch} vectors along axis {self.axis}" if self.batch else "")

    def draw(self, dtype: Any = np.float32) -> list[NDArray[Any]]:
        rng = np.random.default_rng(self.n)
        shape: tuple[int, ...] = (VECTORS, self.n)
        if self.batch:
            shape = (4, self.n, self.batch) if self.axis == 0 else (4, self.batch, self.n)
        if np.issubdtype(dtype, np.integer):
            limits = np.iinfo(dtype)
            return list(rng.integers(limits.min, limits.max, shape, dtype, endpoint=True))
        return list(rng.standard_normal(shape, dtype=dtype))


ONE_VECTOR = (Task(1500, 150), Task(1024, 102), Task(4096, 410), Task(64, 6))
BATCHES = (Task(64, 6, 784), Task(64, 6, 784, 0), Task(1500, 150, 64))
