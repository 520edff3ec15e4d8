# SPDX-License-Identifier: BSD-3-Clause
"""The command that runs a model of ONNX, and compares it with ONNX Runtime."""

import json

import numpy as np
import pytest
from command_line import refused

import complsparse as cs
from complsparse._cli import run_model
from complsparse._cli.main import main

onnx = pytest.importorskip("onnx", reason="not run: onnx is not installed")
pytest.importorskip("onnxscript", reason="not run: onnxscript is not installed")
RNG = np.random.default_rng(0)


def run_refused(capsys, *words):
    return refused(capsys, "run", *words)


def saved(path, text, **arrays):
    graph = onnx.parser.parse_graph(text)
    graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 20)]), path)
    return path


@pytest.fixture
def model(tmp_path):
    w = cs.random((40, 24), density=0.1, rng=0).toarray()
    text = """g (float[n, 40] x, int64[n] rows, float z) => (float[n, 24] y, float[n, 24] picked) {
        a = MatMul(x, w) b = Relu(a) y = Add(b, z) picked = Gather(y, rows)
    }"""
    return saved(tmp_path / "m.onnx", text, w=w)


def document(capsys, *words, status=0):
    assert main(["run", *map(str, words), "--json", "--rounds", "1"]) == status
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def test_random_inputs(capsys, model):
    found = document(capsys, model, "--size", "3", "--threads", "1", "2")
    assert found["inputs"] == {
        "x": {"shape": [3, 40], "dtype": "float32"},
        "rows": {"shape": [3], "dtype": "int64"},
        "z": {"shape": [], "dtype": "float32"},
    }
    assert [run["threads"] for run in found["runs"]] == [1, 2]
    assert all(run["seconds"] > 0 and run["equal"] for run in found["runs"])
    assert sum(layer["layer"] == "Linear" for layer in found["layers"]) == 1


def test_beside_onnxruntime(capsys, model):
    pytest.importorskip("onnxruntime", reason="not run: onnxruntime is not installed")
    (run,) = document(capsys, model)["runs"]
    assert run["ratio"] == run["onnxruntime_seconds"] / run["seconds"]
    assert 0 <= run["largest_difference"] <= 1e-6
    assert run["absent"] is None


def test_given_inputs(capsys, tmp_path, model):
    np.save(tmp_path / "x.npy", RNG.standard_normal((4, 40)))
    np.save(tmp_path / "rows.npy", np.array([3, 0, 0, 2]))
    found = document(capsys, model, "--size", "4", "--input", tmp_path / "x.npy", f"rows={tmp_path / 'rows.npy'}")
    assert found["inputs"]["x"]["shape"] == [4, 40]
    assert found["runs"][0]["equal"]


def test_other_outputs_are_reported(capsys, monkeypatch, model):
    monkeypatch.setattr(run_model, "present", lambda: {run_model.ONNXRUNTIME: "one that is wrong"})
    wrong = [np.ones((1, 24)), np.ones((1, 24))]
    monkeypatch.setattr(run_model, "bound_session", lambda *given: (lambda: None, lambda: wrong))
    assert main(["run", str(model), "--rounds", "1"]) == 1
    assert "WRONG" in capsys.readouterr().out


def test_without_onnxruntime(capsys, monkeypatch, model):
    monkeypatch.setattr(run_model, "present", dict)
    assert main(["run", str(model), "--rounds", "1"]) == 0
    assert "not installed" in capsys.readouterr().out
    (run,) = document(capsys, model)["runs"]
    assert (run["ratio"], run["largest_difference"], run["equal"]) == (None, None, True)


def test_differences():
    from complsparse.onnx._timed import largest_difference

    y = np.array([1.0, -4.0])
    assert largest_difference([y, y], [y, y]) == 0
    assert largest_difference([np.array([1.0, -3.5])], [y]) == 0.125
    assert largest_difference([y], [y[:1]]) == np.inf
    assert largest_difference([[np.nan, 1]], [[np.nan, 1]]) == 0
    assert largest_difference([[np.nan, 1]], [[0, 1]]) == np.inf
    assert largest_difference([[0, 1]], [[np.inf, 1]]) == np.inf
    assert largest_difference([np.zeros(2)], [np.zeros(2)]) == 0


def test_bad_input(capsys, tmp_path, model):
    (tmp_path / "bad.onnx").write_bytes(b"\xff" * 40)
    (tmp_path / "bad.npy").write_bytes(b"no array")
    np.save(tmp_path / "x.npy", np.ones((1, 41), dtype=np.float32))
    np.save(tmp_path / "text.npy", np.array(["a"]))
    assert "bad.onnx" in run_refused(capsys, tmp_path / "bad.onnx")
    assert "missing.onnx" in run_refused(capsys, tmp_path / "missing.onnx")
    assert "41" in run_refused(capsys, model, "--input", tmp_path / "x.npy")
    assert "bad.npy" in run_refused(capsys, model, "--input", tmp_path / "bad.npy")
    assert "real numbers" in run_refused(capsys, model, "--input", tmp_path / "text.npy")
    assert "must end in .npy" in run_refused(capsys, model, "--input", model)
    assert "'w' is not one of the inputs x, rows, z" in run_refused(capsys, model, "--input", f"w={tmp_path / 'x.npy'}")
    assert "two files for 'x'" in run_refused(capsys, model, "--input", tmp_path / "x.npy", f"x={tmp_path / 'x.npy'}")
    assert "4 files for 3 inputs" in run_refused(capsys, model, "--input", *[
        f"{name}={tmp_path / 'x.npy'}" for name in ("x", "rows", "z")], tmp_path / "x.npy")  # fmt: skip


def test_operators_that_are_not_known(capsys, tmp_path):
    path = saved(tmp_path / "d.onnx", "g (float[2, 3, 3] x) => (float[2] y) { y = Det(x) }")
    assert "Det" in run_refused(capsys, path)
    pytest.importorskip("onnxruntime", reason="not run: onnxruntime is not installed")
    assert document(capsys, path, "--fallback")["runs"][0]["equal"]
