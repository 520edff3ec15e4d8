# SPDX-License-Identifier: BSD-3-Clause
"""Networks drawn at random, and their layers by NumPy in float64."""

import numpy as np
import scipy.special
from oracle import csr_of
from sliding import Sliding, patches

import complsparse as cs

nn = cs.nn


def sparse_weights(rng, shape, dtype=np.float32, density=0.3):
    """A ComplementaryMatrix; of filters with their shape."""
    dense = np.where(rng.random(shape) < density, rng.standard_normal(shape), 0).astype(dtype)
    if len(shape) == 2:
        S = csr_of(dense != 0, dense[dense != 0])
        return cs.from_coo(S.data, (np.repeat(np.arange(shape[0]), np.diff(S.indptr)), S.indices), shape)
    return cs.from_filters(dense)


def dense_or_sparse(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype) if rng.random() < 0.3 else sparse_weights(rng, shape, dtype)


def vector(rng, n, dtype=np.float32):
    return rng.standard_normal(n).astype(dtype) if rng.random() < 0.7 else None


ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.SiLU, nn.GELU, nn.HardSwish, nn.Sigmoid, nn.Tanh)


def random_image_layer(rng, shape, layout, dtype, weights):
    """One that fits samples of this shape, (C, H, W) or (H, W, C)."""
    channel = 0 if layout == "NCHW" else 2
    channels, image = shape[channel], [n for i, n in enumerate(shape) if i != channel]
    kind = rng.integers(8)
    if kind <= 2:
        kernel = tuple(int(rng.integers(1, min(n, 4) + 1)) for n in image)
        groups = int(rng.choice([g for g in (1, 2, 4) if channels % g == 0]))
        filters = int(rng.choice([1, 3, 8, 16])) * groups
        return nn.Conv2d(
            weights(rng, (filters, channels // groups, *kernel), dtype),
            stride=int(rng.integers(1, 3)), padding=int(rng.integers(0, 2)), groups=groups,
            bias=vector(rng, filters, dtype), layout=layout, activation=rng.choice([None, "relu"]),
        )  # fmt: skip
    if kind == 3:
        kernel = tuple(int(rng.integers(1, min(n, 3) + 1)) for n in image)
        return (nn.MaxPool2d if rng.random() < 0.6 else nn.AvgPool2d)(kernel, layout=layout)
    if kind == 4:
        axis = channel + 1 if rng.random() < 0.7 else (1, 2, 3)
        return nn.KWinners(float(rng.choice([0.1, 0.3, 1.0])), axis=axis, relu=bool(rng.random() < 0.3))
    if kind == 5:
        return nn.BatchNorm(
            rng.standard_normal(channels), rng.random(channels), rng.standard_normal(channels), axis=channel + 1
        )
    if kind == 6:
        return nn.GlobalAvgPool2d(layout)
    return nn.ReLU()


def random_network(rng, dtype=np.float32, weights=sparse_weights):
    """A Sequential of images or vectors, and the shape of a sample."""
    layers = []
    if rng.random() < 0.7:
        layout = rng.choice(["NCHW", "NHWC"])
        channels, rows, cols = (int(rng.choice([1, 2, 4, 16, 17])), *(int(n) for n in rng.integers(1, 12, 2)))
        shape = (channels, rows, cols) if layout == "NCHW" else (rows, cols, channels)
        first = shape
        for _ in range(rng.integers(1, 5)):
            layers.append(random_image_layer(rng, shape, layout, dtype, weights))
            shape = _shape_behind(layers, first)
        if rng.random() < 0.7:
            layers.append(nn.Flatten())
            shape = (int(np.prod(shape)),)
    else:
        first = shape = (int(rng.integers(1, 40)),) if rng.random() < 0.7 else (int(rng.integers(1, 6)), 17)
    if len(shape) <= 2:
        for _ in range(rng.integers(1, 4)):
            outputs = int(rng.choice([1, 4, 16, 33]))
            layers.append(
                nn.Linear(weights(rng, (outputs, shape[-1]), dtype), bias=vector(rng, outputs, dtype),
                          activation=rng.choice([None, "relu"]))
            )  # fmt: skip
            shape = (*shape[:-1], outputs)
            if rng.random() < 0.5:
                layers.append(nn.KWinners(float(rng.choice([0.2, 0.5]))))
    return nn.Sequential(layers), first


def _shape_behind(layers, first):
    net = nn.Sequential(layers)
    return net.plan((1, *first), dtype=np.float64 if net._dtype([]) == np.float64 else None).out_shapes[0][1:]


def reference(layer, *inputs):
    """A layer's result in float64, for dense arrays; of KWinners an array with zeros."""
    x = inputs[0]
    match layer:
        case nn.Linear():
            y = x @ dense(layer.W).T
            return activated(y if layer.bias is None else y + layer.bias, layer.activation)
        case nn.Conv2d():
            return activated(_convolved(layer, x), layer.activation)
        case nn.Flatten():
            return x.reshape(len(x), int(np.prod(x.shape[1:])))
        case nn.Add():
            return sum(inputs)
        case nn.Mul():
            return np.prod(inputs, axis=0)
        case nn.Concat():
            return np.concatenate(inputs, axis=layer.axis)
        case nn.Softmax():
            return scipy.special.softmax(x, axis=layer.axis)
        case nn.BatchNorm():
            factor, summand = layer.factors()
            shape = [1] * x.ndim
            shape[layer.axis] = -1
            return x * factor.reshape(shape) + summand.reshape(shape)
        case nn.KWinners():
            return _winners(layer, x)
        case nn.MaxPool2d() | nn.AvgPool2d() | nn.GlobalAvgPool2d():
            return _pooled(layer, x)
    return activated(x, layer.activation)


def dense(W):
    return np.asarray(W if isinstance(W, np.ndarray) else W.toarray(), dtype=np.float64)


def activated(x, activation):
    return {
        None: lambda v: v,
        "relu": lambda v: np.maximum(v, 0),
        "relu6": lambda v: np.clip(v, 0, 6),
        "leaky_relu": lambda v: np.where(v > 0, v, v / 100),
        "silu": lambda v: v * scipy.special.expit(v),
        "gelu": lambda v: v * scipy.special.ndtr(v),
        "hard_swish": lambda v: v * np.clip(v + 3, 0, 6) / 6,
        "sigmoid": scipy.special.expit,
        "tanh": np.tanh,
    }[activation](x)


def _first(x, layout):
    return x if layout == "NCHW" else x.transpose(0, 3, 1, 2)


def _last(y, layout):
    return y if layout == "NCHW" else y.transpose(0, 2, 3, 1)


def _convolved(layer, x):
    x = _first(x, layer.layout)
    shape = layer.W.shape if isinstance(layer.W, np.ndarray) else layer.W.filter_shape
    pad = layer.padding
    sliding = Sliding(shape[2:], (layer.stride,) * 2, (layer.dilation,) * 2, ((pad, pad), (pad, pad)))
    columns, out = patches(x, sliding), sliding.out(x.shape[2:])
    filters, each = dense(layer.W).reshape(shape[0], -1), x.shape[1] // layer.groups
    of_group = shape[0] // layer.groups
    y = np.concatenate(
        [
            filters[g * of_group : (g + 1) * of_group]
            @ columns[:, g * each : (g + 1) * each].reshape(len(x), filters.shape[1], columns.shape[3])
            for g in range(layer.groups)
        ],
        axis=1,
    )
    y = y.reshape(len(x), shape[0], *out)
    return _last(y if layer.bias is None else y + layer.bias.reshape(-1, 1, 1), layer.layout)


def _pooled(layer, x):
    x = _first(x, layer.layout)
    kernel = x.shape[2:] if isinstance(layer, nn.GlobalAvgPool2d) else layer.kernel_size
    kernel = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
    sliding = Sliding(kernel, kernel)
    windows = patches(x, sliding)
    y = windows.max(axis=2) if isinstance(layer, nn.MaxPool2d) else windows.mean(axis=2)
    return _last(y.reshape(*x.shape[:2], *sliding.out(x.shape[2:])), layer.layout)


def _winners(layer, x):
    """By a stable sort, over one axis or all of a sample."""
    axes = layer.axis if isinstance(layer.axis, tuple) else None
    v = x.reshape(len(x), int(np.prod(x.shape[1:]))) if axes else np.moveaxis(x, layer.axis, -1)
    k = layer.k if isinstance(layer.k, int) else round(layer.k * v.shape[-1])
    order = np.argsort(-v, axis=-1, kind="stable")[..., :k]
    kept = np.zeros_like(v)
    np.put_along_axis(kept, order, np.take_along_axis(v, order, -1), -1)
    if layer.relu:
        kept = np.maximum(kept, 0)
    return kept.reshape(x.shape) if axes else np.moveaxis(kept, -1, layer.axis)
