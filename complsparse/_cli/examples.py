# SPDX-License-Identifier: BSD-3-Clause
"""The matrices of the demo: generated from seeds, and real pruned ones from a folder that the user names."""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from complsparse._files import readers
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse._patterns import masks

PER_COLLECTION = 6  # matrices shown of each collection, unless all are asked for


class Example(NamedTuple):
    """A matrix by name; `build` makes or reads it."""

    name: str
    group: str
    build: Callable[[], Any]


# --- generated --------------------------------------------------------------------------------------------------------


def _csr(rows: list[NDArray[Any]], n_columns: int, rng: np.random.Generator) -> Any:
    """Rows given by their columns, with normal values in float32."""
    indptr = np.concatenate([[0], np.cumsum([len(columns) for columns in rows])])
    indices = np.concatenate(rows).astype(np.int32)
    data = rng.standard_normal(len(indices), dtype=np.float32)
    return scipy.sparse.csr_array((data, indices, indptr.astype(np.int32)), shape=(len(rows), n_columns))


def bernoulli(size: int, density: float, rng: np.random.Generator) -> Any:
    """Every entry is there with the same probability, independently."""
    return _csr([np.flatnonzero(rng.random(size) < density) for _ in range(size)], size, rng)


def equal_rows(size: int, density: float, rng: np.random.Generator) -> Any:
    """Every row has the same count, at random columns."""
    count = round(size * density)
    return _csr([np.sort(rng.choice(size, count, replace=False)) for _ in range(size)], size, rng)


