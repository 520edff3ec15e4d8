# SPDX-License-Identifier: BSD-3-Clause
"""The matrices in other people's files, for the command line. What was read passes the checks of any other input."""

from __future__ import annotations

import gzip
import io
import math
import os
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from complsparse._files.decimals import BadToken, Text, read_sizes
from complsparse._files.matrix_market import read_matrix_market
from complsparse._files.npz import read_array, read_members
from complsparse._files.of_scipy import csr_of_scipy, is_of_scipy
from complsparse._files.safetensors import read_safetensors
from complsparse._files.saved import is_saved, read_saved
from complsparse._files.trust import (
    check_expanded,
    check_regular,
    check_sizes,
    most_expanded,
    naming,
    path_of,
    printable,
)
from complsparse._matrix import formats
from complsparse._matrix.csr import Csr, check_dtype, check_shape, to_scipy

PIECE = 2**20  # bytes that are expanded at a time
# Digits as they are, what may stand between numbers as a blank, and all else as a character that no number has.
_NATURALS = bytes(c if c in b"0123456789" else ord(" ") if c in b" ,\t\r" else ord("!") for c in range(256))


class Source(NamedTuple):
    """A file that is being read."""

    stream: IO[bytes]
    n_bytes: int
    stored_bytes: int  # on disk: fewer where it is compressed
    stem: str  # the name of the matrix in files that have none for it
    seed: int
    narrow: bool


def expand(stream: IO[bytes], n_bytes: int) -> io.BytesIO:
    """The content of a gzipped file of `n_bytes`, within the bound on what it may expand to."""
    expanded, most = io.BytesIO(), most_expanded(n_bytes)
    with gzip.GzipFile(fileobj=stream) as pieces:
        while piece := pieces.read(PIECE):
            expanded.write(piece)
            if expanded.tell() > most:
                check_expanded(expanded.tell(), n_bytes)
    expanded.seek(0)
    return expanded


def read_matrix(
    path: str | os.PathLike[str], *, tensor: str | None = None, seed: int = 0, narrow: bool = True
) -> dict[str, Any]:
    """The matrices of a file, by name, as anything that `ComplementaryMatrix` takes.

    Parameters
    ----------
    path : path
        ``.npz`` (of `save`, of `scipy.sparse.save_npz`, or arrays), ``.npy``, ``.mtx``, ``.smtx`` or ``.safetensors``,
        each also with ``.gz`` behind it.
    tensor : str, optional
        Only the matrix of this name.
    seed : int
        Of the generator that the values of an ``.smtx`` pattern are drawn from (standard normal, float32).
    narrow : bool
        Whether decimal fractions in text become float32 where that is as fine as their spelling (`matrix_market.py`).
        A caller who casts them wants float64.

    Returns
    -------
    dict of str to matrix
        Arrays with more than two axes are reshaped to (first axis, all others), float16 and the bfloat16 of
        ``.safetensors`` are widened to float32.

    Raises
    ------
    ValueError, TypeError
        One line that names the file and the reason.
    OSError
        The file cannot be read.
    MemoryError
        Not enough memory.

    Notes
    -----
    Linear in what the file holds, which has the bounds of `trust.py`.
    """
    name = path_of(path)
    plain = name.removesuffix(".gz")
    stem, suffix = os.path.splitext(os.path.basename(plain))
    readers = {
        ".npz": _read_npz,
        ".npy": _read_npy,
        ".mtx": _read_mtx,
        ".smtx": _read_smtx,
        ".safetensors": _read_tensors,
    }
    if suffix.lower() not in readers:
        raise ValueError(
            f"{name}: the suffix {suffix!r} is not known; use {', '.join(readers)}, or one of them with .gz"
        )
    check_regular(name)
    with open(name, "rb") as raw, naming(name):
        stored_bytes = os.fstat(raw.fileno()).st_size
        stream: IO[bytes] = raw
        n_bytes = stored_bytes
        if plain != name:
            expanded = expand(raw, stored_bytes)
            stream, n_bytes = expanded, expanded.getbuffer().nbytes
        matrices = readers[suffix.lower()](Source(stream, n_bytes, stored_bytes, stem, seed, narrow))
        if tensor is not None:
            if tensor not in matrices:
                raise ValueError(f"holds no matrix {tensor!r}; there are {_list_names(matrices)}")
            matrices = {tensor: matrices[tensor]}
        if not matrices:
            raise ValueError("holds no matrix")
    return matrices


