# SPDX-License-Identifier: BSD-3-Clause
"""Bad arguments of products: the kind of error, the numbers in the sentence, and nothing half-written."""

import itertools

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_array_equal

import complsparse as cs
from complsparse import _core

f4 = np.float32
W = cs.from_dense(np.arange(1, 13, dtype=f4).reshape(3, 4))
W8 = cs.from_dense(np.arange(1, 13, dtype=np.int8).reshape(3, 4))
X = np.ones((4, 2), f4)


class Refuses:
    """Of a device that NumPy cannot read."""

    def __dlpack__(self, **options):
        raise BufferError("on another device")

    def __dlpack_device__(self):
        return (2, 0)


def read_only():
    array = np.zeros((3, 2), f4)
    array.flags.writeable = False
    return array


def repeating():
    return np.lib.stride_tricks.as_strided(np.zeros(2, f4), (3, 2), (0, 4))


matmul, linear, sampled = cs.matmul, cs.linear, cs.sampled_matmul

BAD_OPERANDS = {
    "vector too long": (lambda: matmul(W, np.ones(5, f4)), ValueError, r"\(5,\) has 5 entries.*\(3, 4\) expects 4"),
    "vector too short": (lambda: matmul(W, np.ones(3, f4)), ValueError, r"has 3 entries.*expects 4"),
    "vector from the left": (lambda: matmul(np.ones(4, f4), W), ValueError, r"has 4 columns.*\(3, 4\) expects 3"),
    "rows": (lambda: matmul(W, np.ones((3, 2), f4)), ValueError, r"\(3, 2\) has 3 rows.*\(3, 4\) expects 4"),
    "columns": (lambda: matmul(np.ones((2, 4), f4), W), ValueError, r"\(2, 4\) has 4 columns.*expects 3"),
    "transposed": (lambda: matmul(W.T, X), ValueError, r"has 4 rows.*\(4, 3\) expects 3"),
    "leading axes": (lambda: matmul(W, np.ones((4, 3, 2), f4)), ValueError, r"\(4, 3, 2\) has 3 rows.*expects 4"),
    "linear": (lambda: linear(X, W), ValueError, r"\(4, 2\) has 2 features.*\(3, 4\) expects 4"),
    "linear, vector": (lambda: linear(np.ones(3, f4), W), ValueError, r"has 3 features.*expects 4"),
    "linear, sparse": (lambda: linear(scipy.sparse.eye_array(3), W), ValueError, r"has 3 features.*expects 4"),
    "scalar": (lambda: matmul(W, 2.0), ValueError, "scalar"),
    "0-d array": (lambda: matmul(W, np.array(2.0)), ValueError, "scalar"),
    "linear, scalar": (lambda: linear(1.0, W), ValueError, "scalar"),
    "sparse shapes": (lambda: matmul(W, scipy.sparse.eye_array(3)), ValueError, r"\(3, 4\) and \(3, 3\).*4.*3"),
    "two matrices": (lambda: matmul(W, W), ValueError, r"\(3, 4\) and \(3, 4\).*4.*3"),
    "ragged list": (lambda: matmul(W, [[1], [1, 2], [3], [4]]), ValueError, "inhomogeneous"),
    "long complex": (lambda: matmul(W, X.astype("G")), TypeError, r"(float128|longdouble).*astype"),
    "complex vector": (lambda: matmul(np.ones(4, complex), W), ValueError, r"has 4 columns.*expects 3"),
    "long double": (lambda: matmul(W, X.astype("g")), TypeError, "float128|longdouble"),
    "text": (lambda: matmul(W, np.array(["a"] * 4)), TypeError, "<U1"),
    "bytes": (lambda: matmul(W, np.array([b"a"] * 4)), TypeError, r"\|S1"),
    "dates": (lambda: matmul(W, np.zeros(4, "M8[s]")), TypeError, "datetime64"),
    "spans of time": (lambda: matmul(W, np.zeros(4, "m8[s]")), TypeError, "timedelta64"),
    "records": (lambda: matmul(W, np.zeros(4, [("a", f4)])), TypeError, "dtype"),
    "objects": (lambda: matmul(W, np.array([None] * 4)), TypeError, "not an array of numbers"),
    "None": (lambda: matmul(W, None), TypeError, "not an array of numbers.*NoneType"),
    "dict": (lambda: matmul(W, {}), TypeError, "not an array of numbers.*dict"),
    "another device": (lambda: matmul(W, Refuses()), (BufferError, TypeError, RuntimeError), ""),
    "no packed matrix": (lambda: matmul(X, X), TypeError, "ndarray and ndarray.*from_dense"),
    "sparse alone": (lambda: matmul(scipy.sparse.eye_array(4), X), TypeError, "dia_array and ndarray.*from_scipy"),
    "linear, swapped": (lambda: linear(W, X), TypeError, r"ndarray.*linear\(x, W, bias\)"),
    "linear, None": (lambda: linear(X, None), TypeError, "NoneType"),
}

