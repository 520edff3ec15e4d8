# SPDX-License-Identifier: BSD-3-Clause
"""What a report says of each layer, counted by hand; and its command."""

import json

import numpy as np
import pytest
from command_line import refused

import complsparse as cs
from complsparse._cli.main import main

RNG = np.random.default_rng(0)


def dense(*shape):
    return RNG.uniform(0.5, 1, shape).astype(np.float32)


def pruned(rows, cols, density=0.1, **how):
    return cs.random((rows, cols), density=density, rng=0, **how).toarray()


# --- files of matrices ------------------------------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.npz"
    blocks = np.kron(pruned(16, 20, 0.2), np.ones((4, 2), dtype=np.float32))
    scattered = np.zeros((24, 24), dtype=np.float32)
    scattered[0, [1, 4]] = scattered[3, 7] = 1
    np.savez(path, sets=pruned(64, 40), blocks=blocks, dense=dense(8, 6), scattered=scattered, bias=dense(8))
    return path


def test_matrices_of_files(weights):
    found = cs.onnx.report(weights)
    by_name = {layer.name: layer for layer in found.layers}
    assert set(by_name) == {"sets", "blocks", "dense", "scattered"}
    with np.load(weights) as arrays:
        for name, layer in by_name.items():
            array = arrays[name]
            assert layer.shape == array.shape
            assert layer.density == np.count_nonzero(array) / array.size
            assert layer.multiplications == array.size
            assert layer.nonzero_multiplications == np.count_nonzero(array)
            assert layer.sparse == (np.mean(array == 0) >= 0.7)
            assert layer.runs_on.startswith("sparse: " if layer.sparse else "dense: BLAS")
        sizes = [arrays[name].size for name in by_name]
        touched = sum(arrays[name].size for name in by_name if name != "dense")
    assert by_name["sets"].pattern == "equal rows, 7 complementary sets (91.4% full)"
    assert by_name["blocks"].pattern.startswith("4x2 blocks, equal rows of blocks")
    assert by_name["dense"].pattern == ""
    assert "equal" not in by_name["scattered"].pattern
    assert "blocks" not in by_name["scattered"].pattern
    assert found.totals.multiplications == found.totals.weights == sum(sizes)
    assert found.totals.touched == touched / sum(sizes)
    assert found.totals.seconds is None
    assert "sets" in str(found)


def test_blocks_with_some_zeros_are_found(tmp_path):
    blocks = np.kron(pruned(16, 20, 0.25) != 0, np.ones((8, 4))).astype(np.int8)
    blocks[np.nonzero(blocks)[0][0], np.nonzero(blocks)[1][0]] = 0
    np.savez(tmp_path / "w.npz", w=blocks)
    (layer,) = cs.onnx.report(tmp_path / "w.npz").layers
    full = np.count_nonzero(blocks) / (np.count_nonzero(blocks) + 1)
    assert layer.pattern.startswith(f"8x4 blocks ({full:.1%} full), equal rows of blocks")


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_measured(tmp_path, dtype):
    np.savez(tmp_path / "w.npz", w=(10 * pruned(64, 40)).astype(dtype), dense=dense(8, 6))
    found = cs.onnx.report(tmp_path / "w.npz", measure=True)
    assert all(layer.seconds > 0 and layer.dense_seconds > 0 for layer in found.layers)
    assert found.layers[1].seconds == found.layers[1].dense_seconds
    assert found.totals.seconds == sum(layer.seconds for layer in found.layers)
    assert "dense /" in str(found)


def test_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy", reason="not run: safetensors is not installed")
    safetensors.save_file({"w": pruned(64, 40), "b": dense(64)}, tmp_path / "w.safetensors")
    (layer,) = cs.onnx.report(tmp_path / "w.safetensors").layers
    assert (layer.name, layer.shape) == ("w", (64, 40))


