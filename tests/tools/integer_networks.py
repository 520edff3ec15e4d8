# SPDX-License-Identifier: BSD-3-Clause
"""What quantised networks must be, layer by layer: integers of NumPy, dense, and fractions (`quantized.py`)."""

import networks
import numpy as np
from networks import nn
from quantized import LIMITS, expected, linear_sums
from sliding import Sliding, patches


def reference(layer, *inputs):
    """A layer's result for dense arrays; of KWinners an array with zeros. What stays in floating point is its own."""
    x = inputs[0]
    match layer:
        case nn.Quantize():
            return quantized(x, layer.scale, layer.zero_point, layer.dtype)
        case nn.Dequantize():
            table = np.arange(*LIMITS[layer.dtype.name]).tolist()
            real = {q: np.float32(layer.scale) * np.float32(q - layer.zero_point) for q in [*table, table[-1] + 1]}
            return np.array([real[q] for q in x.ravel().tolist()], dtype=np.float32).reshape(x.shape)
        case nn.QClip():
            return np.minimum(np.maximum(x, layer.least), layer.most).astype(x.dtype)
        case nn.QLinear():
            sums = linear_sums(x.reshape(-1, x.shape[-1]), layer.W, layer.arguments()["x_zero_point"])
            return _outputs(layer, sums).reshape(*x.shape[:-1], layer.W.shape[0])
        case nn.QConv2d():
            return _convolved(layer, x)
        case nn.QConv1d():
            return _convolved_sequences(layer, x)
        case nn.Flatten():
            return x.reshape(len(x), int(np.prod(x.shape[1:])))
        case nn.Concat() | nn.KWinners() | nn.MaxPool2d():
            if x.dtype != np.float32:
                return networks.reference(layer, *(v.astype(np.int64) for v in inputs)).astype(x.dtype)
    y = layer(*inputs)
    return y if isinstance(y, np.ndarray) else y.toarray()


def of_network(net, *xs):
    """The values of all nodes."""
    given, values = iter(xs), []
    for node in net._nodes:
        inputs = [values[i] for i in node.inputs]
        values.append(np.float32(next(given)) if node.layer is None else reference(node.layer, *inputs))
    return values


def quantized(x, scale, zero_point, dtype):
    """By the division of float32, and the rounding of Python."""
    low, high = LIMITS[np.dtype(dtype).name]
    units = (x.astype(np.float32) / np.float32(scale)).ravel().tolist()
    bound = [min(max(round(min(max(u, -1e6), 1e6)) + zero_point, low), high) if u == u else low for u in units]
    return np.array(bound, dtype=dtype).reshape(x.shape)


def _outputs(layer, sums):
    given = layer.arguments()
    ending = {k: given[k] for k in ("x_scale", "bias", "activation", "out_scale", "out_zero_point")}
    return expected(sums, layer.W, given["out_dtype"] or given["x_dtype"], **ending)


def _convolved_sequences(layer, x):
    """One filter, one place and one tap at a time."""
    given, last = layer.arguments(), layer.layout == "NLC"
    first = (x.transpose(0, 2, 1) if last else x).astype(np.int64) - given["x_zero_point"]
    first = np.pad(first, ((0, 0), (0, 0), (layer.padding, layer.padding)))
    filters = layer.W.toarray().astype(np.int64).reshape(layer.W.filter_shape)
    n_out = (first.shape[2] - layer.dilation * (filters.shape[2] - 1) - 1) // layer.stride + 1
    sums = np.zeros((len(x), n_out, len(filters)), np.int64)
    for place in range(n_out):
        for tap in range(filters.shape[2]):
            taken = first[:, :, place * layer.stride + tap * layer.dilation]
            sums[:, place] += taken @ filters[:, :, tap].T
    y = _outputs(layer, sums.reshape(-1, len(filters))).reshape(sums.shape)
    return y if last else y.transpose(0, 2, 1)


def _convolved(layer, x):
    given = layer.arguments()
    first = x if layer.layout == "NCHW" else x.transpose(0, 3, 1, 2)
    pad = layer.padding
    sliding = Sliding(layer.W.filter_shape[2:], (layer.stride,) * 2, (layer.dilation,) * 2, ((pad, pad), (pad, pad)))
    columns = patches(first, sliding, given["x_zero_point"])
    filters, each = layer.W.shape[0] // layer.groups, first.shape[1] // layer.groups
    D, zero_point = layer.W.toarray().astype(np.int64), given["x_zero_point"]
    sums = np.concatenate(
        [
            D[g * filters : (g + 1) * filters]
            @ (columns[:, g * each : (g + 1) * each].reshape(len(x), D.shape[1], columns.shape[3]).astype(np.int64)
               - zero_point)
            for g in range(layer.groups)
        ],
        axis=1,
    )  # fmt: skip
    y = _outputs(layer, sums.transpose(0, 2, 1).reshape(-1, layer.W.shape[0]))
    y = y.reshape(len(x), *sliding.out(first.shape[2:]), layer.W.shape[0])
    return y if layer.layout == "NHWC" else y.transpose(0, 3, 1, 2)
