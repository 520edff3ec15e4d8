# SPDX-License-Identifier: BSD-3-Clause
"""Dense rivals on 8-bit numbers: ONNX Runtime's, torch's (oneDNN) and MKL's, called from Python with their inputs
bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Calls = dict[str, Callable[[], object]]


def _session(nodes: list[Any], x: NDArray[Any], weights: dict[str, Any], out: Any) -> Callable[[], object]:
    """A model of one input and one output, on one thread."""
    import onnx
    import onnxruntime

    helper = onnx.helper
    graph = helper.make_graph(
        nodes,
        "rival",
        [helper.make_tensor_value_info("x", onnx.TensorProto.UINT8, x.shape)],
        [helper.make_tensor_value_info("y", out, None)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output("y")
    return lambda: session.run_with_iobinding(binding)


def _scales(x_zero: int, n: int) -> dict[str, Any]:
    return {"xs": np.float32(0.01), "xz": np.uint8(x_zero), "ws": np.full(n, 0.01, np.float32),
            "wz": np.zeros(n, np.int8), "ys": np.float32(0.5), "yz": np.uint8(128)}  # fmt: skip


def onnxruntime_linear(x: NDArray[np.uint8], W: NDArray[np.int8]) -> Calls:
    import onnx

    node, of = onnx.helper.make_node, onnx.TensorProto
    turned = np.ascontiguousarray(W.T)
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    return {
        "ORT MatMulInteger": _session([node("MatMulInteger", ["x", "w"], ["y"])], x, {"w": turned}, of.INT32),
        "ORT QLinearMatMul": _session(
            [node("QLinearMatMul", names, ["y"])], x, {"w": turned, **_scales(128, W.shape[0])}, of.UINT8
        ),
    }


def mkl_linear(x: NDArray[np.uint8], W: NDArray[np.int8]) -> Calls:
    """With both operands row by row: in that order A is unsigned, B signed."""
    import ctypes

    from benchmarks.rivals.mkl import mkl

    row_major, plain, transposed, fixed_offset = 101, 111, 112, 173
    (n, cols), rows = x.shape, len(W)
    y, offset = np.empty((n, rows), np.int32), np.zeros(1, np.int32)
    gemm, zero = mkl(1).library.cblas_gemm_s8u8s32, ctypes.c_int8(0)
    a, b, to, added = (array.ctypes.data_as(ctypes.c_void_p) for array in (x, W, y, offset))  # which keep the arrays
    sizes = [ctypes.c_int(size) for size in (n, rows, cols)]
    order = (row_major, plain, transposed, fixed_offset)
    across, down, out = (ctypes.c_int(size) for size in (cols, cols, rows))
    one, none = ctypes.c_float(1), ctypes.c_float(0)

    def call() -> None:
        gemm(*order, *sizes, one, a, across, zero, b, down, zero, none, to, out, added)

    call()
    if not np.array_equal(y[:, :4], x.astype(np.int64) @ W[:4].astype(np.int64).T):
        raise AssertionError("cblas_gemm_s8u8s32 was called wrongly")
    return {"MKL gemm_s8u8s32": call}


def onnxruntime_convolution(x: NDArray[np.uint8], filters: NDArray[np.int8], padding: int) -> Calls:
    """NCHW."""
    import onnx

    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    node = onnx.helper.make_node("QLinearConv", names, ["y"], pads=[padding] * 4)
    weights = {"w": filters, **_scales(0, len(filters))}
    return {"ORT QLinearConv": _session([node], x, weights, onnx.TensorProto.UINT8)}


def torch_linear(x: NDArray[np.uint8], W: NDArray[np.int8]) -> Calls:
    import torch

    torch.set_num_threads(1)
    torch.backends.quantized.engine = "onednn"
    layer = torch.ao.nn.quantized.Linear(W.shape[1], W.shape[0])
    layer.set_weight_bias(_torch_weights(W), torch.zeros(W.shape[0]))
    layer.scale, layer.zero_point = 0.5, 128
    xq = torch._make_per_tensor_quantized_tensor(torch.from_numpy(x), 0.01, 0)
    calls: Calls = {"torch quantized linear": lambda: layer(xq)}
    if len(x) > 16:
        a, b = torch.from_numpy(x.view(np.int8)), torch.from_numpy(W).T
        calls["torch _int_mm (s8)"] = lambda: torch._int_mm(a, b)
    return calls


def _torch_weights(W: NDArray[np.int8]) -> Any:
    import torch

    n = len(W)
    return torch._make_per_channel_quantized_tensor(
        torch.from_numpy(W), torch.full((n,), 0.01, dtype=torch.float64), torch.zeros(n, dtype=torch.long), 0
    )


def torch_convolution(x: NDArray[np.uint8], filters: NDArray[np.int8], padding: int) -> Calls:
    """NCHW and channels last."""
    import torch

    torch.set_num_threads(1)
    torch.backends.quantized.engine = "onednn"
    outs, ins, size, _ = filters.shape
    layer = torch.ao.nn.quantized.Conv2d(ins, outs, size, padding=padding)
    layer.set_weight_bias(_torch_weights(filters), torch.zeros(outs))
    layer.scale, layer.zero_point = 0.5, 128
    xq = torch._make_per_tensor_quantized_tensor(torch.from_numpy(x), 0.01, 0)
    last = xq.contiguous(memory_format=torch.channels_last)
    return {"torch conv, NCHW": lambda: layer(xq), "torch conv, NHWC": lambda: layer(last)}
