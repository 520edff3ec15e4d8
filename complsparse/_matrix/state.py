# SPDX-License-Identifier: BSD-3-Clause
"""What a `ComplementaryMatrix` is in a pickle or a file: arrays and plain values. What comes back is not trusted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._matrix.csr import Csr, check_dtype, check_shape, column_dtype, frozen
from complsparse._matrix.packing import Packing

_STATE_KEYS = frozenset({"shape", "indptr", "indices", "data", "strategy", "block", "transposed"})
_SET_KEYS = frozenset({"set_ptr", "row_order"})
_OPTIONAL_KEYS = frozenset({"filter_shape", "scale"})


def state_of(csr: Csr, packing: Packing, transposed: bool, scale: NDArray[np.float32] | None = None) -> dict[str, Any]:
    """What `checked_parts` takes."""
    state: dict[str, Any] = {
        "shape": csr.shape,
        "indptr": csr.indptr,
        "indices": csr.indices,
        "data": csr.data,
        "strategy": packing.strategy,
        "block": packing.block,
        "transposed": transposed,
    }
    if packing.filter_shape is not None:
        state["filter_shape"] = packing.filter_shape
    if scale is not None:
        state["scale"] = scale
    if packing.stored_sets is not None:
        state["set_ptr"], state["row_order"] = packing.stored_sets
    return state


def checked_parts(state: Any) -> tuple[Csr, Packing, bool, NDArray[np.float32] | None]:
    """The stored matrix and its packing, whether the matrix is the transpose of the stored one, and its scale.

    Raises ValueError or TypeError naming what is wrong.
    """
    if not isinstance(state, dict):
        raise TypeError(f"the state of a ComplementaryMatrix is a dict, not {type(state).__name__}")
    strategy = state.get("strategy")
    if strategy not in ("strict", "split"):
        raise ValueError(f"strategy={strategy!r} is not known; a packed matrix is 'strict' or 'split'")
    expected = _STATE_KEYS | _SET_KEYS if strategy == "strict" else _STATE_KEYS
    if state.keys() - _OPTIONAL_KEYS != expected:
        unknown, missing = state.keys() - expected - _OPTIONAL_KEYS, expected - state.keys()
        raise ValueError(f"unknown keys {sorted(map(str, unknown))}, missing keys {sorted(missing)}")
    if not isinstance(state["transposed"], bool):
        raise TypeError(f"transposed={state['transposed']!r} is not a bool")
    shape = check_shape(state["shape"])
    if len(state["shape"]) != 2:
        raise ValueError(f"shape {state['shape']} has one axis; a matrix has 2")
    arrays = {}
    for name in ("indptr", "indices", "data", *(("set_ptr", "row_order") if strategy == "strict" else ())):
        array = state[name]
        if not isinstance(array, np.ndarray) or array.ndim != 1:
            raise TypeError(f"{name} is not a vector")
        dtypes = {"data": None, "indices": column_dtype(shape[1])}
        wanted = dtypes.get(name, np.int64)
        if wanted is not None and array.dtype != wanted:
            raise ValueError(f"{name} has dtype {array.dtype}, not {np.dtype(wanted)}")
        # The caller's array may be changed later, so it is copied.
        arrays[name] = frozen(np.array(array, dtype=check_dtype(array.dtype), order="C", subok=False))
    csr = Csr(arrays["indptr"], arrays["indices"], arrays["data"], shape)
    is_sorted, is_unique = _core.check_csr(csr.indptr, csr.indices, *shape, len(csr.data))
    if not (is_sorted and is_unique):
        raise ValueError("the column indices do not ascend strictly within each row")
    sets = (arrays["set_ptr"], arrays["row_order"]) if strategy == "strict" else None
    packing = Packing(csr.indptr, csr.indices, shape, strategy, state["block"], sets)
    packing.filter_shape = _checked_filter_shape(state.get("filter_shape"), shape)
    return csr, packing, state["transposed"], _checked_scale(state.get("scale"), csr)


def _checked_scale(scale: Any, csr: Csr) -> NDArray[np.float32] | None:
    """None: the values stand for themselves."""
    if scale is None:
        return None
    if not isinstance(scale, np.ndarray) or scale.dtype != np.float32 or scale.shape != (csr.shape[0],):
        raise TypeError(f"scale is not a vector of {csr.shape[0]} float32, one for each row")
    if csr.data.dtype != np.int8:
        raise ValueError(f"scale belongs to int8 values, and the values are {csr.data.dtype}")
    wrong = np.flatnonzero(~(np.isfinite(scale) & (scale > 0)))
    if len(wrong):
        raise ValueError(f"scale[{wrong[0]}] is {scale[wrong[0]]}; a scale is positive and finite")
    return frozen(np.array(scale, order="C", subok=False))


def _checked_filter_shape(filters: Any, shape: tuple[int, int]) -> tuple[int, ...] | None:
    """None: there is none."""
    if filters is None:
        return None
    if not isinstance(filters, tuple) or len(filters) not in (3, 4) or not all(type(n) is int for n in filters):
        raise TypeError(f"filter_shape={filters!r} is not a tuple of 3 or 4 integers")
    if min(filters) < 0 or filters[0] != shape[0] or math.prod(filters[1:]) != shape[1]:
        raise ValueError(f"filter_shape={filters} does not fit a matrix of shape {shape}")
    return filters
