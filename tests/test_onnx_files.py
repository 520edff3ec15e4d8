# SPDX-License-Identifier: BSD-3-Clause
"""Files of ONNX that lie: every entry point refuses them, in one line that names the file."""

import numpy as np
import pytest

import complsparse as cs

onnx = pytest.importorskip("onnx", reason="not run: onnx is not installed")
pytest.importorskip("onnxscript", reason="not run: onnxscript is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx_models import draw, model_of, sparse_proto, tensor  # noqa: E402


def lie(change):
    model = model_of([helper.make_node("Gemm", ["x", "w"], ["y"], name="product")], [tensor("x", None, 4)],
                     [tensor("y", None, 4)], w=draw(4, 4))  # fmt: skip
    change(model)
    return model


LIES = {
    "cycle": (lambda m: m.graph.node.extend([helper.make_node("Add", ["x", "b"], ["a"]),
                                             helper.make_node("Add", ["a", "x"], ["b"])]), "cycles"),
    "nobody writes": (lambda m: m.graph.node.add(op_type="Relu", input=["z"], output=["q"]), "nobody writes"),
    "twice": (lambda m: m.graph.node.add(op_type="Relu", input=["x"], output=["y"]), "there already"),
    "two weights": (lambda m: m.graph.initializer.append(m.graph.initializer[0]), "two initializers"),
    "size": (lambda m: m.graph.initializer[0].dims.append(3), r"has 64 bytes, not 192"),
    "negative size": (lambda m: m.graph.initializer[0].dims.__setitem__(0, -4), r"shape \(-4, 4\)"),
    "huge size": (lambda m: m.graph.initializer[0].dims.__setitem__(0, 2**60), "has 64 bytes"),
    "type": (lambda m: setattr(m.graph.initializer[0], "data_type", 99), "type 99"),
    "numbers twice": (lambda m: m.graph.initializer[0].uint64_data.append(1), "numbers in uint64_data beside raw_data"),
    "no name": (lambda m: setattr(m.graph.initializer[0], "name", ""), "one of the initializers has no name"),
    "sparse indices": (lambda m: add_sparse(m, indices=[3, 2]), "do not ascend"),
    "sparse places": (lambda m: add_sparse(m, indices=[2, 16]), "from 0 to 15"),
    "sparse pairs": (lambda m: add_sparse(m, indices=[[0, 4], [1, 0]]), r"outside its shape \(4, 4\)"),
    "sparse sizes": (lambda m: add_sparse(m, dims=[2**31, 4]), r"rows and columns may be"),
    "sparse counts": (lambda m: add_sparse(m, indices=[1, 2, 3]), r"indices of shape \(3,\)"),
    "output": (lambda m: m.graph.output.add(name="gone"), "computed by no node"),
    "no graph": (lambda m: m.ClearField("graph"), "no graph"),
    "opset": (lambda m: setattr(m.opset_import[0], "version", 5), "operator set 5"),
    "attribute": (lambda m: m.graph.node[0].attribute.append(helper.make_attribute("transB", 1.5)),
                  r"'product' \(Gemm\): attribute transB is a float"),
    "shape": (lambda m: m.graph.initializer[0].CopyFrom(numpy_helper.from_array(draw(5, 4), "w")), None),
}  # fmt: skip


def add_sparse(model, indices=(0, 5), dims=(4, 4)):
    added = sparse_proto(np.eye(2, dtype=np.float32), "s")
    added.indices.CopyFrom(numpy_helper.from_array(np.array(indices, dtype=np.int64), ""))
    added.dims[:] = dims
    model.graph.sparse_initializer.append(added)


@pytest.mark.parametrize("entry", ["load", "report", "rewrite"])
@pytest.mark.parametrize("kind", LIES)
def test_files_that_lie(kind, entry, tmp_path):
    change, words = LIES[kind]
    path = tmp_path / "lie.onnx"
    path.write_bytes(lie(change).SerializeToString())
    if words is None:
        with pytest.raises(ValueError):
            cs.onnx.load(path)(draw(2, 4))
        return
    if kind == "attribute" and entry != "load":  # which others do not read
        return
    with pytest.raises(ValueError, match=words) as error:
        getattr(cs.onnx, entry)(path)
    assert "\n" not in str(error.value)
    assert "lie.onnx" in str(error.value)


def test_models_that_lie():
    """The same of a model that somebody else has parsed."""
    for change, words in LIES.values():
        if words is not None:
            with pytest.raises(ValueError, match=words):
                cs.onnx.backend.prepare(lie(change))


def test_texts_are_utf8(tmp_path):
    data = lie(lambda m: None).SerializeToString().replace(b"product", b"prod\xffct")
    (tmp_path / "x.onnx").write_bytes(data)
    for entry in (cs.onnx.load, cs.onnx.report, cs.onnx.rewrite):
        with pytest.raises(ValueError, match=f"not UTF-8 at byte {data.index(bytes([255]))}"):
            entry(tmp_path / "x.onnx")


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([helper.make_node("BatchNormalization", ["x", "w", "", "w", "w"], ["y"])], "input 2 is missing"),
        ([helper.make_node("InstanceNormalization", ["x", "w"], ["y"])], "input 2 is missing"),
        ([helper.make_node("MatMul", ["x"], ["y"])], "input 1 is missing"),
        ([helper.make_node("CumSum", ["x", "w", "w"], ["y"])], "3 were given"),
    ],
)
def test_inputs_that_are_missing(nodes, words):
    model = model_of(nodes, [tensor("x", 2, 4)], [tensor("y", 2, 4)], w=draw(4))
    with pytest.raises(ValueError, match=words):
        cs.onnx.load(model)(draw(2, 4))