def blocks_of_4(size: int, density: float, rng: np.random.Generator) -> Any:
    """Random 4 x 4 blocks."""
    pattern = scipy.sparse.csr_array(rng.random((size // 4, size // 4)) < density)
    dense = scipy.sparse.kron(pattern, np.ones((4, 4)), format="csr")
    values = rng.standard_normal(dense.nnz, dtype=np.float32)
    return scipy.sparse.csr_array((values, dense.indices, dense.indptr), shape=dense.shape)


def complementary(height: int) -> Callable[[int, float, np.random.Generator], Any]:
    """Patterns that pack without a gap, of blocks of so many rows."""

    def make(size: int, density: float, rng: np.random.Generator) -> Any:
        return masks.random((size, size), density=density, block=(height, 1), rng=rng)

    return make


def block_diagonal(size: int, density: float, rng: np.random.Generator) -> Any:
    """Dense blocks on the diagonal: a grouped layer."""
    width = max(1, round(size * density))
    starts = (row // width * width for row in range(size))
    return _csr([np.arange(start, min(start + width, size)) for start in starts], size, rng)


HEIGHTS = (1, 4, 16)  # of the blocks of complementary patterns
GENERATORS = {
    "bernoulli": bernoulli,
    "equal rows": equal_rows,
    "4x4 blocks": blocks_of_4,
    "block diagonal": block_diagonal,
    **{f"complementary ({height}, 1)": complementary(height) for height in HEIGHTS},
}
COMPLEMENTARY = tuple(name for name in GENERATORS if name.startswith("complementary"))
SPARSITY = 93.75  # one entry of sixteen is there, in every pattern that is compared with the complementary ones
SMALL, LARGE = 512, 1024
FULL = (
    ("bernoulli", 256, SPARSITY),
    ("bernoulli", LARGE, 98),
    ("bernoulli", LARGE, 90),
    ("bernoulli", LARGE, SPARSITY),
    *((kind, LARGE, SPARSITY) for kind in ("equal rows", "4x4 blocks", "block diagonal", *COMPLEMENTARY)),
)
QUICK = (("bernoulli", SMALL, SPARSITY), *((name, SMALL, SPARSITY) for name in COMPLEMENTARY))


def name_of(kind: str, sparsity: float) -> str:
    return f"{kind} {sparsity:g}%"


def _generate(kind: str, size: int, sparsity: float) -> Any:
    # A seed of its own for each matrix, the same on every machine.
    rng = np.random.default_rng(zlib.crc32(f"{kind}/{size}/{sparsity}".encode()))
    return GENERATORS[kind](size, 1 - sparsity / 100, rng)


def generated(quick: bool = False) -> list[Example]:
    return [
        Example(name_of(kind, sparsity), "generated", functools.partial(_generate, kind, size, sparsity))
        for kind, size, sparsity in (QUICK if quick else FULL)
    ]


def packed_picture() -> Any:
    """A small matrix whose rows fall into four sets that are almost full: what is drawn."""
    rng = np.random.default_rng(7)
    n_sets, members, width = 4, 5, 30
    owner = np.stack([rng.permutation(np.repeat(np.arange(members), width // members)) for _ in range(n_sets)])
    owner[rng.random(owner.shape) < 0.06] = -1  # a few slots stay empty
    sets, columns = np.nonzero(owner >= 0)
    rows = rng.permutation(n_sets * members)[sets * members + owner[sets, columns]]
    values = rng.standard_normal(len(rows)).astype(np.float32)
    matrix = scipy.sparse.coo_array((values, (rows, columns)), shape=(n_sets * members, width))
    return ComplementaryMatrix(matrix, strategy="strict")


# --- from a folder ----------------------------------------------------------------------------------------------------


def _only(path: Path, tensor: str | None = None) -> Any:
    (matrix,) = readers.read_matrix(path, tensor=tensor).values()
    return matrix


def _raw_floats(path: Path) -> NDArray[np.float32]:
    with path.open("rb") as stream:
        content = readers.expand(stream, path.stat().st_size).getvalue()
    if len(content) % 4:
        raise ValueError(f"{path}: {len(content)} bytes are not an array of float32")
    return np.frombuffer(content, dtype="<f4").astype(np.float32)


def _raw_layer(weights: Path) -> Any:
    """A layer in three raw files: weights, a mask of zeros and ones, and a bias, whose length is the row count."""
    parts = {
        part: _raw_floats(weights.with_name(weights.name.replace("_weights.", f"_{part}.")))
        for part in ("weights", "mask", "bias")
    }
    n_rows, size = len(parts["bias"]), len(parts["weights"])
    if n_rows == 0 or size % n_rows or len(parts["mask"]) != size:
        raise ValueError(f"{weights}: {size} weights, {len(parts['mask'])} mask entries and {n_rows} biases do not fit")
    if parts["mask"].all():
        return None  # this layer was not pruned
    return scipy.sparse.csr_array((parts["weights"] * parts["mask"]).reshape(n_rows, -1))


def _dlmc(folder: Path) -> Iterator[Example]:
    for path in sorted(folder.glob("dlmc/picks/*.smtx.gz")):
        yield Example(path.name.removesuffix(".smtx.gz"), "dlmc", functools.partial(_only, path))


def _lyra(folder: Path) -> Iterator[Example]:
    for path in sorted(folder.glob("lyra_wavegru/raw/*_weights.raw.gz")):
        name = path.name.removesuffix("_weights.raw.gz").removeprefix("lyra_16khz_")
        yield Example(name, "lyra", functools.partial(_raw_layer, path))


def _mediapipe(folder: Path) -> Iterator[Example]:
    for path in sorted(folder.glob("mediapipe_sparse/*_decoded.npz")):
        with np.load(path, allow_pickle=False) as archive:
            names = list(archive.files)
        short = path.name.removesuffix("_sparse_decoded.npz")
        for name in names:
            yield Example(f"{short}/{name}", "mediapipe", functools.partial(_only, path, name))


def _matrix_market(folder: Path) -> Iterator[Example]:
    for path in sorted(folder.glob("mtx/*.mtx")):
        with path.open("rb") as stream:
            if b"complex" in stream.readline(1024).lower():
                continue  # complex matrices do not multiply here
        yield Example(path.stem, "mtx", functools.partial(_only, path))


def _any_file(folder: Path) -> Iterator[Example]:
    suffixes = (".npz", ".npy", ".mtx", ".smtx", ".safetensors")
    for path in sorted(folder.iterdir()):
        if path.name.removesuffix(".gz").endswith(suffixes):
            for name, matrix in readers.read_matrix(path).items():
                yield Example(name, "files", functools.partial(lambda found: found, matrix))


COLLECTIONS = (_dlmc, _lyra, _mediapipe, _matrix_market)


def from_folder(folder: str, everything: bool = False) -> list[Example]:
    """The matrices of the collections that are known by their folders; where none is there, of the files in it.

    Without `everything`, evenly chosen ones of each collection.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ValueError(f"{folder}: {'not a folder' if path.exists() else 'no such folder'}")
    found: list[Example] = []
    for collection in COLLECTIONS:
        members = list(collection(path))
        step = 1 if everything else max(1, math.ceil(len(members) / PER_COLLECTION))
        found += members[::step]
    found = found or list(_any_file(path))
    if not found:
        raise ValueError(f"{folder}: no matrices (.npz, .npy, .mtx, .smtx, .safetensors, or a known collection)")
    return found
