# SPDX-License-Identifier: BSD-3-Clause
"""Contests of k winners: vectors, and how many of their entries win."""

from __future__ import annotations

from dataclasses import dataclass

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

    def draw(self) -> list[NDArray[np.float32]]:
        rng = np.random.default_rng(self.n)
        if not self.batch:
            return list(rng.standard_normal((VECTORS, self.n), dtype=np.float32))
        shape = (self.n, self.batch) if self.axis == 0 else (self.batch, self.n)
        return list(rng.standard_normal((4, *shape), dtype=np.float32))


ONE_VECTOR = (Task(1500, 150), Task(1024, 102), Task(4096, 410), Task(64, 6))
BATCHES = (Task(64, 6, 784), Task(64, 6, 784, 0), Task(1500, 150, 64))