@pytest.mark.parametrize("sparsity", [-0.1, 1.5, float("nan")])
def test_sparsity_out_of_range(weights, sparsity):
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        cs.onnx.report(weights, sparsity=sparsity)


def test_picture(tmp_path, weights):
    pytest.importorskip("matplotlib", reason="not run: matplotlib is not installed")
    cs.onnx.report(weights, plot=tmp_path / "w.png")
    assert (tmp_path / "w.png").read_bytes().startswith(b"\x89PNG")


def test_command(capsys, weights):
    assert main(["report", str(weights), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads(json.dumps({"version": 1, **cs.onnx.report(str(weights)).to_dict()}))
    assert main(["report", str(weights), "--measure", "--sparsity", "0.95"]) == 0
    assert "sparsity can touch" in capsys.readouterr().out


def test_command_refuses(capsys, tmp_path):
    (tmp_path / "w.npz").write_bytes(b"no file of arrays")
    assert "w.npz" in refused(capsys, "report", tmp_path / "w.npz")
    assert "missing.npz" in refused(capsys, "report", tmp_path / "missing.npz")
    assert "is not between 0 and 1" in refused(capsys, "report", tmp_path / "w.npz", "--sparsity", "2")
    assert "suffix" in refused(capsys, "report", tmp_path / "w.txt")


# --- models of ONNX ---------------------------------------------------------------------------------------------------


@pytest.fixture
def onnx():
    pytest.importorskip("onnxscript", reason="not run: onnxscript is not installed")
    return pytest.importorskip("onnx", reason="not run: onnx is not installed")


def saved(onnx, path, nodes, inputs, outputs, sparse=(), **arrays):
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    made = helper.make_graph(
        [helper.make_node(*node[:3], name=node[0].lower(), **node[3]) for node in nodes],
        "net",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
        sparse_initializer=sparse,
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=8), path)
    return path


def test_products(onnx, tmp_path):
    nodes = [
        ("MatMul", ["x", "w"], ["a"], {}),
        ("Gemm", ["a", "v"], ["b"], {"transB": 1}),
        ("Transpose", ["b"], ["c"], {}),
        ("MatMul", ["b", "c"], ["y"], {}),
    ]
    w, v = pruned(40, 64), dense(48, 64)
    path = saved(onnx, tmp_path / "m.onnx", nodes, {"x": [5, 40]}, ["y"], w=w, v=v)
    found = cs.onnx.report(path)
    first, second = found.layers
    assert (first.operator, first.shape, first.multiplications) == ("MatMul", (40, 64), 5 * 40 * 64)
    assert first.nonzero_multiplications == 5 * np.count_nonzero(w)
    assert first.runs_on.startswith("sparse: ")
    assert first.why == "at least 70% zero"
    assert (second.operator, second.multiplications, second.runs_on) == ("Gemm", 5 * 48 * 64, "dense: BLAS")
    assert found.totals.multiplications == 5 * 40 * 64 + 5 * 48 * 64 + 5 * 48 * 5  # activations too
    assert found.totals.touched == 5 * 40 * 64 / found.totals.multiplications
    assert found.refused is None


def test_convolutions(onnx, tmp_path):
    nodes = [
        ("Conv", ["x", "w"], ["a"], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("ConvTranspose", ["a", "v"], ["y"], {"strides": [2, 2]}),
    ]
    w = cs.random((16, 8 * 9), density=0.1, rng=0).toarray().reshape(16, 8, 3, 3)
    v = dense(16, 4, 2, 2)
    path = saved(onnx, tmp_path / "m.onnx", nodes, {"x": [1, 8, 10, 12]}, ["y"], w=w, v=v)
    first, second = cs.onnx.report(path, measure=True).layers
    assert first.multiplications == 16 * 8 * 9 * (5 * 6)
    assert first.nonzero_multiplications == np.count_nonzero(w) * 30
    assert second.multiplications == v.size * 30
    assert first.seconds > 0
    assert first.sizes_known


def test_layers_that_simplifiers_wrote_anew_keep_their_names(onnx, tmp_path):
    """A Pad becomes a part of the convolution behind it, and an addition its bias."""
    text = """agraph (float[1, 6, 9, 9] x) => (float[1, 4, 9, 9] y) {
        [pad] p = Pad(x, pads) [channels] c = Conv<group = 6>(p, F) [filters] f = Conv(c, W) [sum] y = Add(f, b) }"""
    constants = {"F": dense(6, 1, 3, 3), "W": pruned(4, 6, 0.2)[:, :, None, None], "b": dense(4, 1, 1),
                 "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}  # fmt: skip
    graph = onnx.parser.parse_graph(text)
    graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items())
    path = tmp_path / "model.onnx"
    onnx.save(onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 20)]), path)
    assert cs.onnx.load(path).names == ["channels", "sum"]
    channels, filters = cs.onnx.report(path).layers
    assert channels.runs_on == "dense: depthwise"
    assert filters.runs_on.startswith("sparse: ")


