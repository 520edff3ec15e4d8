# SPDX-License-Identifier: BSD-3-Clause
"""ComplementaryMatrix as one of scipy's sparse arrays: what it derives from, shows, computes, and refuses with words.

Whole lists of calls are in test_scipy_calls.py, suites of other packages in tests/peers.
"""

import datetime
import io
import operator
import pickle
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
import strategies as own
from foreign import Foreign
from hypothesis import assume, given
from hypothesis import strategies as st

import complsparse as cs

D = np.array([[1.0, 0, 2], [0, 3, 0]])


@pytest.fixture(params=[False, True], ids=["W", "transpose"])
def pair(request):
    """A csr_array and the same matrix as a ComplementaryMatrix, stored as it is or transposed."""
    A = sp.random_array((24, 40), density=0.15, rng=3, format="csr")
    return A, cs.from_scipy(A.T).T if request.param else cs.from_scipy(A)


def test_it_is_a_sparse_array(pair):
    A, W = pair
    assert sp.issparse(W)
    assert isinstance(W, sp.sparray)
    assert not sp.isspmatrix(W)
    assert cs.iscompl(W)
    assert W.format == "cmp"
    with pytest.raises(TypeError, match="unhashable"):
        hash(W)
    for name in ("csr", "csc", "coo", "bsr", "dia", "dok", "lil"):
        made = getattr(sp, f"{name}_array")(W)
        assert made.format == name
        np.testing.assert_array_equal(made.toarray(), A.toarray())
        np.testing.assert_array_equal(W.asformat(name).toarray(), A.toarray())


def test_arrays_of_csr(pair):
    A, W = pair
    for name in ("data", "indices", "indptr"):
        array, expected = getattr(W, name), getattr(A, name)
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == expected.dtype
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
        if name != "indptr":
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True
        with pytest.raises(AttributeError, match="immutable"):
            setattr(W, name, expected)
    np.testing.assert_array_equal(W.toarray(), A.toarray())
    shared = sp.csr_array((W.data, W.indices, W.indptr), shape=W.shape)
    assert np.shares_memory(shared.data, W._data) or W._transposed
    assert W.has_sorted_indices
    assert W.has_canonical_format


@pytest.mark.parametrize("form", ["tocsr", "tocsc", "tocoo", "tobsr", "todia"])
@pytest.mark.parametrize("copy", [False, True])
def test_conversions_are_the_callers_own(pair, form, copy):
    A, W = pair
    made = getattr(W, form)(copy=copy)
    made *= 2
    np.testing.assert_array_equal(made.toarray(), 2 * A.toarray())
    np.testing.assert_array_equal(W.toarray(), A.toarray())


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_conversions_can_be_edited(pair, form):
    A, W = pair
    made = W.asformat(form)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sp.SparseEfficiencyWarning)
        made[0, 0] = 5.0
        made.setdiag(7.0, 1)
    made.data[:] = 1.0
    made.eliminate_zeros()
    assert made.has_sorted_indices
    np.testing.assert_array_equal(W.toarray(), A.toarray())


@pytest.mark.parametrize(
    "edit",
    [
        lambda W: operator.setitem(W, (0, 0), 1.0),
        lambda W: W.setdiag(1.0),
        lambda W: W.resize(3, 3),
        lambda W: W.eliminate_zeros(),
    ],
)
def test_edits_in_place_are_refused(pair, edit):
    A, W = pair
    with pytest.raises(NotImplementedError, match=r"packing is fixed.*W\.tocsr\(\)"):
        edit(W)
    W.sum_duplicates()
    W.sort_indices()
    np.testing.assert_array_equal(W.toarray(), A.toarray())


def test_refusals_of_scipy_say_what_to_do(pair):
    _, W = pair
    square = W @ W.T
    from scipy.sparse.linalg import expm, inv

    V = cs.from_scipy(square)
    for call in (
        lambda: sp.save_npz(io.BytesIO(), V),
        lambda: expm(V),
        lambda: inv(V),
        lambda: V.tocsr().asformat(V.format),
    ):
        with pytest.raises(
            (NotImplementedError, ValueError), match=r"format cmp \(use W\.tocsr\(\)\)|Format cmp \(use W"
        ):
            call()
    file = io.BytesIO()
    sp.save_npz(file, V.tocsr())
    file.seek(0)
    np.testing.assert_array_equal(sp.load_npz(file).toarray(), V.toarray())


