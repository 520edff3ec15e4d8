# SPDX-License-Identifier: BSD-3-Clause
"""`save` and `load`: a matrix with its packing in a file, which is not trusted when it comes back."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from complsparse._dtypes import bfloat16, is_bfloat16
from complsparse._files.npz import naming, path_of, read_members
from complsparse._matrix.matrix import ComplementaryMatrix, _restore

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
}
OPTIONAL_MEMBERS = {"dtype", "set_ptr", "row_order"}


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
    members = {"format": FORMAT_NAME, "version": np.int64(FORMAT_VERSION), **W._state()}
    members["shape"] = np.array(members["shape"], dtype=np.int64)
    members["block"] = np.array(members["block"], dtype=np.int64)
    if is_bfloat16(W.dtype):
        members["data"], members["dtype"] = members["data"].view(np.uint16), "bfloat16"
    target = path_of(path)
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
    name = path_of(path)
    with open(name, "rb") as stream, _naming_value_error(name):
        return read_saved(stream, os.fstat(stream.fileno()).st_size)


def read_saved(stream: IO[bytes], n_bytes: int) -> ComplementaryMatrix:
    """The matrix in the bytes of a file of `save`."""
    return _restore(_state_in(read_members(stream, n_bytes, only=MEMBERS)))


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
    state["shape"], state["block"] = (tuple(state[name].tolist()) for name in ("shape", "block"))
    return state
