# SPDX-License-Identifier: BSD-3-Clause
"""Matrices of graphs and meshes, generated from seeds: bands, arrows, rows of very different counts."""

from __future__ import annotations

import functools

import numpy as np
import scipy.sparse as sp

from benchmarks.problems.matrices import Problem, drawn_values, seed_of


def _of_places(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int], seed: int) -> sp.csr_array:
    """Entries with drawn values at these places, which may come more than once."""
    places = np.unique(rows.astype(np.int64) * shape[1] + columns)
    values = drawn_values(np.random.default_rng(seed), len(places))
    return sp.csr_array((values, np.divmod(places, shape[1])), shape=shape)


def _diagonals(shape: tuple[int, int], reach: int) -> tuple[np.ndarray, np.ndarray]:
    """The places at most `reach` columns from the diagonal of the whole rectangle."""
    rows = np.repeat(np.arange(shape[0]), 2 * reach + 1)
    columns = rows * shape[1] // shape[0] + np.tile(np.arange(-reach, reach + 1), shape[0])
    inside = (columns >= 0) & (columns < shape[1])
    return rows[inside], columns[inside]


def banded_pattern(shape: tuple[int, int], reach: int, seed: int) -> sp.csr_array:
    return _of_places(*_diagonals(shape, reach), shape, seed)


def arrow_pattern(shape: tuple[int, int], reach: int, seed: int) -> sp.csr_array:
    """A band, the first row and the first column."""
    rows, columns = _diagonals(shape, reach)
    return _of_places(
        np.concatenate([rows, np.zeros(shape[1], int), np.arange(shape[0])]),
        np.concatenate([columns, np.arange(shape[1]), np.zeros(shape[0], int)]),
        shape,
        seed,
    )


def power_law_pattern(shape: tuple[int, int], mean: int, seed: int) -> sp.csr_array:
    """Counts of rows and of columns fall like a power of their rank, both in random order; `mean` entries a row, less
    those that fall on one another."""
    rng = np.random.default_rng(seed)

    def drawn(n: int) -> np.ndarray:
        share = np.arange(1.0, n + 1) ** -0.7
        return rng.permutation(n)[rng.choice(n, shape[0] * mean, p=share / share.sum())]

    return _of_places(drawn(shape[0]), drawn(shape[1]), shape, seed)


PATTERNS = {"banded": banded_pattern, "arrow": arrow_pattern, "powerlaw": power_law_pattern}


def graph(kind: str, shape: tuple[int, int], count: int) -> Problem:
    name = f"{kind}_{shape[0]}x{shape[1]}_{count}"
    return Problem(name, kind, functools.partial(PATTERNS[kind], shape, count, seed_of(name)))
