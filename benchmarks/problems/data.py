# SPDX-License-Identifier: BSD-3-Clause
"""Real matrices, from a folder of data that is no part of the project."""

from __future__ import annotations

import functools
import gzip
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from benchmarks.problems.matrices import Problem, drawn_values, seed_of


class NoData(LookupError):
    """The folder of real matrices, or a file in it, is not here."""


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
    data = drawn_values(np.random.default_rng(seed), nnz)
    return sp.csr_array((data, indices, indptr), shape=(rows, columns))


def read_lyra(folder: Path, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Weights with their zeros, and the bias."""

    def raw(part: str) -> np.ndarray:
        with gzip.open(folder / f"{layer}_{part}.raw.gz") as file:
            return np.frombuffer(file.read(), dtype="<f4")

    bias = raw("bias")
    return (raw("weights") * raw("mask")).reshape(len(bias), -1), bias


def _lyra(folder: Path, layer: str) -> sp.csr_array:
    return sp.csr_array(read_lyra(folder, layer)[0])


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
