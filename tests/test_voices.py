# SPDX-License-Identifier: BSD-3-Clause
"""Recurrent layers of RNNoise "little" and of Lyra, with the weights that they were shipped with: as models of ONNX and
as networks, in float32 and in int8, against equations in NumPy."""

import pathlib
import sys

import numpy as np
import pytest
from networks import nn
from numpy.testing import assert_allclose

import complsparse as cs

# Last, so that the installed complsparse is the one that is tested.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
from benchmarks.problems.data import NoData
from benchmarks.problems.voices import VOICES, inputs_of, model_of, written_out

pytestmark = pytest.mark.data


@pytest.fixture(params=VOICES)
def cells(request, data_folder):
    try:
        return VOICES[request.param](data_folder)
    except NoData as reason:
        pytest.skip(f"not run: {reason}")


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def by_equations(cells, inputs):
    """All states of the last layer, then the last states of all, in float64; no product with a zero is left out."""
    x, last = inputs["x"].astype(float), []
    for i, (W, R, b, r) in enumerate(cells):
        h, n, states = inputs[f"h{i}"].astype(float), R.shape[1], []
        for step in x:
            of_x, of_h = step @ W.T.astype(float) + b, h @ R.T.astype(float) + r
            update, reset = (sigmoid(of_x[:, at] + of_h[:, at]) for at in (np.s_[:n], np.s_[n : 2 * n]))
            h = (1 - update) * np.tanh(of_x[:, 2 * n :] + reset * of_h[:, 2 * n :]) + update * h
            states.append(h)
        x = np.array(states)
        last.append(h)
    return [x, *last]


def network(cells):
    """By hand; blocks are found in the weights."""
    g = nn.Graph()
    x, last = g.input("x", (None, None, cells[0].W.shape[1])), []
    for i, (W, R, b, r) in enumerate(cells):
        layer = nn.GRU(cs.from_dense(W), cs.from_dense(R), bias=b, recurrent_bias=r)
        x, h = g.add(layer, x, g.input(f"h{i}", (None, R.shape[1])), name=f"gru{i}")
        last.append(h)
    for h in (x, *last):
        g.output(h)
    return g


def test_sparsity_is_what_the_sources_say(cells):
    zeros = [1 - np.count_nonzero(part) / part.size for cell in cells for part in (cell.W, cell.R)]
    wanted = [0.92, 0.9375] if len(cells) == 1 else [0.67] * 6
    assert_allclose(zeros, wanted, atol=0.006)


@pytest.mark.parametrize(("steps", "samples"), [(1, 1), (7, 1), (3, 4)])
def test_networks_are_the_equations(cells, steps, samples):
    inputs = inputs_of(cells, steps, samples)
    for y, wanted in zip(network(cells)(*inputs.values()), by_equations(cells, inputs), strict=True):
        assert_allclose(y, wanted, rtol=0, atol=2e-4)


@pytest.mark.parametrize("steps", [1, 7])
def test_models_of_onnx(cells, steps):
    """In blocks of 4 x 4 at least, whatever rounding and the diagonal left of them."""
    pytest.importorskip("onnxscript", reason="not run: onnxscript is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="not run: onnxruntime is not installed")
    inputs = inputs_of(cells, steps)
    model = model_of(cells, inputs)
    net = cs.onnx.load(model, sparsity=0.6)
    layers = [layer for layer in net.layers if isinstance(layer, nn.GRU)]
    assert len(layers) == len(cells)
    assert all(min(W.block) >= 4 for layer in layers for W in (layer.W, layer.R))
    for layer, cell in zip(layers, cells, strict=True):
        np.testing.assert_array_equal(layer.W.toarray(), cell.W)
        np.testing.assert_array_equal(layer.R.toarray(), cell.R)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found, by_runtime = net(*inputs.values()), session.run(None, inputs)
    for y, theirs, wanted in zip(found, by_runtime, by_equations(cells, inputs), strict=True):
        assert_allclose(y, wanted, rtol=0, atol=2e-4)
        assert_allclose(theirs, wanted, rtol=0, atol=2e-4)


def test_a_step_written_out(cells):
    """What the benchmark has quantised by ONNX Runtime's tool is the same network."""
    pytest.importorskip("onnxscript", reason="not run: onnxscript is not installed")
    inputs = inputs_of(cells)
    found = cs.onnx.load(written_out(cells, inputs), sparsity=0.6)(*inputs.values())
    found = found if isinstance(found, tuple) else (found,)
    for y, wanted in zip(found, by_equations(cells, inputs)[1:], strict=True):
        assert_allclose(y, wanted, rtol=0, atol=2e-4)


def test_in_integers(cells):
    """20 dB of signal over noise against the equations, in one step: over many of them, of inputs that are no speech,
    the states of one network fade, and those of the other drift apart."""
    inputs = inputs_of(cells, samples=4)
    small = network(cells).quantize([tuple(inputs.values())])
    assert [type(layer) for layer in small.layers if isinstance(layer, (nn.GRU, nn.QGRU))] == [nn.QGRU] * len(cells)
    one_by_one = small.apply(*inputs.values())
    for y, wanted, again in zip(small(*inputs.values()), by_equations(cells, inputs), one_by_one, strict=True):
        signal = np.mean(np.square(wanted))
        assert 10 * np.log10(signal / np.mean(np.square(y - wanted))) > 20
        assert 10 * np.log10(signal / np.mean(np.square(y - again))) > 30
