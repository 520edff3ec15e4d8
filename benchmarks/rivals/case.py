# SPDX-License-Identifier: BSD-3-Clause
"""One product: its operands in memory, and what its result has to be."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.problems import Problem

ALIGNMENT = 64
FEATURE_MAJOR = "feature-major"
BATCH_MAJOR = "batch-major"


def aligned(array: NDArray[Any], order: str = "C") -> NDArray[Any]:
    """A copy whose data starts on a cache line."""
    buffer = np.empty(array.nbytes + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    copy = np.ndarray(array.shape, array.dtype, buffer, start, order=order)
    copy[...] = array
    return copy


def aligned_zeros(shape: tuple[int, ...], dtype: Any, order: str = "C") -> NDArray[Any]:
    return aligned(np.zeros(shape, dtype), order)


@dataclass(frozen=True)
class Case:
    """One product: W (M, K) times n columns. `x` and `y` are (K, n) and (M, n), or (n, K) and (n, M) when batch-major,
    or vectors when n is 1; C order, aligned."""

    problem: Problem
    n: int
    layout: str = FEATURE_MAJOR
    dtype: Any = np.float32
    threads: int = 1
    matrix: sp.csr_array = field(init=False, repr=False, compare=False)
    x: NDArray[Any] = field(init=False, repr=False, compare=False)

    def drawn(self, shape: tuple[int, int]) -> NDArray[Any]:
        """The n columns of x, in [-1, 1]; of an integer type in [-4, 4]."""
        rng = np.random.default_rng(self.n)
        return rng.integers(-4, 4, shape, endpoint=True) if self.is_integer else rng.uniform(-1, 1, shape)

    def __post_init__(self) -> None:
        dtype = np.dtype(self.dtype)
        object.__setattr__(self, "dtype", dtype)
        matrix = self.problem.csr(dtype)
        for part in ("data", "indices", "indptr"):
            setattr(matrix, part, aligned(getattr(matrix, part)))
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "x", self.drawn_x())

    def drawn_x(self) -> NDArray[Any]:
        drawn = self.drawn((self.matrix.shape[1], self.n)).astype(self.dtype)
        return aligned(self.as_called(drawn))

    def as_called(self, columns: NDArray[Any]) -> NDArray[Any]:
        """A (rows, n) array in the shape that this case's arrays have."""
        if self.n == 1:
            return columns[:, 0]
        return columns.T if self.batch_major else columns

    def as_columns(self, array: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `as_called`, a view."""
        if self.n == 1:
            return array.reshape(-1, 1)
        return array.T if self.batch_major else array

    @property
    def batch_major(self) -> bool:
        return self.layout == BATCH_MAJOR

    @property
    def is_integer(self) -> bool:
        return np.issubdtype(self.dtype, np.integer)

    @property
    def unset(self) -> Any:
        """What no output may hold after a product."""
        return np.iinfo(self.dtype).min if self.is_integer else np.nan

    @property
    def flops(self) -> int:
        return 2 * int(self.matrix.nnz) * self.n

    @property
    def csr_bytes(self) -> int:
        """What any product with CSR operands must at least move: W once, x once, y once."""
        rows, columns = self.matrix.shape
        w = self.matrix.nnz * (self.dtype.itemsize + 4) + 4 * (rows + 1)
        return int(w + (rows + columns) * self.n * self.dtype.itemsize)

    @functools.cached_property
    def dense(self) -> NDArray[Any]:
        return aligned(self.matrix.toarray())

    @functools.cached_property
    def dense_transposed(self) -> NDArray[Any]:
        return aligned(np.ascontiguousarray(self.dense.T))

    @functools.cached_property
    def _reference(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        exact = self.matrix.astype(np.float64)
        x = self.as_columns(self.x).astype(np.float64)
        # |x| <= 1: the row sums of |W| bound every sum of products. A dense rival adds zeros too: they round nothing.
        sums = np.asarray(abs(exact).sum(axis=1)).reshape(-1, 1)
        counts = np.diff(self.matrix.indptr).reshape(-1, 1)
        rounding = 0.0 if self.is_integer else np.finfo(self.dtype).eps
        bound = rounding * (counts + 2) * sums
        return exact @ x, bound

    def new_output(self) -> NDArray[Any]:
        y = self.as_called(np.full((self.matrix.shape[0], self.n), self.unset, self.dtype))
        return aligned(y)

    def check(self, name: str, y: NDArray[Any]) -> None:
        """Raise unless y (M, n) is the product, within the rounding of any order of summation."""
        exact, bound = self._reference
        wrong = ~(np.abs(y.astype(np.float64) - exact) <= bound)  # true for NaN as well
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise AssertionError(
                f"{name} is wrong at {wrong.sum()} places on {self}: "
                f"y[{row}, {column}] = {y[row, column]!r}, exact {exact[row, column]!r}"
            )

    def __str__(self) -> str:
        return f"{self.problem.name} n={self.n} {self.layout} {self.dtype} {self.threads}t"

    def __hash__(self) -> int:
        return hash((self.problem.name, self.n, self.layout, self.dtype, self.threads))


@dataclass(frozen=True)
class WinnersCase(Case):
    """A case whose vectors have `winners` entries each, at places of their own; the others are zero. Rivals for dense
    operands get the zeros."""

    winners: int = 0
    seed: int = 0

    def drawn(self, shape: tuple[int, int]) -> NDArray[Any]:
        rng = np.random.default_rng([self.n, self.winners, self.seed])
        x = np.zeros(shape)
        for column in range(shape[1]):
            places = rng.choice(shape[0], self.winners, replace=False)
            drawn = rng.integers(1, 4, self.winners) if self.is_integer else rng.uniform(0.1, 1, self.winners)
            x[places, column] = drawn
        return x

    def columns_csr(self) -> sp.csr_array:
        """x (K, n) without its zeros."""
        csr = sp.csr_array(self.as_columns(self.x))
        for part in ("data", "indices", "indptr"):
            setattr(csr, part, aligned(getattr(csr, part)))
        return csr

    def __str__(self) -> str:
        return f"{super().__str__()} {self.winners} winners"

    def __hash__(self) -> int:
        return hash((super().__hash__(), self.winners, self.seed))
