# SPDX-License-Identifier: BSD-3-Clause
"""`save` and `load`: a matrix with its packing in a file, which is not trusted when it comes back."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from complsparse._dtypes import bfloat16, is_bfloat16
from complsparse._files.npz import member_names, read_members
from complsparse._files.of_scipy import csr_of_scipy, is_of_scipy
from complsparse._files.replacing import replacing
from complsparse._files.trust import check_regular, naming, path_of
from complsparse._matrix.csr import to_scipy
from complsparse._matrix.matrix import ComplementaryMatrix, _restore

T = TypeVar("T")

FORMAT_NAME = "complsparse"
FORMAT_VERSION = 1

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
    "filter_shape": ("i", 1),  # of filters
    "scale": ("f", 1),  # of quantised values
}
OPTIONAL_MEMBERS = {"dtype", "set_ptr", "row_order", "filter_shape", "scale"}
SIZES = ("shape", "block", "filter_shape")  # tuples of integers


def save(path: str | os.PathLike[str] | IO[bytes], W: ComplementaryMatrix) -> None:
    """Writes a matrix and its packing to an ``.npz`` file.

    Parameters
    ----------
    path : path or binary file object
        A file of this name is replaced at once or not at all, and is on disk when the call returns; it keeps its
        permissions, and a symbolic link to it stays. A file object is written to and left open.
    W : ComplementaryMatrix

    Raises
    ------
    TypeError
        Not a ComplementaryMatrix; a file object of text.
    ValueError
        The path leads to something that is not a regular file, such as a device or a pipe.
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
    write_members(path, members_of(W))


def members_of(W: ComplementaryMatrix) -> dict[str, Any]:
    """What a file holds of a matrix."""
    members = {"format": FORMAT_NAME, "version": np.int64(FORMAT_VERSION), **W._state()}
    for name in members.keys() & set(SIZES):
        members[name] = np.array(members[name], dtype=np.int64)
    if is_bfloat16(W.dtype):
        members["data"], members["dtype"] = members["data"].view(np.uint16), "bfloat16"
    return members


def matrix_of(members: dict[str, NDArray[Any]]) -> ComplementaryMatrix:
    """The matrix of such members, which are not trusted."""
    return _restore(_state_in(members))


def write_members(path: str | os.PathLike[str] | IO[bytes], members: dict[str, Any]) -> None:
    """An ``.npz`` file of these arrays, on disk at once or not at all."""
    # No further keyword for NumPy: before 2.1 it would be one more member.
    if not isinstance(path, (str, os.PathLike)) and hasattr(path, "write"):
        if isinstance(path, io.TextIOBase):
            raise TypeError(f"save writes bytes, but {type(path).__name__} takes text; open the file in mode 'wb'")
        np.savez(path, **members)
        return
    with replacing(path_of(path)) as stream:
        np.savez(stream, **members)


def load(path: str | os.PathLike[str] | IO[bytes]) -> ComplementaryMatrix:
    """Reads a matrix that `save` or `scipy.sparse.save_npz` wrote. Nothing in the file is trusted.

    Parameters
    ----------
    path : path or binary file object
        What a file object has left is read into memory first; it stays open.

    Returns
    -------
    ComplementaryMatrix
        With the packing that was saved; a file of scipy is packed anew.

    Raises
    ------
    ValueError
        A malformed file: one line that names it and the reason. A path to a device or a pipe.
    OSError
        The file cannot be read.
    MemoryError
        The matrix does not fit.
    ImportError
        The values are bfloat16, and the package ml_dtypes is not installed.

    Notes
    -----
    O(nnz + M + K); allocates at most twice the size of the file. A file of scipy may be compressed: n bytes may expand
    to 2**24 + 100 n, and declare 2**20 + 4 n rows and columns.
    """
    return read_with(path, _load)


def read_with(path: str | os.PathLike[str] | IO[bytes], reader: Callable[[IO[bytes], int], T]) -> T:
    """`reader` of the bytes and how many there are; its errors name the file."""
    if not isinstance(path, (str, os.PathLike)) and hasattr(path, "read"):
        name = getattr(path, "name", None)
        name = name if isinstance(name, str) else type(path).__name__
        content = path.read()
        if not isinstance(content, (bytes, bytearray)):
            raise TypeError(f"load reads bytes, but {name} gave {type(content).__name__}; open the file in mode 'rb'")
        with _naming_value_error(name):
            return reader(io.BytesIO(content), len(content))
    name = path_of(path)
    check_regular(name)
    with open(name, "rb") as stream, _naming_value_error(name):
        return reader(stream, os.fstat(stream.fileno()).st_size)


def _load(stream: IO[bytes], n_bytes: int) -> ComplementaryMatrix:
    if not is_of_scipy(stream):
        return read_saved(stream, n_bytes)
    return ComplementaryMatrix(to_scipy(csr_of_scipy(read_members(stream, n_bytes), n_bytes)))


def is_saved(stream: IO[bytes]) -> bool:
    return {"format", "version"} <= member_names(stream)


def read_saved(stream: IO[bytes], n_bytes: int) -> ComplementaryMatrix:
    """The matrix in the bytes of a file of `save`."""
    return matrix_of(read_members(stream, n_bytes, only=MEMBERS))


@contextlib.contextmanager
def _naming_value_error(path: str) -> Iterator[None]:
    try:
        with naming(path):
            yield
    except TypeError as error:
        raise ValueError(str(error)) from None


def _state_in(members: dict[str, NDArray[Any]]) -> dict[str, Any]:
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
    for name in state.keys() & set(SIZES):
        state[name] = tuple(state[name].tolist())
    return state
