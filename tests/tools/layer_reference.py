# SPDX-License-Identifier: BSD-3-Clause
"""What layers of networks must give, by NumPy in float64, one layer at a time."""

import numpy as np

from complsparse import nn


def filled(x):
    """Winners with their zeros."""
    return x if isinstance(x, np.ndarray) else x.toarray()


def stored(W):
    """Weights with every zero, in the shape of the layer."""
    if isinstance(W, np.ndarray):
        return W.astype(np.float64)
    dense = W.tocsr().toarray().astype(np.float64)
    return dense if W.filter_shape is None else dense.reshape(W.filter_shape)


def convolved(x, filters, bias):
    """Stride 1, no padding."""
    windows = np.lib.stride_tricks.sliding_window_view(x, filters.shape[2:], axis=(2, 3))
    return np.tensordot(windows, filters, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2) + bias[:, None, None]


def pooled(x, size):
    n, channels, rows, cols = x.shape
    return x.reshape(n, channels, rows // size, size, cols // size, size).max(axis=(3, 5))


def contested(x, k, axis):
    """The k largest stay, of equals those with the lowest index."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    moved = np.moveaxis(x, axes, range(-len(axes), 0))
    flat = moved.reshape(*moved.shape[: -len(axes)], -1)
    k = round(k * flat.shape[-1]) if isinstance(k, float) else k
    best = np.argsort(-flat, axis=-1, kind="stable")[..., :k]
    kept = np.zeros_like(flat)
    np.put_along_axis(kept, best, np.take_along_axis(flat, best, -1), -1)
    return np.moveaxis(kept.reshape(moved.shape), range(-len(axes), 0), axes)


def expected(layer, x):
    """Of an array."""
    x = x.astype(np.float64)
    match layer:
        case nn.Conv2d():
            return convolved(x, stored(layer.W), layer.bias)
        case nn.Linear():
            return x @ stored(layer.W).T
        case nn.MaxPool2d():
            return pooled(x, layer.kernel_size)
        case nn.KWinners():
            return contested(x, layer.k, layer.axis)
        case nn.ReLU():
            return np.maximum(x, 0)
        case nn.Flatten():
            return x.reshape(len(x), -1)
    raise AssertionError(f"no reference for {layer!r}")
