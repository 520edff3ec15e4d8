# SPDX-License-Identifier: BSD-3-Clause
"""Trained networks that packages ship (`clients.txt`), as they are and with 90% of their weights pruned: the outputs of
ONNX Runtime, for the same model."""

import pathlib
import sys

import numpy as np
import pytest

import complsparse as cs

# Last, so that the installed complsparse is the one that is tested.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
from benchmarks.problems.clients import CLIENTS, Missing, pruned

onnx = pytest.importorskip("onnx", reason="not run: onnx is not installed")
pytest.importorskip("onnxscript", reason="not run: onnxscript is not installed")
runtime = pytest.importorskip("onnxruntime", reason="not run: onnxruntime is not installed")

# Integers between their layers: where a sum lies on an edge, float32 decides, and from there on values drift apart, as
# those of ONNX Runtime with and without its optimisation do.
DRIFTING = {"grammar, int8"}


@pytest.mark.parametrize("sparsity", [None, 0.9], ids=["dense", "pruned"])
@pytest.mark.parametrize("name", CLIENTS)
def test_outputs_are_those_of_onnx_runtime(name, sparsity):
    client = CLIENTS[name]
    try:
        model = onnx.load(client.path())
    except Missing as reason:
        pytest.skip(f"not run: {reason}")
    model = model if sparsity is None else pruned(model, sparsity)
    inputs = client.inputs(np.random.default_rng(0))
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    net = cs.onnx.load(model)
    packed = [layer for layer in net.layers for W in layer.weights if isinstance(W, cs.ComplementaryMatrix)]
    assert packed or sparsity is None or name.endswith("int8")
    found = net(*(inputs[given.name] for given in session.get_inputs()))
    found = found if isinstance(found, tuple) else (found,)
    for y, wanted in zip(found, session.run(None, inputs), strict=True):
        assert y.shape == wanted.shape
        if name in DRIFTING:
            np.testing.assert_array_equal(y.argmax(axis=-1), wanted.argmax(axis=-1))
            continue
        assert np.isfinite(wanted).all()
        assert np.abs(y - wanted).max() <= 1e-5 * max(1, np.abs(wanted).max())