def test_indices_outside():
    """Of inputs that the caller gives: they are no fault of the file, and said when the network runs."""
    model = model_of([helper.make_node("Gather", ["x", "i"], ["y"])],
                     [tensor("x", 2, 4), tensor("i", 1, kind=TensorProto.INT64)], [tensor("y", 1, 4)])  # fmt: skip
    net = cs.onnx.load(model)
    with pytest.raises(ValueError, match="index 2 is out of bounds"):
        net(draw(2, 4), np.array([2]))


def test_shapes_that_nobody_can_compute():
    """Functions find their shapes by computing; of sizes that are only declared they do not."""
    node = helper.make_node("BatchNormalization", ["x", "w", "w", "w", "w"], ["y", "m", "v"], training_mode=1)
    model = model_of([node],
                     [tensor("x", 2**20, 4, 2**20)], [tensor(name) for name in "ymv"], w=draw(4))  # fmt: skip
    cs.onnx.load(model)


def test_products_that_nobody_can_compute(tmp_path):
    """The same of products: neither `load` nor `report` takes longer than a product of 2**34 multiplications."""
    n = 2**16
    model = model_of([helper.make_node("Gemm", ["x", "z"], ["y"])], [tensor("x", n, n), tensor("z", n, n)],
                     [tensor("y", n, n)])  # fmt: skip
    onnx.save(model, tmp_path / "m.onnx")
    cs.onnx.load(model)
    assert cs.onnx.report(tmp_path / "m.onnx").totals.multiplications == 2**48


def test_shapes_of_too_many_axes():
    """ONNX would write them down one by one."""
    int64 = TensorProto.INT64
    model = model_of([helper.make_node("Expand", ["x", "s"], ["y"])], [tensor("x", 2), tensor("s", 2**62, kind=int64)],
                     [helper.make_empty_tensor_value_info("y")])  # fmt: skip
    assert not cs.onnx.rewrite(model).graph.value_info


def test_axes_that_no_shape_has(tmp_path):
    """ONNX's inference of shapes ends the process for the axis 2**31, which it takes for -2**31."""
    path, sizes = tmp_path / "m.onnx", [tensor(name, 3, 4) for name in ("x", "w", "b")]
    node = helper.make_node("LayerNormalization", ["x", "w", "b"], ["y", "mean", "deviation"], axis=2**31)
    onnx.save(model_of([node], sizes, [tensor("y", 3, 4)], opset=17), path)
    assert cs.onnx.rewrite(path).graph.node[0].op_type == "LayerNormalization"
    assert len(cs.onnx.report(path).layers) == 0
    with pytest.raises(ValueError, match="axis"):
        cs.onnx.load(path)(draw(3, 4), draw(3, 4), draw(3, 4))


def test_what_onnx_infers_no_shapes_of(tmp_path):
    """Sizes below zero, and text whose type is not known, end the process there."""
    path = tmp_path / "m.onnx"
    values = [tensor("x", 2, 2), tensor("i", 2, -2, kind=TensorProto.INT64)]
    onnx.save(model_of([helper.make_node("GatherND", ["x", "i"], ["y"])], values, [tensor("y", 2)], opset=13), path)
    assert cs.onnx.rewrite(path).graph.node[0].op_type == "GatherND"
    node = helper.make_node("RegexFullMatch", ["x"], ["y"], pattern="a")
    text = [helper.make_empty_tensor_value_info("x")]
    onnx.save(model_of([node], text, [tensor("y", 3, kind=TensorProto.BOOL)], opset=20), path)
    assert cs.onnx.rewrite(path).graph.node[0].op_type == "RegexFullMatch"
    assert "RegexFullMatch" in cs.onnx.report(path).refused


