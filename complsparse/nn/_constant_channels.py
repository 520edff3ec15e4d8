# SPDX-License-Identifier: BSD-3-Clause
"""Channels that are the same number at all pixels leave a network, and so do channels that nobody reads.

Pruning leaves them: a filter of a depthwise convolution that is all zeros gives its bias, and what comes before it is
for nothing. The convolution behind it takes what its weights make of that number into its bias.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse.nn._convolution import _Convolution
from complsparse.nn._elementwise import activated
from complsparse.nn._passes import Network, readers

# Dense filters go by so many that share their loads, where their number is a multiple of it: 22 filters of 3 x 3 over
# three channels took 266 us where 24 take 208 (Granite Rapids).
_SHARING = 8


def without_constant_channels(network: Network) -> Network:
    """Of depthwise convolutions between two others. Linear in the weights."""
    nodes = list(network.nodes)
    for i, node in enumerate(nodes):
        if len(node.inputs) != 1 or len(nodes[node.inputs[0]].inputs) != 1 or readers(network, i) != 1:
            continue
        before, between = node.inputs[0], nodes[node.inputs[0]]
        first = between.inputs[0]
        if readers(network, before) != 1 or readers(network, first) != 1:
            continue
        made = _smaller(nodes[first].layer, between.layer, node.layer)
        if made is not None:
            for at, layer in zip((first, before, i), made, strict=True):
                nodes[at] = nodes[at]._replace(layer=layer)
    return Network(nodes, network.outputs)


def _smaller(first: Any, depthwise: Any, last: Any) -> tuple[Any, Any, Any] | None:
    layers = first, depthwise, last
    if not all(isinstance(layer, _Convolution) for layer in layers) or len({layer.layout for layer in layers}) > 1:
        return None
    channels = depthwise.groups
    if first.groups != 1 or last.groups != 1 or channels < 2 or not isinstance(depthwise.W, np.ndarray):
        return None
    if len(depthwise.W) != channels or first.W.shape[0] != channels or not _is_of_one_pixel(last, channels):
        return None
    if _block(first.W)[0] > 1 or _block(last.W)[1] > 1:  # which would be cut
        return None
    weights = _columns(last.W, channels)
    constant, read = ~depthwise.W.reshape(channels, -1).any(axis=1), weights.any(axis=0)
    kept: NDArray[Any] = np.logical_and(read, ~constant)
    if kept.any() and isinstance(first.W, np.ndarray):
        kept[np.flatnonzero(~kept)[: -int(kept.sum()) % _SHARING]] = True
        constant &= ~kept
    if kept.all() or not kept.any():
        return None
    biases = np.zeros(channels, depthwise.W.dtype) if depthwise.bias is None else depthwise.bias
    numbers = activated(biases, depthwise.activation)
    moved = weights[:, constant] @ numbers[constant]
    bias = moved if last.bias is None else last.bias + moved
    if not np.isfinite(bias).all():
        return None
    return (
        first.with_arguments(W=_rows(first.W, kept), bias=None if first.bias is None else first.bias[kept]),
        depthwise.with_arguments(
            W=depthwise.W[kept], bias=None if depthwise.bias is None else biases[kept], groups=int(kept.sum())
        ),
        last.with_arguments(W=_of_columns(last.W, kept), bias=bias.astype(last.W.dtype)),
    )


def _block(W: Any) -> tuple[int, int]:
    return W.block if isinstance(W, ComplementaryMatrix) else (1, 1)


def _is_of_one_pixel(layer: Any, channels: int) -> bool:
    """And without zeros around the image, where a number would not be the same."""
    return int(np.prod(layer.W.shape[1:])) == channels and (isinstance(layer.padding, str) or _is_zero(layer.padding))


def _is_zero(padding: Any) -> bool:
    return all(map(_is_zero, padding)) if isinstance(padding, tuple) else padding == 0


def _columns(W: Any, channels: int) -> NDArray[Any]:
    return W.reshape(len(W), channels) if isinstance(W, np.ndarray) else W.toarray()


def _rows(W: Any, kept: NDArray[Any]) -> Any:
    return W[kept] if isinstance(W, np.ndarray) else _as_filters(W.tocsr()[kept], W)


def _of_columns(W: Any, kept: NDArray[Any]) -> Any:
    return W[:, kept] if isinstance(W, np.ndarray) else _as_filters(W.tocsr()[:, kept], W)


def _as_filters(csr: Any, like: ComplementaryMatrix) -> ComplementaryMatrix:
    """A part of filters, with the kernel that they have."""
    made = ComplementaryMatrix(csr)
    if like.filter_shape is not None:
        kernel = like.filter_shape[2:]
        made._packing.filter_shape = (csr.shape[0], csr.shape[1] // int(np.prod(kernel)), *kernel)
    return made
