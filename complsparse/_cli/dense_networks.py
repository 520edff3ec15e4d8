# SPDX-License-Identifier: BSD-3-Clause
"""Dense networks in ONNX Runtime, OpenVINO and PyTorch, where they are installed: what sparse networks are compared
with.

Each in its best form: inputs and outputs bound where the library lets them be, no thread that spins between calls,
PyTorch's frozen and optimised graph in both of its memory formats.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from complsparse.nn import Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential

ONNXRUNTIME, OPENVINO, TORCH, TORCH_NHWC = "ONNX Runtime", "OpenVINO", "torch", "torch channels_last"
_NEEDED = {
    ONNXRUNTIME: ("onnxruntime", "onnx"), OPENVINO: ("openvino", "onnx"), TORCH: ("torch",), TORCH_NHWC: ("torch",),
}  # fmt: skip


class Runner(NamedTuple):
    """A network and its input, ready to run."""

    call: Callable[[], Any]
    result: Callable[[], NDArray[Any]]  # of a call


def present() -> dict[str, str]:
    """Who is installed, with versions."""
    return {
        name: f"{name} {importlib.import_module(modules[0]).__version__}"
        for name, modules in _NEEDED.items()
        if all(importlib.util.find_spec(module) for module in modules)
    }


def absent() -> dict[str, str]:
    """Who is not, and how that changes."""
    here = present()
    return {
        name: f"not installed (pip install {' '.join(modules)})"
        for name, modules in _NEEDED.items()
        if name not in here
    }


def runners(net: Sequential, x: NDArray[Any], threads: int) -> Iterator[tuple[str, Runner]]:
    """The network as everybody who is installed runs it."""
    for name in present():
        if name == ONNXRUNTIME:
            yield name, session_runner(onnx_model(net, x), x, threads)
        elif name == OPENVINO:
            yield name, openvino_runner(onnx_model(net, x), x, threads)
        else:
            yield name, _torch(net, x, threads, channels_last=name == TORCH_NHWC)


# --- ONNX Runtime -----------------------------------------------------------------------------------------------------


def onnx_model(net: Sequential, x: NDArray[Any]) -> bytes:
    """The network as an ONNX model of 32-bit floats, for batches of such samples; its input is `x`, its output `y`."""
    onnx = importlib.import_module("onnx")
    helper = onnx.helper
    weights, nodes = [], []
    value = "x"
    for name, layer in zip(net.names, net.layers, strict=True):
        kind, attributes, arrays = _onnx_operator(layer)
        inputs = [value]
        for i, array in enumerate(arrays):
            inputs.append(f"w{name}_{i}")
            weights.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), inputs[-1]))
        value = "y" if name == net.names[-1] else f"v{name}"
        nodes.append(helper.make_node(kind, inputs, [value], **attributes))
    shapes = {"x": ("n", *x.shape[1:]), "y": None}
    ends = [[helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, shape)] for end, shape in shapes.items()]
    graph = helper.make_graph(nodes, "network", *ends, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def _onnx_operator(layer: Layer) -> tuple[str, dict[str, Any], list[NDArray[Any]]]:
    if isinstance(layer, (Conv2d, Linear)):
        arrays = _dense_arrays(layer)
        if isinstance(layer, Linear):
            return "Gemm", {"transB": 1}, arrays
        return "Conv", {"kernel_shape": arrays[0].shape[2:]}, arrays
    if isinstance(layer, MaxPool2d):
        return "MaxPool", {"kernel_shape": [layer.kernel_size] * 2, "strides": [layer.kernel_size] * 2}, []
    if isinstance(layer, (ReLU, Flatten)):
        return ("Relu" if isinstance(layer, ReLU) else "Flatten"), {}, []
    raise TypeError(f"no dense network has a {type(layer).__name__}")


def _dense_arrays(layer: Any) -> list[NDArray[Any]]:
    """Weights and bias."""
    return [array for array in (layer.to_dense().W, layer.bias) if array is not None]


def session_runner(model: bytes, x: NDArray[Any], threads: int) -> Runner:
    call, outputs = bound_session(model, {"x": x}, threads)
    return Runner(call, lambda: outputs()[0])


def bound_session(
    model: bytes | str, xs: dict[str, NDArray[Any]], threads: int
) -> tuple[Callable[[], None], Callable[[], list[NDArray[Any]]]]:
    """A call of a model, or of the file of one, whose inputs and outputs stay where they are; and what it writes."""
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    # What a session does not read is no input of it; a network may compute in another type than the model.
    kinds = {one.name: _ORT_TYPES.get(one.type) for one in session.get_inputs()}
    given = {name: x.astype(kinds[name] or x.dtype, copy=False) for name, x in xs.items() if name in kinds}
    found = session.run(None, given)
    inputs = [runtime.OrtValue.ortvalue_from_numpy(x) for x in given.values()]
    outputs = [runtime.OrtValue.ortvalue_from_numpy(y) for y in found]
    for name, value in zip(given, inputs, strict=True):
        binding.bind_ortvalue_input(name, value)
    for one, value in zip(session.get_outputs(), outputs, strict=True):
        binding.bind_ortvalue_output(one.name, value)

    def call(keep: Any = (inputs, outputs)) -> None:
        session.run_with_iobinding(binding)

    return call, lambda: [value.numpy() for value in outputs]


_ORT_TYPES: dict[str, Any] = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


# --- OpenVINO ---------------------------------------------------------------------------------------------------------


def openvino_runner(model: bytes, x: NDArray[Any], threads: int) -> Runner:
    """Numbers stay what the model says: no float32 is computed as bfloat16."""
    openvino = importlib.import_module("openvino")
    core = openvino.Core()
    read = core.read_model(model)
    read.reshape(list(x.shape))
    settings = {
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False,
    }  # fmt: skip
    request = core.compile_model(read, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
    return Runner(request.infer, lambda: np.array(request.get_output_tensor(0).data))


# --- PyTorch ----------------------------------------------------------------------------------------------------------


def _torch(net: Sequential, x: NDArray[Any], threads: int, channels_last: bool) -> Runner:
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    memory = torch.channels_last if channels_last else torch.contiguous_format
    module = torch.nn.Sequential(*(_torch_module(torch, layer) for layer in net.layers)).eval().to(memory_format=memory)
    bound = torch.from_numpy(x).contiguous(memory_format=memory)
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a compiler that needs none beside PyTorch
        frozen = torch.jit.freeze(torch.jit.trace(module, bound))
        frozen = torch.jit.optimize_for_inference(frozen)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def call() -> Any:
        return frozen(bound)

    return Runner(call, lambda: call().numpy())


def _torch_module(torch: Any, layer: Layer) -> Any:
    modules = torch.nn
    if isinstance(layer, (Conv2d, Linear)):
        weight, *bias = (torch.from_numpy(np.array(array)) for array in _dense_arrays(layer))
        if isinstance(layer, Linear):
            module = modules.Linear(*reversed(weight.shape), bias=bool(bias))
        else:
            module = modules.Conv2d(weight.shape[1], weight.shape[0], tuple(weight.shape[2:]), bias=bool(bias))
        module.weight.data = weight
        if bias:
            module.bias.data = bias[0]
        return module
    if isinstance(layer, MaxPool2d):
        return modules.MaxPool2d(layer.kernel_size)
    if isinstance(layer, (ReLU, Flatten)):
        return modules.ReLU() if isinstance(layer, ReLU) else modules.Flatten()
    raise TypeError(f"no dense network has a {type(layer).__name__}")
