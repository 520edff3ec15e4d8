# SPDX-License-Identifier: BSD-3-Clause
"""Layers that bring what stands along the last axes to a common scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from complsparse.nn._array_layer import array_layer
from complsparse.nn._attributes import Array


def _scaled(y: Any, weight: Any, bias: Any) -> Any:
    y = y if weight is None else y * weight.astype(y.dtype)
    return y if bias is None else y + bias.astype(y.dtype)


@array_layer
def LayerNorm(
    x: Any, *, weight: Array | None = None, bias: Array | None = None, axis: int = -1, eps: float = 1e-5
) -> Any:
    """``(x - mean) / sqrt(var + eps) * weight + bias``, over all axes from `axis` on.

    Parameters
    ----------
    weight, bias : array_like, optional
        Of the shape of these axes, or what broadcasts with it.
    axis : int
        The first of them.
    eps : float
    """
    axes = tuple(range(axis % x.ndim, x.ndim))
    centred = x - np.mean(x, axis=axes, keepdims=True)
    spread = np.sqrt(np.mean(np.square(centred), axis=axes, keepdims=True) + x.dtype.type(eps))
    return _scaled(centred / spread, weight, bias)


@array_layer
def RMSNorm(x: Any, *, weight: Array | None = None, axis: int = -1, eps: float = 1e-5) -> Any:
    """``x / sqrt(mean(x * x) + eps) * weight``, over all axes from `axis` on; the rest as `LayerNorm`."""
    axes = tuple(range(axis % x.ndim, x.ndim))
    return _scaled(x / np.sqrt(np.mean(np.square(x), axis=axes, keepdims=True) + x.dtype.type(eps)), weight, None)
