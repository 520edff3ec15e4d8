# SPDX-License-Identifier: BSD-3-Clause
"""Other people's dense arrays as NumPy's: read as what they mean, or refused by name.

The only file that knows tensors and array subclasses. A protocol is believed as far as it goes: DLPack hands over
memory, but neither a sign that a tensor still owes, nor whether the tensor has any memory, nor a mask.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from complsparse._dtypes import bfloat16, is_bfloat16


def as_array(given: Any, name: str) -> NDArray[Any]:
    """`read_array`; TypeError for Python objects too."""
    array = read_array(given, name)
    if array.dtype == object:
        kind = type(given).__name__
        raise TypeError(f"{name} is not an array of numbers: {kind} of dtype object (Python objects, missing values)")
    return array


def read_array(given: Any, name: str) -> NDArray[Any]:
    """`numpy.asarray` of what a caller passed as `name`; tensors on the CPU without a copy.

    Raises TypeError for masked arrays, and for tensors that have no values to read: those of other devices, traced or
    fake ones, those that record gradients. ValueError for nested lists that are no array.
    """
    if type(given) is np.ndarray:
        array = given
    elif is_masked(given):
        raise TypeError(
            f"{name} is a masked array, and masks are not known here: pass {name}.filled(0), or {name}.data to have "
            "the hidden values too"
        )
    elif isinstance(given, np.ndarray):
        array = np.asarray(given)
    elif _is_torch(given):
        array = _of_torch(given, name)
    elif hasattr(given, "__dlpack__"):
        array = _of_dlpack(given, name)
    else:
        array = _of_anything(given, name)
    return array


def is_masked(given: Any) -> bool:
    """Also where nothing is masked: what is accepted must not hang on values."""
    return isinstance(given, np.ma.MaskedArray)


def _of_anything(given: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(given)
    except (MemoryError, KeyboardInterrupt):
        raise
    except ValueError as error:
        raise ValueError(f"{name} cannot be read as an array: {_first_line(error)}") from None
    except Exception as error:  # whatever a foreign __array__ raises
        raise _unreadable(given, name, error) from None


def _of_dlpack(given: Any, name: str) -> NDArray[Any]:
    try:
        return np.from_dlpack(given)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        # A dtype for which NumPy's DLPack has no name, such as bfloat16: who knows ml_dtypes answers `asarray`.
        if not hasattr(type(given), "__array__"):
            raise _unreadable(given, name, error) from None
    return _of_anything(given, name)


def _is_torch(given: Any) -> bool:
    """Nobody has a tensor before torch has been imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(given, getattr(torch, "Tensor", ()))


def _of_torch(tensor: Any, name: str) -> NDArray[Any]:
    """`Tensor.numpy` checks what `Tensor.__dlpack__` does not: owed signs, and that there is memory.

    bfloat16 that NumPy has no name for is read as float32, which holds all its values.
    """
    torch = sys.modules["torch"]
    try:
        settled = tensor.resolve_neg().resolve_conj()
        if settled.dtype is not torch.bfloat16:
            return np.asarray(settled.numpy())
        bits = np.asarray(settled.view(torch.int16).numpy())
        return bits.view(bfloat16())
    except ImportError:
        return np.asarray(settled.float().numpy())
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise _unreadable(tensor, name, error) from None


def tensor_memory(tensor: Any, name: str) -> NDArray[Any]:
    """The array on a tensor's memory, to be written to; TypeError where the tensor hands over none."""
    array = _of_torch(tensor, name)
    if array.size and array.ctypes.data != tensor.data_ptr():
        raise TypeError(f"{name} is a tensor of dtype {tensor.dtype}, which cannot be written to where it lies")
    return array


def as_tensor(array: NDArray[Any]) -> Any:
    """A tensor on the memory of a result for whose dtype torch has another name, or none."""
    torch = sys.modules["torch"]
    if not is_bfloat16(array.dtype):
        raise TypeError(f"the result has dtype {array.dtype}, which torch does not know: choose another with dtype=")
    return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)


# The parts of torch's compressed layouts: where the indices of rows, or of columns, start; the other indices.
_COMPRESSED = {
    "csr": ("crow_indices", "col_indices"),
    "csc": ("ccol_indices", "row_indices"),
    "bsr": ("crow_indices", "col_indices"),
}


class SparseParts(NamedTuple):
    """The arrays of a foreign sparse matrix, unchecked, on its own memory."""

    form: str
    indices: tuple[NDArray[Any], NDArray[Any]]  # pointers and indices; rows and columns of "coo"
    values: NDArray[Any]
    shape: tuple[int, int]


def is_sparse_tensor(given: Any) -> bool:
    """Of torch, in whatever sparse layout."""
    return _is_torch(given) and given.layout is not sys.modules["torch"].strided


def sparse_parts(given: Any, name: str) -> SparseParts | None:
    """Those of a sparse tensor of torch; None for anything else.

    Raises TypeError for other layouts, ValueError where an axis is dense or there are more than two.
    """
    if not is_sparse_tensor(given):
        return None
    form = str(given.layout).removeprefix("torch.sparse_")
    if form not in ("coo", *_COMPRESSED):
        raise TypeError(f"{name} is a tensor of layout {given.layout}; use COO, CSR, CSC or BSR")
    if given.ndim != 2 or given.dense_dim():
        raise ValueError(
            f"{name} is a sparse tensor of shape {tuple(given.shape)} with {given.dense_dim()} dense axes; a matrix "
            "has 2 axes, both sparse"
        )
    tensor = given.detach()
    if form == "coo":
        (first, second), values = tensor._indices(), tensor._values()
    else:
        first, second = (getattr(tensor, part)() for part in _COMPRESSED[form])
        values = tensor.values()
    indices = (_of_torch(first, name), _of_torch(second, name))
    return SparseParts(form, indices, _of_torch(values, name), tuple(given.shape))


def _unreadable(given: Any, name: str, error: Exception) -> TypeError:
    kind = type(given)
    dtype = getattr(given, "dtype", None)
    of = "" if dtype is None else f" of dtype {dtype}"
    return TypeError(f"{name} ({kind.__module__}.{kind.__qualname__}{of}) cannot be read: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
