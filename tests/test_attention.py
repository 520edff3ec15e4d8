# SPDX-License-Identifier: BSD-3-Clause
"""Attention against its equation in float64, given as a layer and written out."""

import numpy as np
import pytest
from networks import nn
from numpy.testing import assert_allclose

import complsparse as cs

SIZES = [
    (1, 1, 1, 1),
    (4, 7, 7, 8),
    (3, 16, 5, 17),
    (12, 33, 128, 16),
    (2, 165, 600, 4),
    (2, 130, 129, 64),
]  # heads, queries, keys, width


def equation(q, k, v, mask=0.0, scale=None, causal=False):
    """Of (samples, heads, rows, features)."""
    scores = np.einsum("bhik,bhjk->bhij", q.astype(float), k.astype(float))
    scores = scores * (q.shape[3] ** -0.5 if scale is None else scale) + mask
    if causal:
        scores = np.where(np.tri(*scores.shape[2:], dtype=bool), scores, -np.inf)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return (e / e.sum(axis=-1, keepdims=True)) @ v.astype(float)


def drawn(samples, heads, queries, keys, width, dtype=np.float32):
    rng = np.random.default_rng(1)
    return [rng.standard_normal((samples, n, heads * width)).astype(dtype) for n in (queries, keys, keys)]


def by_head(x, heads):
    return x.reshape(*x.shape[:2], heads, x.shape[2] // heads).swapaxes(1, 2)


def joined(y):
    return y.swapaxes(1, 2).reshape(y.shape[0], y.shape[2], -1)


def of_layer(layer, *inputs):
    net = nn.Graph()
    net.output(net.add(layer, *(net.input(f"x{i}") for i in range(len(inputs)))))
    return net


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("samples", [0, 1, 3])
@pytest.mark.parametrize("sizes", SIZES)
def test_values(sizes, samples, threads, dtype, causal):
    heads = sizes[0]
    inputs = drawn(samples, *sizes, dtype)
    wanted = joined(equation(*(by_head(x, heads) for x in inputs), causal=causal)) if samples else inputs[0]
    net = of_layer(nn.Attention(heads, causal=causal), *inputs)
    with cs.num_threads(threads):
        for y in (net.plan(*(x.shape for x in inputs), dtype=dtype)(*inputs), net.apply(*inputs)):
            assert y.dtype == dtype
            assert_allclose(y, wanted, atol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("shape", [(2, 3, 5, 9), (1, 1, 5, 9), (2, 1, 1, 9), (5, 9), (5, 1)])
def test_masks(shape):
    inputs = drawn(2, 3, 5, 9, 4)
    mask = np.where(np.random.default_rng(2).random(shape) < 0.3, -20, 0.5).astype(np.float32)
    wanted = joined(equation(*(by_head(x, 3) for x in inputs), mask, scale=0.25))
    y = of_layer(nn.Attention(3, scale=0.25), *inputs, mask)(*inputs, mask)
    assert_allclose(y, wanted, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_written_out(samples, masked):
    """One step, where products of matrices and a softmax are given, and axes that move."""
    heads, n, width = 4, 9, 8
    inputs = drawn(samples, heads, n, n, width)
    mask = np.where(np.tri(n), 0, -1e4).astype(np.float32)
    net = nn.Graph()
    q, k, v = (net.input(name, (None, n, heads * width)) for name in "qkv")
    q, k, v = (net.add(nn.Reshape((0, n, heads, width)), x) for x in (q, k, v))
    q, v = (net.add(nn.Transpose((0, 2, 1, 3)), x) for x in (q, v))
    k = net.add(nn.Transpose((0, 2, 3, 1)), k)
    scores = net.add(nn.Mul(), net.add(nn.MatMul(), q, k), net.constant(np.float32(0.3)))
    scores = net.add(nn.Add(), scores, net.constant(mask)) if masked else scores
    y = net.add(nn.MatMul(), net.add(nn.Softmax(-1), scores), v)
    y = net.add(nn.Transpose((0, 2, 1, 3)), y)
    net.output(net.add(nn.Reshape((0, n, heads * width)), y))
    plan = net.plan(*(x.shape for x in inputs))
    assert [step.kernel for step in plan.steps] == ["gemm softmax gemm"]
    wanted = joined(equation(*(by_head(x, heads) for x in inputs), mask if masked else 0, scale=0.3))
    assert_allclose(plan(*inputs), wanted, atol=1e-5)


def test_refused():
    shapes = (2, 5, 12), (2, 9, 12), (2, 9, 12)
    net = of_layer(nn.Attention(5), *shapes)
    with pytest.raises(ValueError, match="5 heads"):
        net.plan(*shapes)
    with pytest.raises(ValueError, match="do not go together"):
        of_layer(nn.Attention(3), *shapes).plan((2, 5, 12), (2, 9, 12), (2, 8, 12))
    with pytest.raises(ValueError, match="does not broadcast"):
        of_layer(nn.Attention(3), *shapes, 0).plan(*shapes, (4, 9))
