# SPDX-License-Identifier: BSD-3-Clause
"""ONNX's own test suite, run by its own runner on `cs.onnx.backend`. Refusals count as refusals: the file
`onnx_refused.txt` names them all, and each is one."""

import pathlib
import warnings

import numpy as np
import pytest

import complsparse as cs

onnx = pytest.importorskip("onnx", reason="not run: onnx is not installed")
pytest.importorskip("onnxscript", reason="not run: onnxscript is not installed")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the cases of types that NumPy has not
    import onnx.backend.test
    from onnx.backend.test.loader import load_model_tests

    KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")
    CASES = {case.name: case for kind in KINDS for case in load_model_tests(kind=kind)}
    RUNNER = onnx.backend.test.BackendTest(cs.onnx.backend.ComplsparseBackend, __name__)

pytestmark = pytest.mark.filterwarnings("ignore")
REFUSED = (pathlib.Path(__file__).parent / "onnx_refused.txt").read_text().split()

OF_DOWNLOADS = tuple(
    f"test_{name}"
    for name in ("bvlc", "densenet121", "inception", "resnet50", "shufflenet", "squeezenet", "vgg19", "zfnet512")
)


def chosen(classes):
    """Without what is refused, needs a GPU, or would load a model from elsewhere."""
    for cases in classes.values():
        for test in [name for name in vars(cases) if name.startswith("test_")]:
            if test.endswith("_cuda") or test.removesuffix("_cpu") in REFUSED or test.startswith(OF_DOWNLOADS):
                delattr(cases, test)
    return classes


globals().update(chosen(RUNNER.test_cases))

# The operators of which all cases of these types are run.
FLOATS = {
    "Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Gemm", "MatMul", "Relu", "LeakyRelu",
    "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Gelu", "Softmax", "Add", "Mul", "Concat", "Split",
    "Flatten", "Reshape", "Transpose", "BatchNormalization", "LayerNormalization", "GRU", "Gather", "PRelu", "Erf",
    "Sub", "Div", "Pow", "Sqrt", "Squeeze", "Unsqueeze", "Slice", "Pad", "ReduceMean", "LSTM", "TopK", "Cast",
    "Shape", "Resize", "DepthToSpace", "ConvTranspose", "Einsum", "Expand", "Where", "Constant",
    "Swish", "RMSNormalization", "Sum",
}  # fmt: skip
INTEGERS = {
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger",
    "MatMulInteger",
}  # fmt: skip
T = onnx.TensorProto
NUMBERS = {T.FLOAT16, T.DOUBLE, T.INT8, T.INT16, T.INT32, T.INT64, T.UINT8, T.UINT16, T.UINT32, T.UINT64, T.BOOL}


def model_of(case):
    return case.model if case.model is not None else onnx.load(pathlib.Path(case.model_dir) / "model.onnx")


def of_these(kind, operators, types, among=()):
    """Names of the cases of a kind that have these operators alone, and these types."""
    found = []
    for case in CASES.values():
        model = model_of(case)
        if case.kind != kind or not {node.op_type for node in model.graph.node} <= set(operators):
            continue
        held = {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
        if held <= {*types, *among} and (not types or held & set(types)):
            found.append(case.name)
    return found


@pytest.mark.parametrize(
    ("kind", "operators", "types", "least"),
    [
        ("node", FLOATS, {T.FLOAT}, 361),
        ("node", INTEGERS, {T.FLOAT, T.UINT8, T.INT8, T.INT32}, 17),
        ("pytorch-converted", FLOATS, {T.FLOAT}, 73),
        ("pytorch-operator", FLOATS, {T.FLOAT}, 17),
        ("simple", FLOATS, {T.FLOAT}, 5),
    ],
    ids=["node", "integers", "converted", "operator", "simple"],
)
def test_these_are_run(kind, operators, types, least):
    """Of the operators that networks need none is refused."""
    names = of_these(kind, operators, types, () if operators is INTEGERS else NUMBERS)
    assert len(names) >= least
    assert not set(names) & set(REFUSED)


def test_refusals_are_refusals():
    """ValueError or TypeError in words, when the model is read or when it is run; whatever is not named is run."""
    assert sorted(REFUSED) == REFUSED
    assert len(set(REFUSED)) == len(REFUSED)
    for name in REFUSED:
        case = CASES.get(name)
        if case is None:
            continue  # of another release of ONNX
        with pytest.raises((ValueError, TypeError)):
            run(case)


def run(case):
    prepared = cs.onnx.backend.prepare(model_of(case))
    if case.data_sets is None:
        return
    for inputs, _ in case.data_sets:
        prepared.run([onnx.numpy_helper.to_array(x) if isinstance(x, T) else np.asarray(x) for x in inputs])


LIGHT = ("bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19",
         "zfnet512")  # fmt: skip


@pytest.mark.parametrize("name", LIGHT)
def test_light_models(name):
    """Known networks whose weights are constants, which ONNX ships with their outputs for the numbers from 0 to 1."""
    path = pathlib.Path(onnx.__file__).parent / f"backend/test/data/light/light_{name}.onnx"
    x = np.arange(3 * 224 * 224, dtype=np.float32).reshape(1, 3, 224, 224) / np.float32(3 * 224 * 224)
    wanted = onnx.numpy_helper.to_array(onnx.load_tensor(path.with_name(f"light_{name}_output_0.pb")))
    np.testing.assert_allclose(cs.onnx.load(path)(x), wanted, rtol=1e-3, atol=1e-5)


def test_a_node_alone():
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    x = np.array([[-1.0, 2.0]], dtype=np.float32)
    (y,) = cs.onnx.backend.run_node(node, [x])
    np.testing.assert_array_equal(y, np.maximum(x, 0))


def test_only_the_cpu():
    backend = cs.onnx.backend
    assert backend.supports_device("CPU")
    assert not backend.supports_device("CUDA")
    model = model_of(CASES["test_relu"])
    assert backend.is_compatible(model)
    assert not backend.is_compatible(model, "CUDA")
    with pytest.raises(ValueError, match="only the CPU"):
        backend.prepare(model, "CUDA")