# Arguments besides the operands, for cs.matmul(W, X, ...) of result (3, 2).
BAD_OPTIONS = {
    "bias too long": ({"bias": np.ones(4, f4)}, ValueError, r"\(4,\).*\(3,\)"),
    "bias, one entry": ({"bias": np.ones(1, f4)}, ValueError, r"\(1,\).*\(3,\)"),
    "bias, two axes": ({"bias": np.ones((3, 1), f4)}, ValueError, r"\(3, 1\).*\(3,\)"),
    "bias, as the result": ({"bias": np.ones((3, 2), f4)}, ValueError, r"\(3, 2\).*\(3,\)"),
    "bias, a number": ({"bias": 1.0}, ValueError, r"\(\).*\(3,\)"),
    "bias, complex": ({"bias": np.ones(3, complex)}, TypeError, "complex128.*float32"),
    "bias, text": ({"bias": np.array(["a"] * 3)}, TypeError, "<U1"),
    "bias, objects": ({"bias": [None] * 3}, TypeError, "bias"),
    "activation": ({"activation": "softmax"}, ValueError, "'softmax'.*'relu'"),
    "activation, case": ({"activation": "ReLU"}, ValueError, "'ReLU'.*'relu'"),
    "activation, function": ({"activation": np.tanh}, ValueError, "tanh.*'relu'"),
    "activation, True": ({"activation": True}, ValueError, "True.*'relu'"),
    "activation, array": ({"activation": np.ones(2)}, ValueError, "activation=.*'relu'"),
    "dtype, complex": ({"dtype": np.complex64}, TypeError, "complex64.*float32"),
    "dtype, integer": ({"dtype": np.int32}, TypeError, "int32.*float32"),
    "dtype, long double": ({"dtype": "g"}, TypeError, "float128|longdouble"),
    "dtype, object": ({"dtype": object}, TypeError, "object"),
    "dtype, nonsense": ({"dtype": "nonsense"}, TypeError, "nonsense"),
}

# Values of `out` for a result of shape (3, 2) and dtype float32.
BAD_OUTPUTS = {
    "rows": (lambda: np.zeros((4, 2), f4), ValueError, r"\(4, 2\).*\(3, 2\)"),
    "columns": (lambda: np.zeros((3, 3), f4), ValueError, r"\(3, 3\).*\(3, 2\)"),
    "transposed": (lambda: np.zeros((2, 3), f4), ValueError, r"\(2, 3\).*\(3, 2\)"),
    "flat": (lambda: np.zeros(6, f4), ValueError, r"\(6,\).*\(3, 2\)"),
    "more axes": (lambda: np.zeros((1, 3, 2), f4), ValueError, r"\(1, 3, 2\).*\(3, 2\)"),
    "wider": (lambda: np.zeros((3, 2)), TypeError, "float64.*float32"),
    "narrower": (lambda: np.zeros((3, 2), np.float16), TypeError, "float16.*float32"),
    "integer": (lambda: np.zeros((3, 2), np.int32), TypeError, "int32.*float32"),
    "swapped bytes": (lambda: np.zeros((3, 2), ">f4"), TypeError, ">f4.*float32"),
    "list": (lambda: [[0.0] * 2] * 3, TypeError, "list"),
    "packed matrix": (lambda: W, TypeError, "ComplementaryMatrix"),
    "read-only": (read_only, ValueError, "read-only"),
    "repeating": (repeating, ValueError, r"\(3, 2\).*\(0, 4\)"),
}


