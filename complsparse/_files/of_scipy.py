# SPDX-License-Identifier: BSD-3-Clause
"""Files of `scipy.sparse.save_npz`, read without scipy, whose classes trust the arrays that they are given."""

from __future__ import annotations

from typing import IO, Any

from numpy.typing import NDArray

from complsparse._files.npz import member_names
from complsparse._files.trust import check_sizes
from complsparse._matrix import formats
from complsparse._matrix.csr import Csr, check_shape


def is_of_scipy(stream: IO[bytes]) -> bool:
    names = member_names(stream)
    return "format" in names and not names & {"version", "strategy"}


def csr_of_scipy(arrays: dict[str, NDArray[Any]], n_bytes: int) -> Csr:
    """The matrix that the members of a file of `n_bytes` describe, of any format that scipy saves."""
    name = arrays["format"].item() if arrays["format"].ndim == 0 else None
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    if arrays["shape"].ndim != 1 or arrays["shape"].dtype.kind not in "iu":
        raise ValueError(f"shape is {arrays['shape'].dtype} with {arrays['shape'].ndim} axes, not a vector of integers")
    shape = check_shape(arrays["shape"].tolist())
    check_sizes(shape, n_bytes)
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
        rows, cols = _coordinates(arrays)
        parts = formats.from_coo(rows, cols, data, shape)
    else:
        raise ValueError(f"format {text!r} is not known")
    return Csr(*parts, shape)


def _coordinates(arrays: dict[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    if "coords" not in arrays:
        return arrays["row"], arrays["col"]
    coords = arrays["coords"]
    if coords.ndim != 2 or len(coords) != 2:
        raise ValueError(f"coords has the shape {coords.shape}, not (2, entries)")
    return coords[0], coords[1]
