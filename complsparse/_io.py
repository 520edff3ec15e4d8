# SPDX-License-Identifier: BSD-3-Clause
"""Files: `save` and `load`, and the reader of other people's matrices for the command line.

A file is untrusted: pickles are never read, no array is allocated before its header agrees with the bytes that are
there, and what has been read goes through the same checks as any other input.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import os
import secrets
import shutil
import struct
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from complsparse import _convert
from complsparse._errors import bfloat16, is_bfloat16
from complsparse._matrix import ComplementaryMatrix, _restore
from complsparse._state import state_of

FORMAT_NAME = "complsparse"
FORMAT_VERSION = 1
MAX_EXPANDED = 2**32  # bytes that a compressed file may grow to
MAX_HEADER = 4096  # bytes of the header of an array, which is a dict of three short entries

# What each member of a file holds: kinds of dtype, and number of axes.
MEMBERS = {
    "format": ("U", 0),
    "version": ("i", 0),
    "shape": ("i", 1),
    "strategy": ("U", 0),
    "block": ("i", 1),
    "transposed": ("b", 0),
    "indptr": ("i", 1),
    "indices": ("i", 1),
    "data": ("biuf", 1),
    "dtype": ("U", 0),  # of the data, where .npy has no name for it: "bfloat16", stored as uint16
    "set_ptr": ("i", 1),
    "row_order": ("i", 1),
}
OPTIONAL_MEMBERS = {"dtype", "set_ptr", "row_order"}

SAFETENSORS_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}

# Everything that zipfile, zlib, gzip and numpy's header parser raise on malformed bytes.
MALFORMED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    SyntaxError,
    OverflowError,
    MemoryError,
    RecursionError,
    RuntimeError,
    EOFError,
    OSError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Turns whatever malformed bytes raise into one line that names the file. A TypeError (dtypes) stays one."""
    try:
        yield
    except MALFORMED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, KeyError):
            reason = f"no member {reason}"
        kind = TypeError if type(error) is TypeError else ValueError
        raise kind(f"{path}: {reason}") from None


def _path(path: Any) -> str:
    return os.fsdecode(os.fspath(path))


# --- arrays in the .npy form ------------------------------------------------------------------------------------------


def _read_header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:  # 3.0 is for field names outside Latin-1
        raise ValueError(f"{name}: version {version} of the .npy format holds no plain array")
    try:
        return readers[version](stream, max_header_size=MAX_HEADER)
    except MALFORMED as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{name}: the header cannot be read: {reason}") from None


def _read_array(stream: IO[bytes], n_bytes: int, name: str, *, any_order: bool = False) -> NDArray[Any]:
    """One array of a .npy stream of `n_bytes`, which its header must account for exactly.

    `any_order` accepts what NumPy writes for other arrays: Fortran order and foreign byte order.
    """
    shape, fortran, dtype = _read_header(stream, name)
    if dtype.hasobject or dtype.subdtype is not None or dtype.names is not None:
        raise ValueError(f"{name}: dtype {dtype} is not a plain number")
    if any(size < 0 for size in shape):
        raise ValueError(f"{name}: shape {shape} has a negative size")
    expected = math.prod(shape) * dtype.itemsize
    present = n_bytes - stream.tell()
    if expected != present:
        raise ValueError(f"{name}: {dtype} of shape {shape} takes {expected} bytes, but there are {present}")
    if not any_order and (fortran or not dtype.isnative):
        raise ValueError(f"{name}: {'Fortran order' if fortran else 'foreign byte order'} is not accepted here")
    array = np.empty(shape, dtype=dtype, order="F" if fortran else "C")
    flat = array.reshape(-1, order="A").view(np.uint8) if array.size and dtype.itemsize else np.empty(0, np.uint8)
    into, filled = memoryview(flat), 0
    while filled < len(into):
        got = stream.readinto(into[filled:])  # type: ignore[attr-defined]
        if not got:
            raise ValueError(f"{name}: the file ends after {filled} of {expected} bytes")
        filled += got
    if stream.read(1):  # also makes zipfile compare the checksum
        raise ValueError(f"{name}: bytes follow the array")
    return array


