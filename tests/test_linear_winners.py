# SPDX-License-Identifier: BSD-3-Clause
"""Winners of linear layers: what `kwta(linear(...))` gives, without the outputs in between."""

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from strategies import same_bits, seeds

import complsparse as cs

# Small integers: sums are exact in every dtype and order, and many are equal.
DTYPES = ("float32", "float64", "int8", "int32", "int64", "float16", "bfloat16")


def draw(rng, shape, dtype, share=1.0):
    return (rng.integers(-3, 4, shape) * (rng.random(shape) < share)).astype(cs._dtypes.as_dtype(dtype))


def same(a, b):
    assert type(a) is cs.Winners
    assert (a.shape, a.axis, a.dtype) == (b.shape, b.axis, b.dtype)
    assert same_bits(a.values, b.values)
    assert same_bits(a.indices, b.indices)
    assert same_bits(a.indptr, b.indptr)


def by_numpy(x, D, bias, k):
    """The places of the k largest outputs, equal ones by their place."""
    y = x.astype(np.int64) @ D.T.astype(np.int64) + (0 if bias is None else bias.astype(np.int64))
    return y, np.sort(np.argsort(-y, axis=-1, kind="stable")[..., :k], axis=-1)


@given(
    seeds,
    st.sampled_from(DTYPES),
    st.sampled_from([(1, 1), (5, 3), (40, 30), (300, 20), (600, 40), (3, 0)]),
    st.sampled_from([0, 1, 2, 17, 64, 65, 200, 300]),
    st.sampled_from([0, 1, 3, 20, 10**6]),
    st.booleans(),
)
@settings(max_examples=150)
def test_the_winners_of_the_product(seed, dtype, shape, n, k, with_bias):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    rng = np.random.default_rng(seed)
    D, x = draw(rng, shape, dtype, 0.3), draw(rng, (n, shape[1]), dtype)
    bias = draw(rng, shape[0], "int8") if with_bias else None
    w = cs.linear(x, cs.from_dense(D), bias, winners=k)
    y, places = by_numpy(x, D, bias, k)
    assert w.indices.tolist() == places.ravel().tolist()
    assert w.values.tolist() == np.take_along_axis(y, places, -1).ravel().tolist()
    assert w.indptr.tolist() == [v * places.shape[1] for v in range(n + 1)]


@pytest.mark.parametrize("activation", [None, "relu", "silu"])
@pytest.mark.parametrize("axes", [1, 2, 3, 4])
def test_forms_of_x(axes, activation):
    rng = np.random.default_rng(axes)
    W = cs.from_dense(draw(rng, (150, 40), "float32", 0.3))
    shape = (3, 5, 31, 40)[-axes:]
    x = draw(rng, shape, "float32")
    expected = cs.kwta(cs.linear(x, W, activation=activation), 0.1)
    strided = np.zeros((*shape[:-1], 80), np.float32)[..., ::2]
    strided[...] = x
    for given_x in (x, np.asfortranarray(x), strided, x.astype(">f4"), x.tolist()):
        found = cs.linear(given_x, W, activation=activation, winners=0.1)
        if activation == "silu" and given_x is not x:
            assert (found.indices == expected.indices).all()
        elif isinstance(given_x, list):
            same(found, cs.kwta(cs.linear(given_x, W, activation=activation), 0.1))
        else:
            same(found, expected)
    winners = cs.Winners.from_dense(x)
    same(cs.linear(winners, W, winners=15), cs.kwta(cs.linear(x, W), 15))
    same(cs.linear(winners.astype("f8"), W, winners=15), cs.kwta(cs.linear(x.astype("f8"), W), 15))


def test_scipy_matrices_and_transposes():
    rng = np.random.default_rng(3)
    W = cs.from_dense(draw(rng, (40, 30), "float32", 0.3))
    x = draw(rng, (70, 30), "float32", 0.2)
    for S in (scipy.sparse.csr_array(x), scipy.sparse.coo_matrix(x), cs.from_dense(x)):
        same(cs.linear(S, W, winners=4), cs.kwta(cs.linear(x, W), 4))
    y = draw(rng, (70, 40), "float32")
    same(cs.linear(y, W.T, winners=4), cs.kwta(cs.linear(y, W.T), 4))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing(threads):
    rng = np.random.default_rng(5)
    W = cs.random((700, 300), density=0.1, rng=0)
    x = rng.standard_normal((500, 300)).astype(np.float32)
    with cs.num_threads(1):
        expected = cs.linear(x, W, winners=50)
    with cs.num_threads(threads):
        same(cs.linear(x, W, winners=50), expected)


def test_the_dtype_of_the_result():
    rng = np.random.default_rng(6)
    D, x = draw(rng, (40, 30), "int8", 0.5), draw(rng, (9, 30), "int8")
    W = cs.from_dense(D)
    same(cs.linear(x, W, winners=3, dtype=np.float64), cs.kwta(cs.linear(x, W, dtype=np.float64), 3))
    same(cs.linear(x, W, winners=3, dtype=np.int64), cs.kwta(cs.linear(x, W, dtype=np.int64), 3))
    wrapped = cs.linear(x * np.int8(40), W, winners=3, dtype=np.int8)  # winners of what is left of the sums
    same(wrapped, cs.kwta(cs.linear(x * np.int8(40), W, dtype=np.int8), 3))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"winners": -1}, ValueError, "k=-1"),
        ({"winners": 1.5}, ValueError, "1.5 is not a share"),
        ({"winners": "3"}, TypeError, "k must be an int"),
        ({"winners": 1, "out": np.zeros((2, 3), np.float32)}, TypeError, "takes no out"),
        ({"winners": 1, "activation": "softmax"}, ValueError, "softmax"),
        ({"winners": 1, "bias": np.zeros(4)}, ValueError, r"bias has shape \(4,\).*\(3,\)"),
        ({"winners": 1, "dtype": np.int16}, TypeError, "int16"),
    ],
    ids=str,
)
def test_bad_options(options, error, words):
    W = cs.from_dense(np.ones((3, 4), np.float32))
    with pytest.raises(error, match=words):
        cs.linear(np.ones((2, 4), np.float32), W, **options)


def test_bad_operands():
    W = cs.from_dense(np.ones((3, 4), np.float32))
    for x in (np.ones((2, 5), np.float32), np.ones((2, 5)), cs.kwta(np.ones((2, 5), np.float32), 1)):
        with pytest.raises(ValueError, match=r"has 5 features.*expects 4"):
            cs.linear(x, W, winners=1)
    with pytest.raises(ValueError, match="axis 0"):
        cs.linear(cs.kwta(np.ones((4, 2), np.float32), 1, axis=0), W, winners=1)
    with pytest.raises(TypeError, match="ComplementaryMatrix"):
        cs.linear(np.ones((2, 4)), np.ones((3, 4)), winners=1)
    with pytest.raises(ValueError, match="scalar"):
        cs.linear(2.0, W, winners=1)