def check(call, error, words):
    with pytest.raises(error, match=f"(?s){words}") as caught:
        call()
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("kind", BAD_OPERANDS)
def test_operands(kind):
    check(*BAD_OPERANDS[kind])


@pytest.mark.parametrize(
    "call",
    [
        lambda V: matmul(V, np.ones(4, np.int32), activation="tanh"),
        lambda V: linear(np.ones(4, np.int8), V, activation="tanh"),
        lambda V: matmul(V, cs.kwta(np.ones(4, np.int64), 2), activation="tanh"),
        lambda V: matmul(V, V.T, activation="tanh"),
        lambda V: V.plan(2, activation="tanh"),
    ],
)
def test_activations_of_integers(call, monkeypatch):
    """Whatever activations floats have: integers have ReLU, and refuse the others in words."""
    monkeypatch.setattr(_core, "activations", lambda: ("relu", "tanh"))
    check(lambda: call(W.astype(np.int64)), TypeError, "'tanh' exists for float products.*int64.*'relu'")


def outputs():
    """(call with out, out, an operand that it reads) for the fast path, the converting path, both sides and linear."""
    XT = np.ascontiguousarray(X.T)
    return (
        (lambda out, **k: matmul(W, X, out=out, **k), (3, 2)),
        (lambda out, **k: matmul(W, X.astype(">f4"), out=out, **k), (3, 2)),
        (lambda out, **k: matmul(X.T, W.T, out=out, **k), (2, 3)),
        (lambda out, **k: linear(XT, W, out=out, **k), (2, 3)),
        (lambda out, **k: matmul(W, scipy.sparse.csr_array(X), out=out, **k), (3, 2)),
        (lambda out, **k: matmul(W, X[None], out=out, **k), (1, 3, 2)),
    )


@pytest.mark.parametrize("kind", BAD_OPTIONS)
def test_options(kind):
    """With and without `out`, which stays as it was."""
    options, error, words = BAD_OPTIONS[kind]
    for call, shape in outputs():
        check(lambda call=call: call(None, **options), error, words)
        out = np.full(shape, 7, f4)
        check(lambda call=call, out=out: call(out, **options), error, words)
        assert_array_equal(out, np.full(shape, 7))


@pytest.mark.parametrize("kind", BAD_OUTPUTS)
def test_outputs(kind):
    make, error, words = BAD_OUTPUTS[kind]
    for call in (outputs()[0][0], outputs()[1][0], outputs()[4][0]):
        out = make()
        before = np.array(out.toarray() if out is W else out).tobytes()
        check(lambda call=call, out=out: call(out), error, words)
        check(lambda call=call, out=out: call(out, bias=np.ones(3, f4), activation="relu"), error, words)
        assert np.array(out.toarray() if out is W else out).tobytes() == before


def test_out_of_the_dtype_that_dtype_chooses():
    out = np.full((3, 2), 7, f4)
    check(lambda: matmul(W, X, out=out, dtype=np.float64), TypeError, "float32.*float64")
    check(lambda: matmul(W8, X.astype(np.int8), out=out.astype(np.int8)), TypeError, "int8.*int32")
    assert_array_equal(out, np.full((3, 2), 7))


def test_out_that_overlaps_an_input():
    """Any overlap is refused, whichever way both are laid out; neighbours in memory are not."""
    memory = np.arange(64, dtype=f4)
    kept = memory.copy()
    x = memory[8:16].reshape(4, 2)
    for start in range(3, 16):
        out = memory[start : start + 6].reshape(3, 2)
        overlaps = start + 6 > 8
        if overlaps:
            check(lambda out=out: matmul(W, x, out=out), ValueError, "shares memory")
            bias = memory[start + 2 : start + 5]
            check(lambda out=out, bias=bias: matmul(W, X, out=out, bias=bias), ValueError, "shares memory")
            assert_array_equal(memory, kept)
    for start in (2, 16):
        out = memory[start : start + 6].reshape(3, 2)
        assert_array_equal(matmul(W, x, out=out), matmul(W, kept[8:16].reshape(4, 2)))
        memory[...] = kept
    check(lambda: matmul(W, x, out=memory[8:20:2].reshape(3, 2)), ValueError, "shares memory")
    check(lambda: matmul(W, x[::-1], out=memory[15:9:-1].reshape(3, 2)), ValueError, "shares memory")
    square = cs.from_dense(np.eye(4, dtype=f4))
    check(lambda: matmul(square, x, out=x), ValueError, "shares memory")
    check(lambda: linear(x.T, square, out=x.T), ValueError, "shares memory")
    assert_array_equal(memory, kept)


