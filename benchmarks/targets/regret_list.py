# SPDX-License-Identifier: BSD-3-Clause
"""The fixed list that regret is stated over: 400 matrices, and of each a few products drawn from its name."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import problems
from benchmarks.problems.matrices import seed_of
from benchmarks.targets.costs import Product

Shape = tuple[int, int]

TINY = ((48, 256), (64, 64), (96, 128), (100, 300), (256, 256), (200, 1000), (32, 1200), (300, 40))
MIDDLE = ((512, 512), (768, 768), (1000, 500), (1024, 1024), (500, 1700), (512, 4608), (3072, 768), (768, 3072))
LARGE = ((1500, 1600), (2048, 2048), (4096, 1024), (1024, 4096))
MOST_ENTRIES = 600_000  # more takes longer and says the same
MOST_WORK = 64_000_000  # entries times columns of x: some milliseconds

BATCHES = (2, 3, 4, 6, 8, 10, 12, 15, 16, 17, 20, 24, 28, 32, 33, 40, 48, 64, 80, 96, 100, 128, 160, 192, 256)
WINNERS_BATCHES = (1, 1, 4, 8, 12, 16, 24, 64)
SHARES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
DENSE_PRODUCTS, WINNERS_PRODUCTS = 5, 2  # of each matrix


def _sized(names: Iterator[tuple[str, Shape, float]], count: int) -> list[str]:
    """`count` of the names, evenly spread over those whose matrices are not too large."""
    fit = [name for name, (rows, columns), density in names if rows * columns * density <= MOST_ENTRIES]
    return [fit[i * len(fit) // count] for i in range(count)]


def _random(kind: str, shapes: Sequence[Shape], sparsities: Sequence[float]) -> Iterator[tuple[str, Shape, float]]:
    for rows, columns in shapes:
        for s in sparsities:
            yield f"{kind}_{rows}x{columns}_{s:g}", (rows, columns), 1 - s / 100


def _balanced() -> Iterator[tuple[str, Shape, float]]:
    for rows, columns in ((48, 256), (256, 256), (512, 512), *MIDDLE[3:], *LARGE):
        for height in (1, 2, 4, 8, 16):
            for size in (2, 3, 5, 10, 16, 20, 33, 50):
                yield f"balanced_{rows}x{columns}_b{height}_s{size}", (rows, columns), 1 / size


def _blocks() -> Iterator[tuple[str, Shape, float]]:
    for side in (256, 512, 1024, 2048):
        for block in ("2x2", "8x1", "1x16", "4x4", "16x4", "16x16"):
            for s in (50, 80, 90, 95):
                yield f"blocks_{side}x{side}_{block}_{s}", (side, side), 1 - s / 100


def _graphs() -> list[str]:
    banded = [f"banded_{shape}_{reach}" for shape in ("64x64", "500x500", "2000x1000", "5000x5000", "40000x40000")
              for reach in (1, 3, 20)]  # fmt: skip
    arrows = [f"arrow_{shape}_{reach}" for shape in ("300x300", "5000x5000", "46500x46500") for reach in (1, 4)]
    law = [f"powerlaw_{shape}_{mean}" for shape in ("200x200", "1000x1000", "3000x1000", "1000x8000", "8000x8000",
                                                   "60000x60000")
           for mean in (2, 5, 12, 40)]  # fmt: skip
    return [*banded, *arrows, *law]


def made() -> list[str]:
    return [
        *_sized(_random("bernoulli", (*TINY, *MIDDLE, *LARGE), (50, 70, 80, 90, 95, 98, 99, 99.5)), 80),
        *_sized(_random("bernoulli", TINY, (1, 5, 15, 30)), 32),  # almost full
        *_sized(_random("equal", (*TINY[:4], *MIDDLE, *LARGE), (25, 60, 80, 90, 95, 98)), 30),
        *_sized(_balanced(), 72),
        *_sized(_blocks(), 36),
        *_graphs(),
    ]


def real(folder: Path | None) -> list[str]:
    """Pruned layers and matrices of simulations; none without the folder of data."""
    if folder is None:
        return []
    every = {group: [p.name for p in problems.real_problems(folder, [group])] for group in problems.REAL}
    tiny = {"mtx/Ragusa16", "mtx/lfat5b", "mtx/n3c4-b4"}
    return [*every["dlmc"], *every["lyra"], *(n for n in every["mtx"] if n not in tiny), *every["mediapipe"][::2][:41]]


def matrices(folder: Path | None) -> list[str]:
    """In an order of no meaning, so that the first of them are a sample of all."""
    found = [*made(), *real(folder)]
    random.Random(400).shuffle(found)
    return found


def products_of(name: str, folder: Path | None) -> list[Product]:
    """One column; batches in either order of x and y; vectors with winners."""
    matrix, draw = problems.get(name, folder).csr(), random.Random(seed_of(name))
    most = MOST_WORK // max(1, matrix.nnz)
    batches = [n for n in BATCHES if n <= most]
    found = [Product(name, 1, "f")]
    found += [Product(name, n, draw.choice("fb")) for n in sorted(draw.sample(batches, DENSE_PRODUCTS - 1))]
    for _ in range(WINNERS_PRODUCTS):
        n = draw.choice([n for n in WINNERS_BATCHES if n <= most])
        found.append(Product(name, n, "f", max(1, round(draw.choice(SHARES) * matrix.shape[1]))))
    return list(dict.fromkeys(found))