def test_sizes_that_are_not_known(onnx, tmp_path, capsys):
    nodes = [("MatMul", ["x", "w"], ["y"], {})]
    path = saved(onnx, tmp_path / "m.onnx", nodes, {"x": ["batch", 40]}, ["y"], w=pruned(40, 64))
    found = cs.onnx.report(path)
    (layer,) = found.layers
    assert not layer.sizes_known
    assert layer.multiplications == 40 * 64
    assert "an axis of unknown size counts as one" in str(found)
    assert main(["info", str(path)]) == 0
    assert "an axis of unknown size counts as one" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_recurrent(onnx, tmp_path, kind):
    gates = {"GRU": 3, "LSTM": 4}[kind]
    w, r = pruned(gates * 20, 30)[None], dense(1, gates * 20, 20)
    nodes = [(kind, ["x", "w", "r"], ["y"], {"hidden_size": 20})]
    path = saved(onnx, tmp_path / "m.onnx", nodes, {"x": [7, 2, 30]}, ["y"], w=w, r=r)
    of_input, of_state = cs.onnx.report(path).layers
    assert (of_input.name, of_state.name) == (f"{kind.lower()}.W", f"{kind.lower()}.R")
    assert of_input.multiplications == 7 * 2 * w.size
    assert of_input.nonzero_multiplications == 7 * 2 * np.count_nonzero(w)
    assert of_state.multiplications == 7 * 2 * r.size


def test_recurrent_rows_have_kernels_of_their_own(onnx, tmp_path):
    """The product of all inputs is sparse, that of each state dense."""
    w, r = pruned(60, 30)[None], dense(1, 60, 20)
    nodes = [("GRU", ["x", "w", "r"], ["y"], {"hidden_size": 20})]
    path = saved(onnx, tmp_path / "m.onnx", nodes, {"x": [7, 2, 30]}, ["y"], w=w, r=r)
    found = cs.onnx.report(path)
    of_input, of_state = found.layers
    plan = cs.onnx.load(path).plan((7, 2, 30))
    assert of_input.runs_on == f"sparse: {plan.steps[0].kernel}"
    assert of_state.runs_on == "dense: BLAS"
    assert found.totals.touched == of_input.multiplications / found.totals.multiplications


def test_what_has_no_sparse_kernel_is_not_touched(onnx, tmp_path):
    """Transposed convolutions run densely, however many zeros they have."""
    nodes = [("ConvTranspose", ["x", "w"], ["a"], {"strides": [2, 2]}), ("Conv", ["a", "v"], ["y"], {})]
    w = cs.random((16, 8 * 4), density=0.1, rng=0).toarray().reshape(16, 8, 2, 2)
    v = cs.random((8, 8 * 9), density=0.1, rng=0).toarray().reshape(8, 8, 3, 3)
    found = cs.onnx.report(saved(onnx, tmp_path / "m.onnx", nodes, {"x": [1, 16, 5, 6]}, ["y"], w=w, v=v))
    transposed, convolution = found.layers
    assert transposed.runs_on.startswith("dense: ")
    assert not transposed.sparse
    assert convolution.sparse
    assert found.totals.touched == convolution.multiplications / found.totals.multiplications