def test_out_that_overlaps_a_sparse_input():
    sparse = scipy.sparse.csr_array(np.ones((4, 2), f4))
    out = sparse.data[:6].reshape(3, 2)
    check(lambda: matmul(W, sparse, out=out), ValueError, "shares memory")
    assert_array_equal(sparse.data, np.ones(8))


def test_interleaved_out_is_allowed():
    memory = np.arange(16, dtype=f4)
    x, out = memory[:8:2], memory[1:7:2]
    wanted = matmul(W, x.copy())
    assert_array_equal(matmul(W, x, out=out), wanted)
    assert_array_equal(memory[::2], np.arange(0, 16, 2))


SAMPLED = {
    "rows of P": (lambda: sampled(W, np.ones((2, 5)), np.ones((5, 4))), ValueError, r"\(2, 5\).*\(5, 4\).*\(3, 4\)"),
    "columns of Q": (lambda: sampled(W, np.ones((3, 5)), np.ones((5, 3))), ValueError, r"\(5, 3\).*\(3, 4\)"),
    "inner": (lambda: sampled(W, np.ones((3, 5)), np.ones((4, 4))), ValueError, r"\(3, 5\).*\(4, 4\)"),
    "vectors": (lambda: sampled(W, np.ones(3), np.ones(4)), ValueError, r"\(3,\).*\(4,\)"),
    "three axes": (lambda: sampled(W, np.ones((1, 3, 5)), np.ones((5, 4))), ValueError, r"\(1, 3, 5\)"),
    "complex": (lambda: sampled(W, np.ones((3, 5), complex), np.ones((5, 4))), TypeError, "complex128"),
    "text": (lambda: sampled(W, np.full((3, 5), "a"), np.ones((5, 4))), TypeError, "<U1"),
    "None": (lambda: sampled(W, None, np.ones((5, 4))), TypeError, "P is not an array"),
    "no packed matrix": (lambda: sampled(X, X, X), TypeError, "ndarray"),
}


@pytest.mark.parametrize("kind", SAMPLED)
def test_sampled(kind):
    check(*SAMPLED[kind])


def test_stored_dtypes_without_a_product():
    """A long double can be stored; its products name what would work."""
    stored = cs.from_dense(np.ones((3, 4), np.longdouble))
    for call in (lambda: matmul(stored, X), lambda: stored.plan(), lambda: linear(X.T, stored)):
        check(call, TypeError, "W has dtype float128|W has dtype longdouble")
    assert matmul(stored.astype(np.float64), X).dtype == np.float64


@pytest.mark.parametrize("shape", [(3, 2**31), (3, 2**40)])
def test_matrices_too_large_for_products(shape):
    huge = cs.from_coo(np.ones(2, f4), ([0, 2], [5, shape[1] - 1]), shape)
    zeros = np.lib.stride_tricks.as_strided(np.zeros(1, f4), (shape[1],), (0,))
    for call in (lambda: matmul(huge, zeros), lambda: matmul(np.ones(3, f4), huge), lambda: huge.plan()):
        check(call, ValueError, rf"\({shape[0]}, {shape[1]}\).*2\*\*31")


def test_unknown_isa_level():
    check(lambda: _core.set_isa("sse9"), ValueError, "'sse9'.*portable")
    check(lambda: _core.set_isa(""), ValueError, "portable")


@pytest.mark.parametrize("n", [-1, 1.5, "1", None, 2**70])
def test_prepare(n):
    with pytest.raises((ValueError, TypeError), match=f"n={n!r}|{type(n).__name__}"):
        W.prepare(n=n)


def test_an_error_leaves_the_matrix_as_it_was():
    for (call, error, words), _ in itertools.product(BAD_OPERANDS.values(), range(2)):
        check(call, error, words)
    assert_array_equal(W.toarray(), np.arange(1, 13, dtype=f4).reshape(3, 4))
    assert_array_equal(matmul(W, X), W.toarray() @ X)