def test_norms_of_numbers_are_refused():
    nodes = [helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
             helper.make_node("LayerNormalization", ["s", "w"], ["y"])]  # fmt: skip
    model = model_of(nodes, [tensor("x", 2, 3)], [tensor("y")], opset=17, w=np.ones(1, np.float32))
    with pytest.raises(ValueError, match="without axes"):
        cs.onnx.load(model)(draw(2, 3))


def test_products_of_large_constants_wait():
    """Two constants that are small in the file may take for ever to multiply."""
    nodes = [helper.make_node("ConstantOfShape", ["n"], ["a"]), helper.make_node("MatMul", ["a", "a"], ["b"]),
             helper.make_node("Add", ["b", "x"], ["y"])]  # fmt: skip
    cs.onnx.load(model_of(nodes, [tensor("x", 1)], [tensor("y", None, None)], n=np.array([2**14, 2**14])))


@pytest.mark.parametrize("grow", ["Tile", "Expand", "ConstantOfShape", "Pad", "Range"])
def test_small_files_make_no_large_arrays(grow):
    huge = np.array([2**20, 2**20], dtype=np.int64)
    arrays = {"one": draw(1, 1), "huge": huge}
    inputs = {"Tile": ["one", "huge"], "Expand": ["one", "huge"], "ConstantOfShape": ["huge"],
              "Pad": ["one", "pads"], "Range": ["start", "stop", "step"]}[grow]  # fmt: skip
    arrays |= {"pads": np.concatenate([huge, huge]), "start": np.array(0), "stop": np.array(2**40), "step": np.array(1)}
    nodes = [helper.make_node(grow, inputs, ["a"]), helper.make_node("Add", ["x", "a"], ["y"])]
    used = {name: array for name, array in arrays.items() if name in inputs}
    with pytest.raises(ValueError, match=r"entries at most|does not fit"):
        cs.onnx.load(model_of(nodes, [tensor("x", 1)], [tensor("y", None, None)], **used))(draw(1))


def test_functions_do_not_explode():
    """Thirty functions, each of which calls the next one twice."""
    model = model_of([helper.make_node("f0", ["x"], ["y"], domain="d")], [tensor("x", 1)], [tensor("y", 1)])
    model.opset_import.append(helper.make_opsetid("d", 1))
    opsets = list(model.opset_import)
    for i in range(30):
        inner = ("Relu", "") if i == 29 else (f"f{i + 1}", "d")
        nodes = [helper.make_node(inner[0], ["x"], ["a"], domain=inner[1]),
                 helper.make_node(inner[0], ["a"], ["y"], domain=inner[1])]  # fmt: skip
        model.functions.append(helper.make_function("d", f"f{i}", ["x"], ["y"], nodes, opsets))
    with pytest.raises(ValueError, match="nodes, with functions written out"):
        cs.onnx.load(model)
    model.functions[29].node[0].op_type, model.functions[29].node[0].domain = "f0", "d"
    with pytest.raises(ValueError, match="calls itself"):
        cs.onnx.load(model)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x3a\xff\x01", "where 0 are left"),
        (b"\x0b", "wire type 3"),
        (b"\x00", "number 0"),
        (b"\x08" + b"\xff" * 10, "ten bytes"),
        (b"\x08", "cut off"),
        (b"", "no graph"),
        (b"not a model", "wire type|left|number"),
    ],
)
def test_bytes_are_looked_at_before_a_parser_sees_them(data, words, tmp_path):
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=words):
        cs.onnx.load(path)


def test_nesting_is_bounded(tmp_path):
    inner = b""
    for _ in range(50):
        inner = b"\x32" + length(inner) + inner  # AttributeProto.g
        inner = b"\x2a" + length(inner) + inner  # NodeProto.attribute
        inner = b"\x0a" + length(inner) + inner  # GraphProto.node
    path = tmp_path / "x.onnx"
    path.write_bytes(b"\x3a" + length(inner) + inner)
    with pytest.raises(ValueError, match="nested more than"):
        cs.onnx.load(path)


def length(data):
    n, found = len(data), b""
    while n > 127:
        found, n = found + bytes([n & 127 | 128]), n >> 7
    return found + bytes([n])