def test_sparse_initializers_of_each_layer(onnx, tmp_path):
    """The same rows as of dense weights."""
    from onnx_models import with_sparse

    arrays = {"w": pruned(40, 64), "f": pruned(8, 36).reshape(8, 4, 3, 3), "g": pruned(48, 24)[None]}
    nodes = [
        ("MatMul", ["x", "w"], ["y"], {}),
        ("Conv", ["i", "f"], ["j"], {}),
        ("GRU", ["s", "g", "r"], ["t"], {"hidden_size": 16}),
    ]
    inputs = {"x": [3, 40], "i": [1, 4, 6, 6], "s": [5, 2, 24]}
    path = saved(onnx, tmp_path / "m.onnx", nodes, inputs, ["y", "j", "t"], r=dense(1, 48, 16), **arrays)
    wanted, model = cs.onnx.report(path), onnx.load(path)
    for name, flat in zip(arrays, (True, False, True), strict=True):
        model = with_sparse(model, name, flat)
    onnx.save(model, tmp_path / "s.onnx")
    assert cs.onnx.report(tmp_path / "s.onnx").layers == wanted.layers


def test_sparse_initializers(onnx, tmp_path):
    w = pruned(40, 64)
    places = np.flatnonzero(w)
    values = onnx.numpy_helper.from_array(w.ravel()[places], "w")
    stored = onnx.helper.make_sparse_tensor(values, onnx.numpy_helper.from_array(places, "i"), w.shape)
    path = saved(onnx, tmp_path / "m.onnx", [("MatMul", ["x", "w"], ["y"], {})], {"x": [3, 40]}, ["y"], [stored])
    (layer,) = cs.onnx.report(path).layers
    assert (layer.multiplications, layer.nonzero_multiplications) == (3 * w.size, 3 * len(places))
    assert layer.runs_on.startswith("sparse: ")


def test_models_that_are_refused(onnx, tmp_path):
    nodes = [("MatMul", ["x", "w"], ["a"], {}), ("Det", ["a"], ["y"], {})]
    path = saved(onnx, tmp_path / "m.onnx", nodes, {"x": [3, 40, 40]}, ["y"], w=pruned(40, 40))
    found = cs.onnx.report(path)
    assert "Det" in found.refused
    assert found.layers[0].runs_on == "ONNX Runtime"
    assert "refuses this model" in str(found)


def test_command_refuses_models(onnx, tmp_path, capsys):
    (tmp_path / "m.onnx").write_bytes(b"\xff" * 40)
    assert "m.onnx" in refused(capsys, "report", tmp_path / "m.onnx")
    assert "m.onnx" in refused(capsys, "info", tmp_path / "m.onnx")
    assert "--tensor" in refused(capsys, "info", tmp_path / "m.onnx", "--tensor", "w")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "n_packed"),
    [("pose_detection", 38), ("hand_landmark_sparse", 30), ("face_detection_full_range_sparse", 46)],
)
def test_mediapipe(onnx, data_folder, name, n_packed):
    path = data_folder / "sparse_networks" / "tfl" / f"{name}.onnx"
    found = cs.onnx.report(path)
    model = onnx.load(path)
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    convolutions = [arrays[node.input[1]] for node in model.graph.node if node.op_type == "Conv"]
    assert [layer.shape for layer in found.layers if layer.operator == "Conv"] == [w.shape for w in convolutions]
    assert [layer.density for layer in found.layers if layer.operator == "Conv"] == [
        np.count_nonzero(w) / w.size for w in convolutions
    ]
    assert sum(layer.runs_on.startswith("sparse: ") for layer in found.layers) == n_packed
    assert all(layer.sizes_known for layer in found.layers)
