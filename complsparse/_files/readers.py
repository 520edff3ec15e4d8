# SPDX-License-Identifier: BSD-3-Clause
"""The matrices in other people's files, for the command line. What was read passes the checks of any other input."""

from __future__ import annotations

import gzip
import io
import math
import os
import shutil
import tempfile
import zipfile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from complsparse._files import npz
from complsparse._files.npz import naming, path_of, read_array, read_members
from complsparse._files.saved import read_saved
from complsparse._matrix import formats
from complsparse._matrix.csr import Csr, check_dtype, check_shape, to_scipy

SAFETENSORS_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def _gunzip(stream: IO[bytes]) -> bytes:
    with gzip.GzipFile(fileobj=stream) as expanded:
        content = expanded.read(npz.MAX_EXPANDED + 1)
    if len(content) > npz.MAX_EXPANDED:
        raise ValueError(f"expands to more than {npz.MAX_EXPANDED} bytes")
    return content


def read_matrix(path: str | os.PathLike[str], *, tensor: str | None = None, seed: int = 0) -> dict[str, Any]:
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
    """
    name = path_of(path)
    plain = name.removesuffix(".gz")
    stem, suffix = os.path.splitext(os.path.basename(plain))
    readers = {
        ".npz": _read_npz,
        ".npy": _read_npy,
        ".mtx": _read_mtx,
        ".smtx": _read_smtx,
        ".safetensors": _read_safetensors,
    }
    if suffix.lower() not in readers:
        raise ValueError(
            f"{name}: the suffix {suffix!r} is not known; use {', '.join(readers)}, or one of them with .gz"
        )
    with open(name, "rb") as raw, naming(name):
        if plain == name:
            stream: IO[bytes] = raw
            n_bytes = os.fstat(raw.fileno()).st_size
        else:
            content = _gunzip(raw)
            stream, n_bytes = io.BytesIO(content), len(content)
        matrices = readers[suffix.lower()](stream, n_bytes, stem, seed)
        if tensor is not None:
            if tensor not in matrices:
                raise ValueError(f"holds no matrix {tensor!r}; there are {_list_names(matrices)}")
            matrices = {tensor: matrices[tensor]}
        if not matrices:
            raise ValueError("holds no matrix")
    return matrices


def _list_names(matrices: dict[str, Any]) -> str:
    names = sorted(matrices)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _as_matrix(array: NDArray[Any]) -> NDArray[Any]:
    """A dense array of two or more axes as the matrix that multiplies: (first axis, all others)."""
    check_dtype(array.dtype)
    matrix = array.reshape(array.shape[0], math.prod(array.shape[1:]))
    return matrix.astype(np.float32) if matrix.dtype == np.float16 else matrix


def _read_npy(stream: IO[bytes], n_bytes: int, stem: str, seed: int) -> dict[str, Any]:
    array = read_array(stream, n_bytes, stem, any_order=True)
    if array.ndim < 2:
        raise ValueError(f"an array of shape {array.shape} is not a matrix")
    return {stem: _as_matrix(array)}


def _read_npz(stream: IO[bytes], n_bytes: int, stem: str, seed: int) -> dict[str, Any]:
    with zipfile.ZipFile(stream) as archive:
        names = {member.filename for member in archive.infolist()}
    stream.seek(0)
    if {"format.npy", "version.npy"} <= names:
        try:
            return {stem: read_saved(stream, n_bytes)}
        except ImportError as error:
            raise ValueError(str(error)) from None
    arrays = read_members(stream, n_bytes)
    if "format" in arrays:
        return {stem: _scipy_matrix(arrays)}
    return {name: _as_matrix(array) for name, array in arrays.items() if array.ndim >= 2}


def _scipy_matrix(arrays: dict[str, NDArray[Any]]) -> Any:
    """A matrix in the form of `scipy.sparse.save_npz`, checked before scipy sees it."""
    name = arrays["format"].item() if arrays["format"].ndim == 0 else None
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    if arrays["shape"].ndim != 1 or arrays["shape"].dtype.kind not in "iu":
        raise ValueError(f"shape is {arrays['shape'].dtype} with {arrays['shape'].ndim} axes, not a vector of integers")
    shape = check_shape(arrays["shape"].tolist())
    data = arrays["data"]
    if text == "csr":
        parts = formats.from_csr(arrays["indptr"], arrays["indices"], data, shape)
    elif text == "csc":
        parts = formats.from_csc(arrays["indptr"], arrays["indices"], data, shape)
    elif text == "bsr":
        parts = formats.from_bsr(arrays["indptr"], arrays["indices"], data, shape)
    elif text == "dia":
        parts = formats.from_dia(arrays["offsets"], data, shape)
    elif text == "coo":
        rows, cols = arrays["coords"] if "coords" in arrays else (arrays["row"], arrays["col"])
        parts = formats.from_coo(rows, cols, data, shape)
    else:
        raise ValueError(f"format {text!r} is not known")
    return to_scipy(Csr(*parts, shape))


def _read_mtx(stream: IO[bytes], n_bytes: int, stem: str, seed: int) -> dict[str, Any]:
    _check_mtx_size(stream, n_bytes)
    stream.seek(0)
    from scipy.io import mmread  # not needed to compute

    # scipy reads a file by name: given a stream, it aborts the process on some malformed ones.
    with tempfile.NamedTemporaryFile(suffix=".mtx") as file:
        shutil.copyfileobj(stream, file)
        file.flush()
        matrix = mmread(file.name, spmatrix=False)
    check_dtype(matrix.dtype)
    return {stem: matrix}


def _check_mtx_size(stream: IO[bytes], n_bytes: int) -> None:
    """Refuses a size line that promises more entries than the bytes can hold, before anything is allocated."""
    banner = stream.readline(1024).lower().split()
    for line in stream:
        fields = line.split()
        if fields and not line.startswith(b"%"):
            break
    else:
        return
    if not all(field.isdigit() for field in fields):
        return  # scipy says what is wrong
    sizes = [int(field) for field in fields]
    if b"coordinate" in banner and len(sizes) == 3:
        entries, shortest = sizes[2], 4  # "1 1\n"
    elif b"array" in banner and len(sizes) == 2:
        entries, shortest = sizes[0] * sizes[1], 2 if b"general" in banner else 1  # one triangle is enough
    else:
        return
    if entries * shortest > n_bytes + shortest * (sizes[0] + 1):
        raise ValueError(f"declares {entries} entries but has {n_bytes} bytes")


def _read_smtx(stream: IO[bytes], n_bytes: int, stem: str, seed: int) -> dict[str, Any]:
    lines = stream.read().split(b"\n")
    if len(lines) < 3:
        raise ValueError("has fewer than 3 lines: sizes, row offsets, columns")
    if any(line.strip() for line in lines[3:]):
        raise ValueError("has more than 3 lines")
    sizes, indptr, indices = (np.array(line.replace(b",", b" ").split(), dtype=np.int64) for line in lines[:3])
    if len(sizes) != 3:
        raise ValueError(f"line 1 holds {len(sizes)} numbers, not rows, cols and nnz")
    rows, cols, nnz = sizes.tolist()
    if nnz != len(indices):
        raise ValueError(f"declares {nnz} non-zeros but lists {len(indices)} columns")
    values = np.random.default_rng(seed).standard_normal(len(indices), dtype=np.float32)
    shape = check_shape((rows, cols))
    return {stem: to_scipy(Csr(*formats.from_csr(indptr, indices, values, shape), shape))}


def _read_safetensors(stream: IO[bytes], n_bytes: int, stem: str, seed: int) -> dict[str, Any]:
    try:
        from safetensors import SafetensorError, deserialize
    except ImportError:
        raise ValueError("reading .safetensors needs the package safetensors: pip install safetensors") from None
    try:
        tensors: list[tuple[str, dict[str, Any]]] = deserialize(stream.read())  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    return {
        name: _as_matrix(_tensor(x["data"], x["dtype"]).reshape(x["shape"]))
        for name, x in tensors
        if len(x["shape"]) >= 2 and x["dtype"] in SAFETENSORS_FLOATS
    }


def _tensor(content: bytes, name: str) -> NDArray[Any]:
    stored = np.frombuffer(content, dtype=SAFETENSORS_FLOATS[name])
    # bfloat16 is the upper half of a float32: no package is needed to read it.
    return (stored.astype(np.uint32) << 16).view(np.float32) if name == "BF16" else stored
