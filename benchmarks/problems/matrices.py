# SPDX-License-Identifier: BSD-3-Clause
"""Named sparse matrices: generated ones from seeds, real ones from a folder of data.

A name says all: `bernoulli_1024x1024_95` is 95% sparse with independent entries, `equal_...` has the same count in
every row, `balanced_1024x1024_b4_s16` is balanced with blocks (4, 1) in sets of 16 members, `dlmc/...`, `lyra/...`,
`mediapipe/...`, `mtx/...` are files. `get(name).csr(dtype)` gives the matrix.
"""

from __future__ import annotations

import functools
import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
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


class NoData(LookupError):
    """The folder of real matrices, or a file in it, is not here."""


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


def _values(rng: np.random.Generator, count: int) -> np.ndarray:
    # Away from zero, both signs: like weights that survived pruning by magnitude.
    return (rng.uniform(0.1, 1.0, count) * rng.choice([-1.0, 1.0], count)).astype(np.float32)


def _csr(columns: list[np.ndarray], shape: tuple[int, int], rng: np.random.Generator) -> sp.csr_array:
    indptr = np.concatenate([[0], np.cumsum([len(c) for c in columns])])
    indices = np.concatenate(columns) if columns else np.empty(0)
    data = _values(rng, len(indices))
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


def balanced_problems() -> list[Problem]:
    return [balanced(shape, size, height) for shape in BALANCED_SHAPES for size in (16, 20) for height in HEIGHTS]


def sweep_problems(height: int = 1) -> list[Problem]:
    """One shape from 80% to 98% sparse: does time follow density?"""
    return [balanced((1024, 1024), size, height, group="sweep") for size in SWEEP_SETS]


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


# --- real data --------------------------------------------------------------------------------------------------------


def data_folder(chosen: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder of real matrices: the argument, or $COMPLSPARSE_DATA, or ../shared/data beside the project."""
    chosen = chosen or os.environ.get("COMPLSPARSE_DATA")
    if chosen:
        path = Path(chosen)
        if not path.is_dir():
            raise NoData(f"{path} is not a folder (from --data or COMPLSPARSE_DATA)")
        return path
    path = Path(__file__).resolve().parents[3] / "shared" / "data"
    return path if path.is_dir() else None


def read_smtx(path: Path, seed: int) -> sp.csr_array:
    """A pattern of the Deep Learning Matrix Collection, with drawn values."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as file:
        rows, columns, nnz = (int(word) for word in file.readline().replace(",", " ").split())
        indptr = np.array(file.readline().split(), dtype=np.int32)
        indices = np.array(file.readline().split(), dtype=np.int32)
    if len(indptr) != rows + 1 or len(indices) != nnz:
        raise ValueError(f"{path}: {len(indptr)} offsets and {len(indices)} columns for {rows} rows and {nnz} entries")
    data = _values(np.random.default_rng(seed), nnz)
    return sp.csr_array((data, indices, indptr), shape=(rows, columns))


def _lyra(folder: Path, layer: str) -> sp.csr_array:
    def raw(part: str) -> np.ndarray:
        with gzip.open(folder / f"{layer}_{part}.raw.gz") as file:
            return np.frombuffer(file.read(), dtype="<f4")

    weights = raw("weights") * raw("mask")
    return sp.csr_array(weights.reshape(len(raw("bias")), -1))


def _mediapipe(path: Path, tensor: str) -> sp.csr_array:
    with np.load(path, allow_pickle=False) as file:
        dense = file[tensor]
    return sp.csr_array(dense.astype(np.float32).reshape(dense.shape[0], -1))


def _mtx(path: Path) -> sp.csr_array:
    from scipy.io import mmread

    return sp.csr_array(mmread(path, spmatrix=False).astype(np.float32))


def dlmc_problems(folder: Path) -> Iterator[Problem]:
    for path in sorted((folder / "dlmc" / "picks").glob("*.smtx.gz")):
        name = f"dlmc/{path.name.removesuffix('.smtx.gz')}"
        yield Problem(name, "dlmc", functools.partial(read_smtx, path, seed_of(name)))


def lyra_problems(folder: Path) -> Iterator[Problem]:
    raw = folder / "lyra_wavegru" / "raw"
    for path in sorted(raw.glob("*_mask.raw.gz")):
        with gzip.open(path) as file:
            mask = np.frombuffer(file.read(), dtype="<f4")
        if mask.all():  # a layer that was not pruned
            continue
        layer = path.name.removesuffix("_mask.raw.gz")
        yield Problem(f"lyra/{layer.removeprefix('lyra_16khz_')}", "lyra", functools.partial(_lyra, raw, layer))


def mediapipe_problems(folder: Path) -> Iterator[Problem]:
    for path in sorted((folder / "mediapipe_sparse").glob("*_decoded.npz")):
        network = path.name.removesuffix("_sparse_decoded.npz")
        with np.load(path, allow_pickle=False) as file:
            tensors = list(file.files)
        for tensor in tensors:
            yield Problem(f"mediapipe/{network}/{tensor}", "mediapipe", functools.partial(_mediapipe, path, tensor))


def mtx_problems(folder: Path) -> Iterator[Problem]:
    for path in sorted((folder / "mtx").glob("*.mtx")):
        with path.open() as file:
            if "complex" in file.readline().lower():
                continue
        yield Problem(f"mtx/{path.stem}", "mtx", functools.partial(_mtx, path))


REAL = {"dlmc": dlmc_problems, "lyra": lyra_problems, "mediapipe": mediapipe_problems, "mtx": mtx_problems}


def real_problems(folder: Path | None, groups: Iterable[str] = tuple(REAL)) -> list[Problem]:
    """The real matrices of the given groups; none where there is no folder. A group that is missing from a folder that
    is there raises `NoData`."""
    if folder is None:
        return []
    found: list[Problem] = []
    for group in groups:
        members = list(REAL[group](folder))
        if not members:
            raise NoData(f"{folder} holds no {group} matrices")
        found += members
    return found


def matches(problem: Problem, words: Iterable[str]) -> bool:
    return all(word in problem.name for word in words)


_BALANCED = re.compile(r"balanced_(\d+)x(\d+)_b(\d+)_s(\d+)")
_GENERATED = re.compile(r"(bernoulli|equal)_(\d+)x(\d+)_(\d+(?:\.\d+)?)")


def get(name: str, folder: Path | None = None) -> Problem:
    """The problem of that name; generated names may have any shape and sparsity."""
    for problem in [*large_problems(), *network_problems()]:
        if problem.name == name:
            return problem
    if found := _BALANCED.fullmatch(name):
        rows, columns, height, set_size = map(int, found.groups())
        return balanced((rows, columns), set_size, height)
    if found := _GENERATED.fullmatch(name):
        kind, *sides, sparsity = found.groups()
        return generated(kind, (int(sides[0]), int(sides[1])), float(sparsity))
    group = name.partition("/")[0]
    if group in REAL:
        if folder is None:
            raise NoData(f"{name}: no data folder (--data or COMPLSPARSE_DATA)")
        for problem in REAL[group](folder):
            if problem.name == name:
                return problem
    raise NoData(f"no problem is called {name!r}")