# --- equal patterns keep the packing ----------------------------------------------------------------------------------

real = st.sampled_from([np.bool_, np.int8, np.uint16, np.int64, np.float16, np.float32, np.float64])
OPERATIONS = {
    operator.add: np.add,
    operator.sub: np.subtract,
    operator.mul: np.multiply,
    cs.ComplementaryMatrix.multiply: np.multiply,
}


@given(
    own.scipy_matrices(), real, real, st.sampled_from([*OPERATIONS]), st.booleans(), st.randoms(use_true_random=False)
)
def test_arithmetic_on_one_pattern(S, first, second, operate, transpose, random):
    """On the packing of the left operand, whichever way round both are stored: NumPy's result of the stored values."""
    assume(operate is not operator.sub or first != np.bool_)
    rng = np.random.default_rng(random.getrandbits(32))
    base = cs.from_scipy(S)
    a, b = (own.draw_values(rng, np.dtype(dtype), base.nnz) for dtype in (first, second))
    W = base.with_values(a)
    same = base.with_values(b)
    others = [
        same,
        cs.ComplementaryMatrix(same, copy=True),
        cs.ComplementaryMatrix(same, strategy="split"),
        cs.ComplementaryMatrix(same.T).T,
    ]
    with np.errstate(all="ignore"):
        expected = OPERATIONS[operate](a, b)
        for V in others:
            found = operate(W.T, V.T).T if transpose else operate(W, V)
            assert cs.iscompl(found)
            assert found._packing is W._packing
            assert found.dtype == expected.dtype
            assert own.same_bits(found.data, expected)


def test_a_training_step_keeps_the_packing():
    """W - lr * G and W += ... of a gradient that was sampled at W."""
    rng = np.random.default_rng(0)
    W = cs.random((32, 48), density=0.1, rng=rng)
    G = cs.sampled_matmul(W, rng.random((32, 3), np.float32), rng.random((3, 48), np.float32))
    step = W - 0.5 * G
    assert step._packing is W._packing
    np.testing.assert_allclose(step.toarray(), W.toarray() - 0.5 * G.toarray(), rtol=1e-6)
    V = W
    V += G
    V -= W * 2
    V *= G
    V /= 4
    assert V._packing is W._packing
    np.testing.assert_allclose(V.toarray(), (G.toarray() - W.toarray()) * G.toarray() / 4, rtol=1e-5, atol=1e-9)
    assert (W - W).nnz == W.nnz  # zeros stay stored: the pattern is the packing's


def test_other_patterns_give_csr(pair):
    A, W = pair
    B = A.copy()
    B.indices = np.roll(A.indices, 1)
    V = cs.from_scipy(sp.csr_array(B))
    for operate in (operator.add, operator.sub, operator.mul):
        found = operate(W, V)
        assert isinstance(found, sp.csr_array)
        np.testing.assert_array_equal(found.toarray(), operate(A, sp.csr_array(B)).toarray())
    # The same columns one after another, in other rows.
    first, second = np.array([[1.0, 1, 0], [0, 0, 1]]), np.array([[1.0, 0, 0], [0, 1, 1]])
    found = cs.from_dense(first) + cs.from_dense(second)
    np.testing.assert_array_equal(found.toarray(), first + second)
    with pytest.raises(ValueError):
        W + W.T
    with pytest.raises(TypeError):
        cs.from_dense(np.eye(2, dtype=bool)) - np.eye(2, dtype=bool)


# --- scalars ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scalar", [2, 2.5, True, np.int8(3), np.float32(0.5), np.array(4.0), np.longdouble(2)], ids=repr
)
def test_scalars(scalar):
    W = cs.from_dense(D)
    for found in (W * scalar, scalar * W, W.dot(scalar), W.multiply(scalar), np.multiply(W, scalar), np.dot(W, scalar)):
        assert found._packing is W._packing
        assert own.same_bits(found.toarray(), np.asarray(D * scalar))
        pickle.loads(pickle.dumps(found))


