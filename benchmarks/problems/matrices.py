# SPDX-License-Identifier: BSD-3-Clause
"""Matrices generated from seeds: independent entries, equal counts, balanced patterns."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

SHAPES = ((1024, 1024), (1500, 1600), (3072, 768), (768, 3072))
SPARSITIES = (90, 95, 98)
KINDS = ("bernoulli", "equal")
BALANCED_SHAPES = ((1024, 1024), (1536, 1664), (3072, 768), (1500, 1600), (4096, 4096))
HEIGHTS = (1, 2, 4, 8, 16)
# 80, 87.5, 90, 93.75, 95, 97 and 98% sparse.
SWEEP_SETS = (5, 8, 10, 16, 20, 33, 50)
# 50 and 67%, where dense begins to lose.
CROSSOVER_SETS = (2, 3)
# Below this a product takes so little time that the call is what one measures.
COUNTED_NNZ = 5000


@dataclass(frozen=True)
class Problem:
    """A matrix by name. `group` is what geometric means are taken over."""

    name: str
    group: str
    build: Callable[[], sp.csr_array]

    def csr(self, dtype: Any = np.float32) -> sp.csr_array:
        """Canonical CSR, int32 indices, a fresh copy in `dtype`."""
        return _built(self).astype(dtype, copy=True)

    def __str__(self) -> str:
        return self.name


@functools.lru_cache(maxsize=4)
def _built(problem: Problem) -> sp.csr_array:
    matrix = sp.csr_array(problem.build())
    matrix.sum_duplicates()
    matrix.sort_indices()
    return matrix


def seed_of(name: str) -> int:
    """A seed that depends on the name alone, the same on every machine."""
    return zlib.crc32(name.encode())


def drawn_values(rng: np.random.Generator, count: int) -> np.ndarray:
    # Away from zero, both signs: like weights that survived pruning by magnitude.
    return (rng.uniform(0.1, 1.0, count) * rng.choice([-1.0, 1.0], count)).astype(np.float32)


def _csr(columns: list[np.ndarray], shape: tuple[int, int], rng: np.random.Generator) -> sp.csr_array:
    indptr = np.concatenate([[0], np.cumsum([len(c) for c in columns])])
    indices = np.concatenate(columns) if columns else np.empty(0)
    data = drawn_values(rng, len(indices))
    return sp.csr_array((data, indices.astype(np.int32), indptr.astype(np.int32)), shape=shape)


def bernoulli(shape: tuple[int, int], density: float, seed: int) -> sp.csr_array:
    """Every entry is stored with probability `density`, independently."""
    rng = np.random.default_rng(seed)
    return _csr([np.flatnonzero(rng.random(shape[1]) < density) for _ in range(shape[0])], shape, rng)


def equal_counts(shape: tuple[int, int], density: float, seed: int) -> sp.csr_array:
    """The same number of entries in every row, at random columns."""
    rng = np.random.default_rng(seed)
    count = round(shape[1] * density)
    return _csr([np.sort(rng.choice(shape[1], count, replace=False)) for _ in range(shape[0])], shape, rng)


def balanced_pattern(shape: tuple[int, int], set_size: int, height: int, seed: int) -> sp.csr_array:
    """Balanced: members of `height` neighbouring rows share a pattern, and in every aligned group of `set_size` columns
    each of the `set_size` members of a set owns one column. The columns of a last, incomplete group go to members in
    turn.

    Not `cs.random`: a name means the same matrix in every release, and rivals want it where the library is absent."""
    rng = np.random.default_rng(seed)
    rows, columns = shape
    members = -(-rows // height)
    sets = -(-members // set_size)
    parts = [
        start + rng.permuted(np.tile(np.arange(set_size), (sets, 1)), axis=1).reshape(-1, 1)
        for start in range(0, columns - set_size + 1, set_size)
    ]
    owned = np.hstack([*parts, np.empty((sets * set_size, 0), int)])
    left = columns % set_size
    turns = (np.arange(sets)[:, None] * left + np.arange(left)) % set_size + np.arange(sets)[:, None] * set_size
    last = dict(zip(turns.ravel().tolist(), np.tile(np.arange(columns - left, columns), sets).tolist()))
    chosen = [np.append(owned[m], last[m]) if m in last else owned[m] for m in range(members)]
    return _csr([chosen[row // height] for row in range(rows)], shape, rng)


def balanced(shape: tuple[int, int], set_size: int, height: int = 1, group: str = "balanced") -> Problem:
    name = f"balanced_{shape[0]}x{shape[1]}_b{height}_s{set_size}"
    return Problem(name, group, functools.partial(balanced_pattern, shape, set_size, height, seed_of(name)))


def whole_blocks(shape: tuple[int, int], block: tuple[int, int], density: float, seed: int) -> sp.csr_array:
    """Whole blocks at random places, the same number in every row of blocks."""
    rng = np.random.default_rng(seed)
    height, width = block
    places = shape[1] // width
    columns = []
    for _ in range(shape[0] // height):
        chosen = np.sort(rng.choice(places, round(places * density), replace=False))
        columns += [(chosen[:, None] * width + np.arange(width)).ravel()] * height
    return _csr(columns, shape, rng)


def in_blocks(shape: tuple[int, int], block: tuple[int, int], sparsity: float) -> Problem:
    name = f"blocks_{shape[0]}x{shape[1]}_{block[0]}x{block[1]}_{sparsity:g}"
    return Problem(name, "blocks", functools.partial(whole_blocks, shape, block, 1 - sparsity / 100, seed_of(name)))


def balanced_problems() -> list[Problem]:
    return [balanced(shape, size, height) for shape in BALANCED_SHAPES for size in (16, 20) for height in HEIGHTS]


def generated(kind: str, shape: tuple[int, int], sparsity: float, group: str = "random", name: str = "") -> Problem:
    name = name or f"{kind}_{shape[0]}x{shape[1]}_{sparsity:g}"
    make = {"bernoulli": bernoulli, "equal": equal_counts}[kind]
    return Problem(name, group, functools.partial(make, shape, 1 - sparsity / 100, seed_of(name)))


def random_problems() -> list[Problem]:
    """The 24 matrices that the speed targets speak of."""
    return [generated(kind, shape, s) for s in SPARSITIES for shape in SHAPES for kind in KINDS]


def large_problems() -> list[Problem]:
    return [generated("bernoulli", (4096, 4096), s, group="large") for s in SPARSITIES]


def network_problems() -> list[Problem]:
    """Layers by the name of their network, random patterns of their size and usual sparsity."""
    layers = {
        "gsc_linear_1500x1600": ((1500, 1600), 95),
        "bert_768x768": ((768, 768), 90),
        "bert_768x3072": ((768, 3072), 90),
        "bert_3072x768": ((3072, 768), 90),
        "resnet50_512x4608": ((512, 4608), 95),
    }
    return [generated("bernoulli", shape, s, group="network", name=name) for name, (shape, s) in layers.items()]


def rounded_to_bfloat16(problem: Problem) -> Problem:
    """The same pattern with values that bfloat16 holds exactly: one reference for all."""

    def build() -> Any:
        matrix = problem.csr(np.float32)
        bits = matrix.data.view(np.uint32)
        matrix.data[...] = (bits + 0x7FFF + (bits >> 16 & 1) & 0xFFFF0000).view(np.float32)
        return matrix

    return replace(problem, name=f"{problem.name}_bfloat16", build=build)
