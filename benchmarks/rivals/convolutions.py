# SPDX-License-Identifier: BSD-3-Clause
"""Convolutions: ours in both layouts, PyTorch and ONNX Runtime with dense filters, and columns written out before
`cs.matmul`. All are called from Python, inputs and outputs bound where the library lets them be."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.problems.convolutions import Layer
from benchmarks.rivals.ours import import_ours

Calls = dict[str, Callable[[], Any]]
DENSE = ("torch NCHW", "torch NHWC", "torch", "onnxruntime")
NAMES = ("ours NCHW", "ours NHWC", "torch NCHW", "torch NHWC", "onnxruntime", "columns + matmul")


def optional(name: str) -> Any:
    """The module, or None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _ours(layer: Layer, weight: NDArray[Any], x: NDArray[Any]) -> Calls:
    cs = import_ours()
    W = cs.from_filters(weight)
    found: Calls = {}
    for layout in ("NCHW", "NHWC"):
        images = x if layout == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        f = W.plan_conv2d(
            images.shape,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
            layout=layout,
        )
        out = np.empty(f.out_shape, dtype=np.float32)
        found[f"ours {layout}"] = lambda f=f, images=images, out=out: f(images, out=out)
    return found


def _columns(layer: Layer, weight: NDArray[Any], x: NDArray[Any]) -> Calls:
    """What one would write without a convolution: columns by slices, then a product. Of one image."""
    cs = import_ours()
    k, s, d, p = layer.kernel, layer.stride, layer.dilation, layer.padding
    rows = (layer.size + 2 * p - (k - 1) * d - 1) // s + 1
    W = cs.from_dense(weight.reshape(layer.filters, -1))
    columns = np.empty((layer.channels, k, k, rows, rows), np.float32)
    out = np.empty((layer.filters, rows * rows), np.float32)
    padded = np.zeros((layer.channels, layer.size + 2 * p, layer.size + 2 * p), np.float32)

    def call() -> NDArray[Any]:
        padded[:, p : p + layer.size, p : p + layer.size] = x[0]
        for a in range(k):
            for b in range(k):
                rows_of_tap = slice(a * d, a * d + (rows - 1) * s + 1, s)
                cols_of_tap = slice(b * d, b * d + (rows - 1) * s + 1, s)
                columns[:, a, b] = padded[:, rows_of_tap, cols_of_tap]
        cs.matmul(W, columns.reshape(-1, rows * rows), out=out)
        return out.reshape(1, layer.filters, rows, rows)

    return {"columns + matmul": call}


def _torch(layer: Layer, weight: NDArray[Any], x: NDArray[Any]) -> Calls:
    torch = optional("torch")
    if torch is None:
        return {}
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    found: Calls = {}
    for layout in ("NCHW", "NHWC"):
        memory = torch.channels_last if layout == "NHWC" else torch.contiguous_format
        images, filters = (torch.from_numpy(array).contiguous(memory_format=memory) for array in (x, weight))
        found[f"torch {layout}"] = lambda images=images, filters=filters: torch.nn.functional.conv2d(
            images, filters, None, layer.stride, layer.padding, layer.dilation, layer.groups
        )
    return found


def _onnxruntime(layer: Layer, weight: NDArray[Any], x: NDArray[Any]) -> Calls:
    onnx, runtime = optional("onnx"), optional("onnxruntime")
    if onnx is None or runtime is None:
        return {}
    node = onnx.helper.make_node(
        "Conv", ["x", "w"], ["y"], kernel_shape=[layer.kernel] * 2, strides=[layer.stride] * 2,
        dilations=[layer.dilation] * 2, pads=[layer.padding] * 4, group=layer.groups,
    )  # fmt: skip
    return {"onnxruntime": bound_node(node, x, weight)}


def bound_node(node: Any, x: NDArray[Any], weight: NDArray[Any]) -> Callable[[], Any]:
    """A call of ONNX Runtime that runs a node with inputs x and w on one thread, x bound; it returns the binding."""
    onnx, runtime = optional("onnx"), optional("onnxruntime")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("x", floats, x.shape)],
        [helper.make_tensor_value_info("y", floats, None)],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    value = runtime.OrtValue.ortvalue_from_numpy(x)
    binding.bind_ortvalue_input("x", value)
    binding.bind_output("y")

    def call() -> Any:
        session.run_with_iobinding(binding)
        return binding

    return call


def as_array(result: Any, name: str) -> NDArray[Any]:
    """Of a call, channels first."""
    if hasattr(result, "copy_outputs_to_cpu"):
        result = result.copy_outputs_to_cpu()[0]
    array: NDArray[Any] = np.asarray(result)
    return array.transpose(0, 3, 1, 2) if name == "ours NHWC" else array


def calls(layer: Layer, weight: NDArray[Any]) -> Calls:
    """Everybody that is there, checked against one another; `weight` as `Layer.weight` gives it."""
    x = layer.image()
    found = {**_ours(layer, weight, x), **_torch(layer, weight, x), **_onnxruntime(layer, weight, x)}
    if layer.batch == layer.groups == 1:
        found |= _columns(layer, weight, x)
    checked({name: as_array(call(), name) for name, call in found.items()}, layer.name)
    return found


def checked(results: dict[str, NDArray[Any]], problem: str) -> None:
    """All results are the first one, up to rounding."""
    (first, reference), *others = results.items()
    for name, result in others:
        if not np.allclose(result, reference, rtol=1e-3, atol=1e-3 * np.abs(reference).max()):
            raise AssertionError(f"{name} and {first} differ on {problem}")