@pytest.mark.parametrize(
    ("scalar", "name"),
    [
        (Fraction(1, 3), "Fraction"),
        (Decimal(2), "Decimal"),
        (np.timedelta64(1, "D"), "timedelta64"),
        (np.datetime64("2020-01-01"), "datetime64"),
        (datetime.timedelta(1), "timedelta"),
        ("a", "str"),
        (b"a", "bytes"),
        (np.str_("a"), "<U1"),
        (np.void(b"1234"), "V4"),
        (None, "NoneType"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [np.float64, np.int32])
def test_what_is_no_number_does_not_scale(scalar, name, dtype):
    W = cs.from_dense(D.astype(dtype))
    for call in (
        lambda: W * scalar,
        lambda: scalar * W,
        lambda: W / scalar,
        lambda: W.dot(scalar),
        lambda: W.multiply(scalar),
        lambda: np.multiply(W, scalar),
        lambda: np.dot(W, scalar),
    ):
        with pytest.raises(TypeError, match=name):
            call()


def test_numbers_other_than_zero_are_not_added():
    """As scipy's own; the words say what to do."""
    W = cs.from_dense(D)
    for call in (lambda: W + 1, lambda: 1 + W, lambda: W - 1, lambda: np.add(W, 1.5), lambda: np.subtract(W, 1)):
        with pytest.raises(NotImplementedError, match=r"nonzero scalar.*pass W.toarray\(\)"):
            call()
    for zero in (W + 0, 0 + W, W - 0):
        np.testing.assert_array_equal(zero.toarray(), D)
    with pytest.raises((NotImplementedError, ValueError), match=r"W.toarray\(\)"):
        np.testing.assert_allclose(W, D)


def test_memory_is_read_as_an_array():
    W = cs.from_dense(D)
    numbers = np.array([1.0, 10, 100])
    for view in (memoryview(numbers), memoryview(numbers[::-1])[::-1]):
        np.testing.assert_array_equal((W * view).toarray(), D * numbers)
        np.testing.assert_array_equal(W @ view, D @ numbers)
    np.testing.assert_array_equal((W * memoryview(np.ones((2, 1)))).toarray(), D)
    for bad in (memoryview(np.empty(0)), memoryview(np.ones(7))):
        with pytest.raises(ValueError):
            W * bad


def test_new_values_are_checked():
    W = cs.from_dense(D)
    for bad, error in (
        (np.ones(2), ValueError),
        (np.ones((3, 1)), ValueError),
        (np.ones(3, object), TypeError),
        (np.ones(3, "m8[s]"), TypeError),
    ):
        with pytest.raises(error):
            W._with_stored_values(bad)


# --- complex activations ----------------------------------------------------------------------------------------------


@given(
    own.triplets(dtypes=st.sampled_from([np.int8, np.int64, np.float16, np.float32, np.float64])),
    st.sampled_from([np.complex64, np.complex128, ">c16"]),
    st.sampled_from(["W @ X", "X @ W", "linear"]),
    st.sampled_from([(), (1,), (5,), (2, 3)]),
    st.sampled_from([None, "real", "complex"]),
    st.randoms(use_true_random=False),
)
def test_complex_activations(case, dtype, form, batch, bias, random):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        W = cs.ComplementaryMatrix(case[0], shape=case[1])
    W = W.with_values(np.arange(1, W.nnz + 1).astype(W.dtype) % 7)
    rng = np.random.default_rng(random.getrandbits(32))
    inner, outer = W.shape if form == "X @ W" else W.shape[::-1]
    if form == "W @ X":
        shape = (*batch[:-1], inner, *batch[-1:])
    else:
        shape = (*batch, inner)
    x = (rng.integers(-9, 9, shape) + 1j * rng.integers(-9, 9, shape)).astype(dtype)
    dense = W.toarray().astype(float)
    expected = dense @ x if form == "W @ X" else x @ (dense if form == "X @ W" else dense.T)
    offset = None
    if bias:
        offset = rng.integers(-9, 9, outer).astype(np.float32) + (1j if bias == "complex" else 0)
        offset = offset.astype(np.complex64 if bias == "complex" else np.float32)
        expected = expected + (offset[:, None] if form == "W @ X" and batch else offset)
    call = {
        "W @ X": lambda **k: cs.matmul(W, x, bias=offset, **k),
        "X @ W": lambda **k: cs.matmul(x, W, bias=offset, **k),
        "linear": lambda **k: cs.linear(x, W, offset, **k),
    }[form]
    found = call()
    assert found.dtype == np.result_type(W.dtype, x.dtype)
    np.testing.assert_array_equal(found, expected)  # small integers: exact
    out = np.full(expected.shape, 7j, dtype=found.dtype)
    assert call(out=out) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(call(dtype=np.complex128), expected)
    if not bias and form != "linear":
        operands = (W, x) if form == "W @ X" else (x, W)
        np.testing.assert_array_equal(operator.matmul(*operands), expected)
        np.testing.assert_array_equal(np.matmul(*operands), expected)


def test_complex_activations_refuse():
    W = cs.from_dense(D.astype(np.float32))
    x = np.ones(3, np.complex64)
    for options, error, words in (
        ({"activation": "relu"}, TypeError, "relu.*complex64"),
        ({"dtype": np.float32}, TypeError, "float32.*complex"),
        ({"out": np.empty(2, np.float32)}, TypeError, "complex64"),
        ({"out": np.empty(3, np.complex64)}, ValueError, r"\(3,\).*\(2,\)"),
        ({"out": x[:2]}, ValueError, "shares memory"),
        ({"bias": np.ones(3, complex)}, ValueError, r"\(3,\).*\(2,\)"),
    ):
        with pytest.raises(error, match=words):
            cs.matmul(W, x, **options)
    with pytest.raises(TypeError, match=r"longdouble|float128"):
        cs.matmul(W, np.ones(3, np.clongdouble))
    with pytest.raises(ValueError, match="expects 3"):
        cs.matmul(W, np.ones(4, complex))


def test_entries_that_are_not_stored_touch_no_complex_number():
    x = np.array([1 + 1j, np.inf + 1j * np.nan, 2])
    np.testing.assert_array_equal(cs.from_dense(D) @ x, [5 + 1j, np.inf + 1j * np.nan])
    np.testing.assert_array_equal(cs.from_dense(D[:1]) @ x, [5 + 1j])


# --- sparse operands of one axis, and NumPy's functions ---------------------------------------------------------------


@pytest.mark.parametrize("form", ["coo", "csr", "dok"])
def test_sparse_vectors(pair, form):
    A, W = pair
    rng = np.random.default_rng(1)
    v, u = (rng.random(n) * (rng.random(n) < 0.4) for n in W.shape[::-1])
    s, t = (sp.coo_array(vector).asformat(form) for vector in (v, u))
    for found, expected in ((W @ s, A @ v), (t @ W, u @ A), (W.dot(s), A @ v), (np.matmul(t, W), u @ A)):
        assert sp.issparse(found)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found.toarray(), expected)
    for found, expected in ((cs.matmul(W, s), A @ v), (cs.matmul(t, W), u @ A), (cs.linear(s, W), A @ v)):
        assert type(found) is np.ndarray
        np.testing.assert_allclose(found, expected)
    for call in (lambda: W @ t, lambda: cs.matmul(W, t), lambda: cs.linear(t, W), lambda: cs.matmul(s, W)):
        with pytest.raises(ValueError, match=r"\(24,\)|\(40,\)"):
            call()


def test_numpy_functions(pair):
    A, W = pair
    dense = A.toarray()
    x = np.arange(40.0)
    for found, expected in (
        (np.linalg.norm(W), np.linalg.norm(dense)),
        (np.linalg.norm(W, 1), np.linalg.norm(dense, 1)),
        (np.linalg.norm(W, axis=1), np.linalg.norm(dense, axis=1)),
        (np.dot(W, x), dense @ x),
        (np.dot(x, W.T), x @ dense.T),
        (np.dot(2, W), 2 * dense),
        (np.dot(W, x, out=np.empty(24)), dense @ x),
        (np.inner(W, x), dense @ x),
        (np.inner(x, W), dense @ x),
        (np.inner(W, W), dense @ dense.T),
        (np.round(W, 1), np.round(dense, 1)),
        (np.around(W, decimals=2, out=np.empty(W.shape)), np.round(dense, 2)),
        (np.sum(W, axis=0), dense.sum(0)),
        (np.trace(W), np.trace(dense)),
        (np.diagonal(W, 1), np.diagonal(dense, 1)),
        (np.count_nonzero(W, axis=1), np.count_nonzero(dense, axis=1)),
        (np.transpose(W), dense.T),
        (np.copy(W), dense),
        (np.power(W, 3), dense**3),
        (np.square(W), dense**2),
        (np.maximum(W, A[::-1]), np.maximum(dense, dense[::-1])),
    ):
        np.testing.assert_allclose(found.toarray() if sp.issparse(found) else found, expected)
    assert np.shape(W) == W.shape
    assert np.result_type(W, np.float32) == np.float64
    assert not np.iscomplexobj(W)


def test_array_equal(pair):
    A, W = pair
    zeros = W.with_values(np.where(np.arange(W.nnz) == 3, 0, W.data))
    without = zeros.tocsr()
    without.eliminate_zeros()
    for other in (A, A.toarray(), W, W.T.copy().T, cs.from_scipy(A)):
        assert np.array_equal(W, other) is True
        assert np.array_equal(other, W) is True
    assert np.array_equal(zeros, without)
    assert np.array_equal(cs.from_scipy(without), zeros)
    for other in (W * 2, zeros, A[:5], A.toarray()[:5], W.T):
        assert np.array_equal(W, other) is False
    nan = W.with_values(np.full(W.nnz, np.nan))
    assert not np.array_equal(nan, nan)
    for other in (nan, nan.toarray()):
        assert np.array_equal(nan, other, equal_nan=True)


@pytest.mark.parametrize(
    "function",
    [
        np.ravel,
        np.zeros_like,
        np.std,
        np.cumsum,
        np.sort,
        np.linalg.det,
        lambda W: np.vstack([W, W]),
        lambda W: np.save(io.BytesIO(), W),
    ],
)
def test_numpy_functions_without_an_answer_say_so(pair, function):
    with pytest.raises(TypeError, match=r"numpy.*ComplementaryMatrix: pass W\.toarray\(\), or W\.tocsr\(\)"):
        function(pair[1])


def test_other_array_classes_get_their_turn(pair):
    class Theirs:
        def __array_function__(self, func, types, args, kwargs):
            return "theirs"

    assert np.dot(pair[1], Theirs()) == "theirs"


def test_operators_of_scipys_classes_on_the_left(pair):
    """Its arrays multiply entry by entry with `*`, its matrices as `@`; never an np.matrix."""
    A, W = pair
    dense = A.toarray()
    for found, expected in (
        (sp.csr_array(A) * W, dense * dense),
        (sp.csr_matrix(A.T) * W, dense.T @ dense),
        (sp.csc_matrix(A.T) @ W, dense.T @ dense),
        (sp.csr_array(A.T) @ W, dense.T @ dense),
        (sp.coo_matrix(A) + W, 2 * dense),
        (sp.csr_array(A) - W, 0 * dense),
        (sp.csr_matrix(A).multiply(W), dense * dense),
        (sp.csr_matrix(A).maximum(W * 2), 2 * dense),
    ):
        assert sp.issparse(found)
        np.testing.assert_allclose(found.toarray(), expected)
    M = dense.view(np.matrix)
    for found in (M.T @ W, W @ M.T, W + M, M - W):
        assert type(found) is np.ndarray


def test_tensors_stand_beside_operators(pair):
    A, W = pair
    other = np.random.default_rng(0).random(W.shape)
    for operate in (operator.mul, operator.add, operator.sub, operator.lt):
        found, expected = (operate(M, B) for M, B in ((W, Foreign(other)), (A, other)))
        assert sp.issparse(found) == sp.issparse(expected)
        np.testing.assert_array_equal(*(M.toarray() if sp.issparse(M) else M for M in (found, expected)))


def test_winners_of_a_matrix(pair):
    A, W = pair
    for axis in (0, 1):
        np.testing.assert_array_equal(cs.Winners.from_scipy(W, axis=axis).toarray(), A.toarray())


@pytest.mark.parametrize("dtype", [np.float16, "bfloat16"])
def test_16_bit_floats_reach_scipy_as_float32(dtype):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    W = cs.from_dense(D, dtype=dtype)
    for made in (
        sp.csr_array(W),
        sp.csc_matrix(W),
        sp.vstack([W, W]),
        W.tocoo(),
        W[0:1],
        sp.tril(W),
        W.sum(0),
        W.mean(1),
    ):
        assert made.dtype == np.float32
    assert W.data.dtype == W.sqrt().dtype == W.power(2).dtype == W.dtype
    np.testing.assert_array_equal(sp.csr_array(W).toarray(), D)