def _read_members(stream: IO[bytes], n_bytes: int, *, stored_only: bool) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file. `stored_only`: refuse compressed members, so that no byte expands."""
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > (n_bytes if stored_only else MAX_EXPANDED):
            raise ValueError("the members are declared larger than the file can hold")
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name == member.filename or name in arrays:
                raise ValueError(f"member {member.filename!r} is not an array, or stands twice")
            if stored_only:
                if name not in MEMBERS:
                    raise ValueError(f"member {name!r} is not known")
                if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
                    raise ValueError(f"member {name!r} is compressed; complsparse.save stores plain bytes")
            with archive.open(member) as content:
                arrays[name] = _read_array(content, member.file_size, name, any_order=not stored_only)
    return arrays


# --- our files --------------------------------------------------------------------------------------------------------


def save(path: str | os.PathLike[str], W: ComplementaryMatrix) -> None:
    """Writes a matrix and its packing to an ``.npz`` file.

    Parameters
    ----------
    path : path
        Written under a temporary name first: a file that exists is replaced at once or not at all.
    W : ComplementaryMatrix

    Raises
    ------
    TypeError
        Not a ComplementaryMatrix.
    OSError
        The file cannot be written.

    Notes
    -----
    O(nnz + M + K). The members are plain arrays, uncompressed; `numpy.load` reads them too. bfloat16 values are stored
    as uint16, beside a member ``dtype`` that says so.

    Examples
    --------
    >>> import tempfile, os
    >>> import numpy as np
    >>> import complsparse as cs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "w.npz")
    ...     cs.save(path, cs.from_dense(np.eye(2)))
    ...     cs.load(path).nnz
    2
    """
    if not isinstance(W, ComplementaryMatrix):
        raise TypeError(f"save takes a ComplementaryMatrix, not {type(W).__name__}")
    members = {"format": FORMAT_NAME, "version": np.int64(FORMAT_VERSION), **state_of(W)}
    members["shape"] = np.array(members["shape"], dtype=np.int64)
    members["block"] = np.array(members["block"], dtype=np.int64)
    if is_bfloat16(W.dtype):
        members["data"], members["dtype"] = members["data"].view(np.uint16), "bfloat16"
    target = _path(path)
    folder, base = os.path.split(target)
    temporary = os.path.join(folder, f".{base[:64]}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as stream:
            np.savez(stream, allow_pickle=False, **members)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def load(path: str | os.PathLike[str]) -> ComplementaryMatrix:
    """Reads a matrix that `save` wrote. The file may come from anybody: everything in it is checked.

    Parameters
    ----------
    path : path

    Returns
    -------
    ComplementaryMatrix
        With the packing that was saved.

    Raises
    ------
    ValueError
        A malformed file: one line that names it and the reason.
    OSError
        The file cannot be read.
    ImportError
        The values are bfloat16, and the package ml_dtypes is not installed.

    Notes
    -----
    O(nnz + M + K); allocates at most twice the size of the file.
    """
    name = _path(path)
    with open(name, "rb") as stream, _naming_value_error(name):
        return _restore(_state_of(_read_members(stream, os.fstat(stream.fileno()).st_size, stored_only=True)))


@contextlib.contextmanager
def _naming_value_error(path: str) -> Iterator[None]:
    try:
        with _naming(path):
            yield
    except TypeError as error:
        raise ValueError(str(error)) from None


def _state_of(members: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """The state of a matrix, from members whose names, dtypes and axes are as `save` writes them."""
    missing = MEMBERS.keys() - OPTIONAL_MEMBERS - members.keys()
    if missing:
        raise ValueError(f"members are missing: {', '.join(sorted(missing))}")
    for name, array in members.items():
        kinds, ndim = MEMBERS[name]
        if array.dtype.kind not in kinds or array.ndim != ndim:
            raise ValueError(f"member {name!r} is {array.ndim}-dimensional {array.dtype}, which it must not be")
    if members["format"].item() != FORMAT_NAME:
        raise ValueError(f"format is {members['format'].item()!r}, not {FORMAT_NAME!r}")
    if members["version"].item() != FORMAT_VERSION:
        raise ValueError(f"version {members['version'].item()} is not known; this is version {FORMAT_VERSION}")
    if "dtype" in members:
        tag, stored = members["dtype"].item(), members["data"].dtype
        if tag != "bfloat16" or stored != np.uint16:
            raise ValueError(f"dtype {tag!r} of data stored as {stored} is not known; bfloat16 is stored as uint16")
        members = {**members, "data": members["data"].view(bfloat16())}
    state: dict[str, Any] = {
        name: array.item() if array.ndim == 0 else array
        for name, array in members.items()
        if name not in ("format", "version", "dtype")
    }
    state["shape"], state["block"] = (tuple(state[name].tolist()) for name in ("shape", "block"))
    return state


# --- other people's files ---------------------------------------------------------------------------------------------


def _gunzip(stream: IO[bytes]) -> bytes:
    with gzip.GzipFile(fileobj=stream) as expanded:
        content = expanded.read(MAX_EXPANDED + 1)
    if len(content) > MAX_EXPANDED:
        raise ValueError(f"expands to more than {MAX_EXPANDED} bytes")
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
    name = _path(path)
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
    with open(name, "rb") as raw, _naming(name):
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
    _convert.check_dtype(array.dtype)
    matrix = array.reshape(array.shape[0], math.prod(array.shape[1:]))
    return matrix.astype(np.float32) if matrix.dtype == np.float16 else matrix


def _read_npy(stream: IO[bytes], n_bytes: int, stem: str, seed: int) -> dict[str, Any]:
    array = _read_array(stream, n_bytes, stem, any_order=True)
    if array.ndim < 2:
        raise ValueError(f"an array of shape {array.shape} is not a matrix")
    return {stem: _as_matrix(array)}


def _read_npz(stream: IO[bytes], n_bytes: int, stem: str, seed: int) -> dict[str, Any]:
    with zipfile.ZipFile(stream) as archive:
        names = {member.filename for member in archive.infolist()}
    stream.seek(0)
    if {"format.npy", "version.npy"} <= names:
        try:
            return {stem: _restore(_state_of(_read_members(stream, n_bytes, stored_only=True)))}
        except ImportError as error:
            raise ValueError(str(error)) from None
    arrays = _read_members(stream, n_bytes, stored_only=False)
    if "format" in arrays:
        return {stem: _scipy_matrix(arrays)}
    return {name: _as_matrix(array) for name, array in arrays.items() if array.ndim >= 2}


def _scipy_matrix(arrays: dict[str, NDArray[Any]]) -> Any:
    """A matrix in the form of `scipy.sparse.save_npz`, checked before scipy sees it."""
    name = arrays["format"].item() if arrays["format"].ndim == 0 else None
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    if arrays["shape"].ndim != 1 or arrays["shape"].dtype.kind not in "iu":
        raise ValueError(f"shape is {arrays['shape'].dtype} with {arrays['shape'].ndim} axes, not a vector of integers")
    shape = _convert.check_shape(arrays["shape"].tolist())
    data = arrays["data"]
    if text == "csr":
        parts = _convert.from_csr(arrays["indptr"], arrays["indices"], data, shape)
    elif text == "csc":
        parts = _convert.from_csc(arrays["indptr"], arrays["indices"], data, shape)
    elif text == "bsr":
        parts = _convert.from_bsr(arrays["indptr"], arrays["indices"], data, shape)
    elif text == "dia":
        parts = _convert.from_dia(arrays["offsets"], data, shape)
    elif text == "coo":
        rows, cols = arrays["coords"] if "coords" in arrays else (arrays["row"], arrays["col"])
        parts = _convert.from_coo(rows, cols, data, shape)
    else:
        raise ValueError(f"format {text!r} is not known")
    return _convert.to_scipy(_convert.Csr(*parts, shape))


def _read_mtx(stream: IO[bytes], n_bytes: int, stem: str, seed: int) -> dict[str, Any]:
    _check_mtx_size(stream, n_bytes)
    stream.seek(0)
    from scipy.io import mmread  # not needed to compute

    # scipy reads a file by name: given a stream, it aborts the process on some malformed ones.
    with tempfile.NamedTemporaryFile(suffix=".mtx") as file:
        shutil.copyfileobj(stream, file)
        file.flush()
        matrix = mmread(file.name, spmatrix=False)
    _convert.check_dtype(matrix.dtype)
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
    shape = _convert.check_shape((rows, cols))
    return {stem: _convert.to_scipy(_convert.Csr(*_convert.from_csr(indptr, indices, values, shape), shape))}


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