def _list_names(matrices: dict[str, Any]) -> str:
    names = sorted(matrices)
    return ", ".join(map(printable, names[:8])) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _as_matrix(array: NDArray[Any], source: Source) -> NDArray[Any]:
    """A dense array of two or more axes as the matrix that multiplies: (first axis, all others)."""
    check_dtype(array.dtype)
    shape = (array.shape[0], math.prod(array.shape[1:]))
    check_sizes(shape, source.stored_bytes)
    matrix = array.reshape(shape)
    return matrix.astype(np.float32) if matrix.dtype == np.float16 else matrix


# --- one function per format ------------------------------------------------------------------------------------------


def _read_npy(source: Source) -> dict[str, Any]:
    array = read_array(source.stream, source.n_bytes, source.stem, any_order=True)
    if array.ndim < 2:
        raise ValueError(f"an array of shape {array.shape} is not a matrix")
    return {source.stem: _as_matrix(array, source)}


def _read_npz(source: Source) -> dict[str, Any]:
    if is_of_scipy(source.stream):
        arrays = read_members(source.stream, source.n_bytes)
        return {source.stem: to_scipy(csr_of_scipy(arrays, source.stored_bytes))}
    if is_saved(source.stream):
        try:
            return {source.stem: read_saved(source.stream, source.n_bytes)}
        except ImportError as error:
            raise ValueError(str(error)) from None
    arrays = read_members(source.stream, source.n_bytes)
    return {name: _as_matrix(array, source) for name, array in arrays.items() if array.ndim >= 2}


def _read_mtx(source: Source) -> dict[str, Any]:
    matrix = read_matrix_market(source.stream, source.n_bytes, narrow=source.narrow, stored_bytes=source.stored_bytes)
    return {source.stem: matrix}


def _read_smtx(source: Source) -> dict[str, Any]:
    lines = source.stream.read().split(b"\n")
    if len(lines) < 3:
        raise ValueError("has fewer than 3 lines: sizes, row offsets, columns")
    if any(line.strip() for line in lines[3:]):
        raise ValueError("has more than 3 lines")
    sizes, indptr, indices = (_integers_of_line(line, number) for number, line in enumerate(lines[:3], 1))
    if len(sizes) != 3:
        raise ValueError(f"line 1 holds {len(sizes)} numbers, not rows, cols and nnz")
    rows, cols, nnz = sizes.tolist()
    if nnz != len(indices):
        raise ValueError(f"declares {nnz} non-zeros but lists {len(indices)} columns")
    shape = check_shape((rows, cols))
    check_sizes((cols,), source.stored_bytes)  # the rows are listed
    values = np.random.default_rng(source.seed).standard_normal(len(indices), dtype=np.float32)
    return {source.stem: to_scipy(Csr(*formats.from_csr(indptr, indices, values, shape), shape))}


def _integers_of_line(line: bytes, number: int) -> NDArray[np.int64]:
    """Numbers between blanks or commas, some at a time: where tokens are takes more memory than what they say."""
    content = line.translate(_NATURALS)
    parts, at = [np.empty(0, np.int64)], 0
    while at < len(content):
        blank = content.find(b" ", at + PIECE)
        end = blank if blank >= 0 else len(content)
        text = Text(content[at:end])
        try:
            parts.append(read_sizes(text, text.start, text.end))
        except BadToken as error:
            raise ValueError(f"line {number}: {error}") from None
        at = end
    return np.concatenate(parts)


def _read_tensors(source: Source) -> dict[str, Any]:
    tensors = read_safetensors(source.stream, source.n_bytes)
    return {name: _as_matrix(array, source) for name, array in tensors.items() if array.ndim >= 2}
