# SPDX-License-Identifier: BSD-3-Clause
"""For each row of the kernel table (`cs.microkernels()`), a problem that runs it.

Small matrices of every layout, tried one after the other: a row is run where a plan takes its micro-kernel. Plans name
the widest tile of a kind; a batch of as many columns as a narrower tile has runs on that one, or of one fewer where
whole tiles would be another kind of batch. Values are small integers: every type of the table holds them, and bfloat16.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.problems.matrices import Problem, balanced, generated
from benchmarks.problems.vectors import Task

WINNERS = 8  # of a vector, for the rows that take sparse activations
DEPTH = 16  # what a sampled product adds up

Row = dict[str, Any]


@dataclass(frozen=True)
class Product:
    """A matrix, a batch, and which of the plan's candidates runs the row; `winners` of each vector, or all entries."""

    problem: Problem
    n: int
    candidate: int
    winners: int | None = None


@dataclass(frozen=True)
class Sampled:
    """The pattern at whose places a product is computed."""

    problem: Problem


def dtype_of(row: Row) -> np.dtype[Any]:
    """Of the matrix, or of the vectors that compete: the first of the row's types."""
    letter, bits = re.findall(r"([a-z])(\d+)", row.get("types") or row["type"])[0]
    return np.dtype(f"{letter.replace('s', 'i')}{int(bits) // 8}")


def is_of_one_type(row: Row) -> bool:
    """Whether weights, activations and outputs are of one."""
    return len(re.findall(r"[a-z]\d+", row["type"])) == 1


def _stem(name: str) -> str:
    """What a micro-kernel is called whatever the columns of its tile."""
    return re.sub(r"x\d+_", "x_", name)


def _integral(problem: Problem) -> Problem:
    def build() -> sp.csr_array:
        matrix = problem.csr()
        matrix.data = np.sign(matrix.data) * np.ceil(4 * np.abs(matrix.data))
        return matrix

    return replace(problem, group="kernels", build=build)


def _squares(side: int) -> Problem:
    return Problem(f"squares_{side}", "kernels", lambda: sp.csr_array(np.kron(np.eye(8, 7), np.ones((side, side)))))


def structured() -> tuple[Problem, ...]:
    """Of the layouts for patterns that are not balanced; tests/test_build.py reads them too."""
    return (
        _squares(4),
        _squares(16),
    )


@functools.cache
def matrices(l2: int) -> tuple[Problem, ...]:
    """Of every layout, small ones first; the last are larger than a cache of `l2` bytes, where weights become
    bfloat16."""
    random = [generated("bernoulli", (64, 400), sparsity) for sparsity in (80, 95, 99)]
    heights, set_sizes = (1, 2, 4, 8, 16), (8, 16, 32, 64)
    patterns = [balanced((256, 8 * size), size, height) for height, size in itertools.product(heights, set_sizes)]
    large = [
        balanced((1024, size * (l2 // 4096 + 8)), size, height)
        for height, size in itertools.product((1, 2, 4), (8, 16, 32))
    ]
    return (*map(_integral, random), *map(_integral, patterns), *structured(), *map(_integral, large))


def _candidates(core: Any, packed: Any, n: int, winners: int | None, dtype: np.dtype[Any]) -> Iterator[str]:
    """The micro-kernels of all candidates of a product."""
    if winners is None:
        count = len(core.candidates(packed, n, dtype))
    else:
        count = len(core.candidates(packed, n, dtype, winners=winners))
    for i in range(count):
        yield core.make_plan(packed, n, dtype, False, None, None, False, candidate=i, winners=winners).microkernel


def _batches(columns: int) -> list[int]:
    return [n for n in (columns, 2 * columns, 4 * columns, columns - 1) if n > 0]


def find(cs: Any, row: Row) -> Product | Sampled | Task | None:
    """What runs the row while its ISA level is the one in use; None where nothing was found. `cs` is the library."""
    rows, columns = row["tile"]
    if row["layout"] == "vectors":  # the tile: vectors at once, and the most winners that it holds (0: any number)
        return Task(64, min(columns, 32), 4 * rows) if columns else Task(1024, 102)
    dtype, core = dtype_of(row), cs._core
    found = matrices(core.cache_sizes()["l2"])
    if row["op"] == "sampled":
        return Sampled(found[0])
    for problem in found:
        packed = cs.from_scipy(problem.csr(dtype))
        for n, winners in itertools.product(_batches(columns), (None, WINNERS)):
            for i, name in enumerate(_candidates(core, packed, n, winners, dtype)):
                # Whole tiles of more columns are the row's where the plan names it; fewer columns take one tile.
                if name == row["name"] or (n <= columns and _stem(name) == _stem(row["name"])):
                    return Product(problem, n, i, winners)
    return None
