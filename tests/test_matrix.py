# SPDX-License-Identifier: BSD-3-Clause
"""The matrix object: its packing, its operators, and that nothing can change it."""

import copy
import functools
import itertools
import operator
import pickle
import sys
import threading
import warnings
import weakref

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse as sp
import strategies as own
from hypothesis import assume, given, settings
from scipy.sparse.linalg import LinearOperator, cg, gmres

import complsparse as cs
from complsparse._matrix.matrix import _restore

STRATEGIES = ("auto", "strict", "split")


@pytest.fixture
def A():
    return sp.random_array((24, 40), density=0.15, rng=np.random.default_rng(3), format="csr")


@pytest.fixture
def W(A):
    return cs.from_scipy(A)


# --- packing ----------------------------------------------------------------------------------------------------------


def unpack(W):
    """The matrix of the paper's form: every slot is given to the member that owns it."""
    values, kernel_ids = W.values, W.kernel_ids
    rows, cols = W._packing.shape
    dense, owners = np.zeros((rows, cols), dtype=W.dtype), np.zeros((rows, cols), dtype=int)
    sets, columns = np.nonzero(kernel_ids != cs.no_kernel)
    owner = W.row_order[W.set_ptr[sets] + kernel_ids[sets, columns]]
    assert (kernel_ids[sets, columns] < np.diff(W.set_ptr)[sets]).all()
    dense[owner, columns] = values[sets, columns]
    np.add.at(owners, (owner, columns), 1)
    assert not values[kernel_ids == cs.no_kernel].any()
    return dense, owners


@given(own.patterns(), st.sampled_from(STRATEGIES), st.sampled_from(own.DTYPES))
def test_unpacking_gives_the_matrix_back(mask, strategy, dtype):
    rng = np.random.default_rng(0)
    places = np.nonzero(mask)
    W = cs.from_coo(own.draw_values(rng, dtype, len(places[0])), places, mask.shape, strategy=strategy)
    assert W.lower_bound == (mask.sum(axis=0).max(initial=0) if mask.size else 0)
    assert W.n_sets == len(W.set_ptr) - 1
    assert W.slots == W.n_sets * W.shape[1]
    assert W.packing_efficiency == (W.nnz / W.slots if W.slots else 1.0)
    assert W.set_size == np.diff(W.set_ptr).max(initial=0)
    if W.slots > 16 * W.nnz and W.n_sets > 1:
        with pytest.raises(ValueError, match=f"{W.n_sets} x {W.shape[1]} = {W.slots} slots"):
            unpack(W)
        return
    dense, owners = unpack(W)
    assert own.same_bits(dense, W.toarray())
    np.testing.assert_array_equal(owners, mask)  # each entry has one slot, each slot at most one owner


@given(own.patterns())
def test_split_reaches_the_lower_bound(mask):
    W = cs.from_dense(mask, strategy="split")
    assert W.strategy == "split"
    assert W.n_sets == W.lower_bound
    assert cs.from_dense(mask).n_sets == W.lower_bound  # auto takes strict only where it needs no more


@given(own.patterns())
def test_strict_sets_are_a_partition_of_the_rows(mask):
    W = cs.from_dense(mask, strategy="strict")
    assert W.strategy == "strict"
    assert sorted(W.row_order.tolist()) == list(range(len(mask)))
    for start, stop in itertools.pairwise(W.set_ptr):
        assert mask[W.row_order[start:stop]].sum(axis=0).max(initial=0) <= 1


def fewest_sets(mask):
    """Exact search: the smallest partition of at most 12 rows into sets that share no column."""
    clashes = [int("".join("1" if c else "0" for c in row[::-1]), 2) for row in (mask @ mask.T.astype(int) > 0)]
    n = len(mask)
    disjoint = [True] * (1 << n)
    for subset in range(1, 1 << n):
        low = (subset & -subset).bit_length() - 1
        rest = subset & (subset - 1)
        disjoint[subset] = disjoint[rest] and not clashes[low] & rest

    @functools.cache
    def best(rows):
        if not rows:
            return 0
        low = rows & -rows
        others, subset, fewest = rows ^ low, rows ^ low, n
        while True:
            if disjoint[subset | low]:
                fewest = min(fewest, 1 + best(others ^ subset))
            if not subset:
                return fewest
            subset = (subset - 1) & others

    return best((1 << n) - 1)


def test_strict_is_close_to_the_exact_minimum():
    rng = np.random.default_rng(11)
    found = exact = 0
    for density in (0.1, 0.2, 0.35):
        for _ in range(12):
            mask = rng.random((int(rng.integers(2, 11)), 16)) < density
            minimum = fewest_sets(mask)
            W = cs.from_dense(mask, strategy="strict")
            assert max(W.lower_bound, 1) <= minimum <= W.n_sets
            found, exact = found + W.n_sets, exact + minimum
    assert found <= 1.03 * exact


@given(
    st.sampled_from([(1, 1), (2, 1), (4, 1), (1, 2), (2, 2), (4, 4), (8, 2)]),
    st.integers(0, 5),
    st.integers(0, 5),
    own.seeds,
)
def test_blocks_are_found_and_can_be_forced(block, m, k, seed):
    atoms = np.random.default_rng(seed).random((m, k)) < 0.4
    mask = np.kron(atoms, np.ones(block, dtype=bool))
    W = cs.from_dense(mask)
    if mask.any():
        assert W.block[0] % block[0] == 0
        assert W.block[1] % block[1] == 0
    forced = cs.from_dense(mask, block=block, strategy="strict")
    assert forced.block == block
    np.testing.assert_array_equal(forced.toarray(), mask)
    members = np.diff(forced.set_ptr).reshape(-1, block[0]) if mask.size else np.empty((0, block[0]))
    assert (members == members[:, :1]).all()  # a set of members is listed as neighbouring sets of rows


def test_strict_keeps_members_whole():
    mask = np.zeros((8, 8), dtype=bool)
    for member, column in enumerate((0, 2, 4, 6)):
        mask[2 * member : 2 * member + 2, column : column + 2] = True
    W = cs.from_dense(mask, block=(2, 2), strategy="strict")
    assert (W.n_sets, W.set_size, W.packing_efficiency) == (2, 4, 1.0)
    np.testing.assert_array_equal(unpack(W)[0], mask)


def balanced_mask(rng, n_sets, set_size, groups, per_group, tail=0):
    width = set_size * per_group
    mask = np.zeros((n_sets * set_size, groups * width + tail), dtype=bool)
    for s in range(n_sets):
        for g in range(groups):
            owner = rng.permutation(np.repeat(np.arange(set_size), per_group))
            mask[s * set_size + owner, g * width + np.arange(width)] = True
        mask[s * set_size + np.arange(tail), groups * width + np.arange(tail)] = True
    return mask


@pytest.mark.parametrize(("per_group", "tail"), [(1, 0), (1, 3), (2, 0), (4, 0)])
def test_balance_is_recognised(per_group, tail):
    mask = balanced_mask(np.random.default_rng(0), 3, 5, 4, per_group, tail)
    W = cs.from_dense(mask)
    assert W.balanced
    assert W.T.balanced  # of the stored pattern, which both share
    mask[0, np.flatnonzero(mask[0])[0]] = False
    mask[1, np.flatnonzero(mask[1])[-1]] = False
    assert not cs.from_dense(mask).balanced


def test_balance_of_nothing():
    assert not cs.ComplementaryMatrix((4, 4)).balanced
    assert not cs.ComplementaryMatrix((0, 0)).balanced


@pytest.mark.parametrize(("members", "dtype"), [(127, np.int8), (128, np.int8), (129, np.int16), (40_000, np.int32)])
def test_kernel_ids_take_the_smallest_dtype(members, dtype):
    W = cs.ComplementaryMatrix(sp.eye_array(members, format="csr"), strategy="strict")
    assert W.kernel_ids.dtype == dtype
    assert sorted(W.kernel_ids[0].tolist()) == list(range(members))


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (5, 5)])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_empty_matrices(shape, strategy):
    W = cs.ComplementaryMatrix(shape, strategy=strategy, dtype=np.float32)
    assert (W.nnz, W.shape, W.T.shape) == (0, shape, shape[::-1])
    assert W.lower_bound == 0
    assert W.toarray().shape == W.tocsr().shape == W.tocsc().shape == shape
    assert (W @ np.ones((shape[1], 3), np.float32)).shape == (shape[0], 3)
    assert W.values.size == W.kernel_ids.size == W.slots
    assert pickle.loads(pickle.dumps(W)).shape == shape
    assert "stored elements" in str(W)
    assert W._repr_html_()


# --- members ----------------------------------------------------------------------------------------------------------


def test_identity(W, A):
    assert W.format == "cmp"
    assert W.ndim == 2
    assert (W.shape, W.dtype, W.nnz, W.size) == (A.shape, A.dtype, A.nnz, A.nnz)
    assert W.nbytes >= A.data.nbytes + A.indices.nbytes + A.indptr.nbytes
    assert sys.getsizeof(W) >= W.nbytes
    assert cs.iscompl(W)
    assert not cs.iscompl(A)
    assert (
        repr(W)
        == f"<Complementary sparse matrix of dtype 'float64'\n\twith {A.nnz} stored elements and shape (24, 40)>"
    )


def test_transposition_is_a_view(W, A):
    assert W.T.T is W
    assert W.mT.mT is W
    T = W.T
    assert W.T is T
    assert W.transpose() is T
    assert T.shape == (40, 24)
    assert np.shares_memory(T._data, W._data)
    assert T.n_sets == W.n_sets
    np.testing.assert_array_equal(T.toarray(), A.toarray().T)
    np.testing.assert_array_equal(T.tocsr().toarray(), A.toarray().T)
    np.testing.assert_array_equal(T.tocsc().toarray(), A.toarray().T)
    X = np.ones((24, 5))
    np.testing.assert_allclose(T @ X, A.T @ X)
    assert T.tocsr().has_sorted_indices
    with pytest.raises(ValueError, match="axes"):
        W.transpose((0, 1))


def test_transposed_views_do_not_leak(A):
    W = cs.from_scipy(A)
    matrix, view = weakref.ref(W), weakref.ref(W.T)
    assert view() is None
    T = W.T
    del W
    assert matrix() is not None  # kept by its view
    del T
    assert matrix() is None


def test_transposed_view_is_one_for_all_threads(W):
    found, start = [], threading.Barrier(8)

    def look():
        start.wait()
        found.append(W.T)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1


def test_immutability(W):
    for name in ("shape", "dtype", "nnz", "T", "block", "anything"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(W, name, 1)
    with pytest.raises(TypeError, match="immutable"):
        W.__init__(np.eye(2))
    for edit in (lambda: W.__setitem__((0, 0), 1), lambda: W.setdiag(1), lambda: W.resize((1, 1))):
        with pytest.raises(NotImplementedError, match="with_values"):
            edit()
    with pytest.raises(TypeError, match="unhashable"):
        hash(W)


def test_python_protocol(W):
    with pytest.raises(TypeError, match="ambiguous"):
        len(W)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(W)
    assert cs.from_dense([[1]])
    assert not cs.from_dense([[0]])
    assert not cs.from_coo([0.0], ([0], [0]), (1, 1))
    assert copy.copy(W) is W
    assert copy.deepcopy({"W": W})["W"] is W
    assert not np.shares_memory(W.copy()._data, W._data)
    assert W.T.copy().shape == W.T.shape
    assert W.tocmp() is W
    assert np.asarray(W).dtype == object  # as scipy's own: nobody turns it dense by accident
    assert [row.shape for row in W][:2] == [(40,), (40,)]


@given(own.triplets(), st.sampled_from(STRATEGIES), st.booleans(), st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_pickles(case, strategy, transposed, protocol):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        W = cs.ComplementaryMatrix(case[0], shape=case[1], strategy=strategy)
    V = W.T if transposed else W
    back = pickle.loads(pickle.dumps(V, protocol))
    assert own.same_bits(back.toarray(), V.toarray())
    assert (back.shape, back.strategy, back.block) == (V.shape, V.strategy, V.block)
    np.testing.assert_array_equal(back.row_order, V.row_order)
    assert not back._data.flags.writeable


class Derived(cs.ComplementaryMatrix):
    __slots__ = ()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_keep_the_class(W, protocol):
    for V in (Derived(W), Derived(W).T):
        back = pickle.loads(pickle.dumps(V, protocol))
        assert type(back) is Derived
        np.testing.assert_array_equal(back.toarray(), V.toarray())
    assert type(pickle.loads(pickle.dumps(W, protocol))) is cs.ComplementaryMatrix


def test_describe(W, capsys):
    assert W.describe() is None
    text = capsys.readouterr().out
    for word in ("sets", "lower bound", "blocks", "packed in", "micro-kernels", "layouts", "pays off"):
        assert word in text
    assert text.startswith(repr(W))
    assert W._layouts() == []  # describing builds nothing
    cs.random((256, 1024), density=0.2, rng=0).prepare(64).describe()
    assert ", stored" in capsys.readouterr().out
    assert "sets" in str(W)
    W.T.describe()
    cs.ComplementaryMatrix((3, 3)).describe()
    cs.from_dense(np.eye(3, dtype=np.longdouble)).describe()
    cs.from_coo([1.0], ([0], [2**40 - 1]), (5, 2**40)).describe()


def test_html_holds_a_picture(W):
    html = W._repr_html_()
    assert html.count("<rect") > W.nnz // 2
    assert "<svg" in html
    assert "http" not in html


# --- values -----------------------------------------------------------------------------------------------------------


@given(own.triplets(dtypes=st.sampled_from(own.SCIPY_DTYPES), duplicates=False), st.booleans(), own.seeds)
def test_with_values(case, transposed, seed):
    (_, coords), shape = case
    rng = np.random.default_rng(seed)
    W = cs.from_coo(np.ones(len(coords[0])), coords, shape)
    V = W.T if transposed else W
    pattern = V.tocsr()
    values = own.draw_values(rng, np.float32, V.nnz)
    for given_ in (values, sp.csr_array((values, pattern.indices, pattern.indptr), shape=V.shape)):
        new = V.with_values(given_)
        assert own.same_bits(new.tocsr().data, values)
        np.testing.assert_array_equal(new.tocsr().indices, pattern.indices)
        assert new._packing is W._packing
        assert new.T.T is new
    again = V.with_values(V.with_values(values))
    assert own.same_bits(again.tocsr().data, values)
    dense = V.with_values(values).toarray()
    assert own.same_bits(V.with_values(dense).toarray(), dense)


REVALUED = {
    "unstructured": lambda: sp.random_array((37, 70), density=0.1, rng=0),
    "complementary": lambda: cs.complementary_mask((64, 128), set_size=16, rng=0),
    "rows by eights": lambda: np.kron(sp.random_array((8, 64), density=0.2, rng=0).toarray(), np.ones((8, 1))),
    "columns that nobody reads": lambda: sp.random_array((300, 2000), density=0.002, rng=0),
    "rows of blocks": lambda: sp.random_array((20, 9000), density=0.01, rng=0),
    "empty": lambda: np.zeros((5, 7)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int32, np.int64])
@pytest.mark.parametrize("name", REVALUED)
def test_products_of_values_that_come_and_go(name, dtype, isa):
    """They take over what was found out about the pattern, and from the second change on refill layouts: in the end
    everything is as for a matrix that never had other values."""
    rng = np.random.default_rng(0)
    W = cs.ComplementaryMatrix(sp.csr_array(REVALUED[name]()).astype(bool).astype(dtype))
    for change in range(4):
        values = (20 * rng.standard_normal(W.nnz)).astype(dtype)
        W = (
            W.T.with_values(cs.ComplementaryMatrix(W.with_values(values)).T.tocsr()).T
            if change == 2
            else W.with_values(values)
        )
        new = cs.ComplementaryMatrix(W.tocsr())
        for n in (1, 16, 33, 64):
            for V, U in ((W, new), (W.T, new.T)):
                x = (9 * rng.standard_normal((V.shape[1], n))).astype(dtype)
                assert own.same_bits(V @ x, U @ x)
                y = cs.linear(x.T.copy(), V)
                assert own.same_bits(y, cs.linear(x.T.copy(), U))


def test_with_values_refuses_other_patterns(W, A):
    other = A.toarray()
    other[np.argwhere(other == 0)[0][0], np.argwhere(other == 0)[0][1]] = 1
    for given_, error, match in [
        (np.ones(W.nnz + 1), ValueError, f"{W.nnz} entries are stored"),
        (np.ones((3, 3)), ValueError, "has shape"),
        (other, ValueError, "1 non-zeros outside"),
        (sp.csr_array(other), ValueError, "another pattern"),
        (sp.csr_array((3, 3)), ValueError, "has shape"),
        (cs.from_dense(other), ValueError, "another pattern"),
        (np.ones(W.nnz, complex), TypeError, "complex128"),
        (["a"] * W.nnz, TypeError, "is not supported"),
    ]:
        with pytest.raises(error, match=match):
            W.with_values(given_)


def test_with_values_copies(W):
    values = np.ones(W.nnz)
    new = W.with_values(values)
    values[:] = 5
    assert (new._data == 1).all()


def test_astype(W, A):
    assert W.astype(np.float64, copy=False) is W
    F = W.astype(np.float32)
    assert F.dtype == np.float32
    assert F._packing is W._packing
    np.testing.assert_array_equal(F.toarray(), A.toarray().astype(np.float32))
    with pytest.raises(TypeError, match="complex"):
        W.astype(complex)
    with pytest.raises(TypeError, match="safe"):
        W.astype(np.int8, casting="safe")


def test_toarray_arguments(W, A):
    out = np.full(A.shape, 9.0)
    assert W.toarray(out=out) is out
    np.testing.assert_array_equal(out, A.toarray())
    assert W.todense(order="F").flags.f_contiguous
    for bad, order in [(np.zeros((3, 3)), None), (np.zeros(A.shape, np.float32), None), (out, "C")]:
        with pytest.raises(ValueError, match="out"):
            W.toarray(order=order, out=bad)
    with pytest.raises(ValueError, match="Format xyz"):
        W.asformat("xyz")


# --- operators --------------------------------------------------------------------------------------------------------


def test_products_with_dense(W, A):
    rng = np.random.default_rng(0)
    X, Y, v = rng.random((40, 6)), rng.random((6, 24)), rng.random(40)
    D = A.toarray()
    for found, expected in [
        (W @ X, D @ X),
        (Y @ W, Y @ D),
        (W @ v, D @ v),
        (W @ v.tolist(), D @ v),
        (X.T @ W.T, X.T @ D.T),
        (W.T @ Y.T, D.T @ Y.T),
        (np.matmul(W, X), D @ X),
        (np.matmul(Y, W), Y @ D),
        (W.dot(X), D @ X),
        (W.matvec(v), D @ v),
        (W.matvec(v[:, None]), (D @ v)[:, None]),
        (W.rmatvec(Y[0]), D.T @ Y[0]),
        (W.matmat(X), D @ X),
        (W.rmatmat(Y.T), D.T @ Y.T),
        (W @ X.view(np.matrix), D @ X),
        (Y.view(np.matrix) @ W, Y @ D),
    ]:
        assert type(found) is np.ndarray
        np.testing.assert_allclose(found, expected)
    out = np.empty((24, 6))
    assert np.matmul(W, X, out=out) is out
    np.testing.assert_allclose(out, D @ X)
    assert np.matmul(W.astype(np.float32), X.astype(np.float32), dtype=np.float64).dtype == np.float64


@pytest.mark.parametrize("name", own.FORMATS)
@pytest.mark.parametrize("container", ["array", "matrix"])
def test_products_with_sparse(W, A, name, container):
    S = getattr(sp, f"{name}_{container}")(A)
    D = A.toarray()
    for found, expected in [
        (W @ S.T, D @ D.T),
        (W @ W.T, D @ D.T),
        (W.T @ W, D.T @ D),
        (np.matmul(W, S.T), D @ D.T),
        (np.matmul(S.T, W), D.T @ D),
    ]:
        assert isinstance(found, sp.csr_array)
        np.testing.assert_allclose(found.toarray(), expected)
    # SciPy's own operator comes first where its class stands on the left, and gives of that class.
    assert type(S.T @ W) is type(S.T @ A)
    np.testing.assert_allclose((S.T @ W).toarray(), D.T @ D)


@pytest.mark.parametrize(
    "call",
    [
        lambda W, S: W @ 2,
        lambda W, S: 2 @ W,
        lambda W, S: W @ np.ones(3),
        lambda W, S: W @ W,
        lambda W, S: W @ S,
        lambda W, S: W.matvec(np.ones((40, 2))),
        lambda W, S: W.matmat(np.ones(40)),
        lambda W, S: W.rmatvec(np.ones(40)),
    ],
)
def test_products_that_do_not_fit(W, A, call):
    with pytest.raises(ValueError):
        call(W, A)


def test_products_of_strangers(W):
    class Stranger:
        def __rmatmul__(self, other):
            return "theirs"

        __radd__ = __rmul__ = __eq__ = __rtruediv__ = __rmatmul__
        __hash__ = None

    for found in (W @ Stranger(), W + Stranger(), W * Stranger(), W / Stranger(), operator.eq(W, Stranger())):
        assert found == "theirs"
    for call in (
        lambda: W @ object(),
        lambda: W + object(),
        lambda: np.cos(W),
        lambda: np.add.reduce(W),
        lambda: 1 / W,
    ):
        with pytest.raises(TypeError):
            call()


@given(own.scipy_matrices(dtypes=st.sampled_from([np.bool_, np.int8, np.int64, np.float32, np.float64])))
@settings(max_examples=60)
def test_elementwise_operators_agree_with_scipy(S):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        W, A = cs.from_scipy(S), sp.csr_array(S)
        B = sp.csr_array(A * 2)
        V = cs.from_scipy(B)
        for operate in (operator.add, operator.sub, operator.mul, operator.ne, operator.gt):
            if operate is operator.sub and W.dtype == np.bool_:
                continue
            expected = operate(A, B)
            for found in (operate(W, B), operate(W, V), operate(A, V)):
                assert type(found) is type(expected) or cs.iscompl(found)
                assert found.dtype == expected.dtype
                np.testing.assert_array_equal(found.toarray(), expected.toarray())
        for name in ("multiply", "maximum", "minimum"):
            expected = getattr(A, name)(B)
            for found in (getattr(W, name)(B), getattr(W, name)(V)):
                assert type(found) is type(expected) or cs.iscompl(found)
                np.testing.assert_array_equal(found.toarray(), expected.toarray())
        for name in ("sum", "diagonal", "nonzero", "count_nonzero", *(["mean"] if S.shape[0] * S.shape[1] else [])):
            np.testing.assert_array_equal(getattr(W, name)(), getattr(A, name)())
        D = A.toarray()
        np.testing.assert_array_equal(W + D, A + D)
        np.testing.assert_array_equal(D + W, D + A)
        assert type(D + W) is np.ndarray
        assume(W.dtype != np.bool_)
        np.testing.assert_array_equal(D - W, D - A)
        np.testing.assert_array_equal((W**2).toarray(), (A**2).toarray())


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.float32, np.float64], ids=str)
@pytest.mark.parametrize("scalar", [3, 2.5, np.float32(0.5), np.int64(2), True, np.array(4.0)], ids=repr)
def test_scaling_keeps_the_packing(dtype, scalar):
    D = np.array([[0, 1, 0, 1], [1, 0, 0, 0]], dtype=dtype)
    W = cs.from_dense(D)
    for found, expected in [(W * scalar, D * scalar), (scalar * W, scalar * D), (W / scalar, D / scalar)]:
        assert cs.iscompl(found)
        assert found._packing is W._packing
        assert own.same_bits(found.toarray(), expected)
    assert own.same_bits(W.dot(scalar).toarray(), D * scalar)
    assert own.same_bits(W.multiply(scalar).toarray(), D * scalar)
    assert own.same_bits(np.multiply(scalar, W).toarray(), D * scalar)


def test_unary_operators(A):
    W = cs.from_scipy(A - 2 * A.multiply(A > 0.5))
    for found, expected in [
        (-W, -W.toarray()),
        (abs(W), abs(W.toarray())),
        (np.negative(W), -W.toarray()),
        (np.absolute(W), abs(W.toarray())),
        (W.conj(), W.toarray()),
        (np.conjugate(W), W.toarray()),
    ]:
        assert cs.iscompl(found)
        np.testing.assert_array_equal(found.toarray(), expected + 0.0)
    assert W.conj(copy=False) is W.real is +W is W
    with pytest.raises(NotImplementedError, match="bool"):
        -cs.from_dense(np.eye(2, dtype=bool))
    assert (W * 1j).dtype == (W / 1j).dtype == np.complex128  # through scipy, which stores complex values


def test_ndarray_on_the_left(W, A):
    D = A.toarray()
    np.testing.assert_array_equal((D * W).toarray(), D * D)
    np.testing.assert_array_equal(D - W, D - D)
    np.testing.assert_array_equal(D > W, np.zeros_like(D, dtype=bool))
    np.testing.assert_array_equal((np.float64(2) * W).toarray(), 2 * D)
    np.testing.assert_allclose((W / (D + 1)).toarray(), D / (D + 1))
    with pytest.raises(TypeError):
        D / W


def test_in_place_on_the_left(W, A):
    D = A.toarray()
    X = D.copy()
    kept = X
    X += W
    X -= W * 3
    X *= W
    assert X is kept
    np.testing.assert_allclose(X, -D * D)
    Y = np.ones((3, 24))
    Y @= cs.from_dense(np.eye(24) * 2)
    np.testing.assert_array_equal(Y, np.full((3, 24), 2.0))
    Y[0] @= cs.from_dense(np.eye(24) * 2)
    np.testing.assert_array_equal(Y[0], np.full(24, 4.0))
    assert np.multiply(W, 2, out=X) is X
    np.testing.assert_array_equal(X, 2 * D)
    for call, error in [
        (lambda: np.add(np.ones((24, 40)), W, out=np.empty((1, 24, 40))), ValueError),
        (lambda: np.add(D, W, out=np.empty(A.shape, int)), TypeError),
        (lambda: np.matmul(W, np.ones(40), out=W), TypeError),
        (lambda: np.multiply(W, 2, out=W), TypeError),
        (lambda: np.add(D, W, where=D > 0), TypeError),
    ]:
        with pytest.raises(error):
            call()


OF_VALUES = [
    "sin",
    "tan",
    "arcsin",
    "arctan",
    "sinh",
    "tanh",
    "arcsinh",
    "arctanh",
    "rint",
    "sign",
    "expm1",
    "log1p",
    "deg2rad",
    "rad2deg",
    "floor",
    "ceil",
    "trunc",
    "sqrt",
]


def test_functions_that_keep_zeros(W, A):
    for name in OF_VALUES:
        for M, D in ((W, A.toarray()), (W.T, A.toarray().T)):
            for found in (getattr(np, name)(M), getattr(M, name)()):
                assert found._packing is W._packing
                np.testing.assert_array_equal(found.toarray(), getattr(np, name)(D))
    assert own.same_bits(round(W * 10).toarray(), np.around(10 * A.toarray()))


@pytest.mark.parametrize(
    "key", [(3, 4), 2, (slice(2, 9), slice(None, None, 2)), (slice(None), 3), ([1, 2], [3, 4])], ids=str
)
def test_indexing_is_scipys(W, A, key):
    found, expected = W[key], A[key]
    assert type(found) is type(expected)
    dense = [x.toarray() if sp.issparse(x) else x for x in (found, expected)]
    np.testing.assert_array_equal(*dense)


def test_matrix_class_never_appears(A):
    S = sp.csr_matrix(A)
    W = cs.from_scipy(S)
    for found in (
        W.todense(),
        W.sum(0),
        W.mean(1),
        W + S.todense(),
        W @ S.todense().T,
        S.todense().T @ W,
        W.diagonal(),
    ):
        assert not isinstance(found, np.matrix)
    # With one of SciPy's matrices on the left its operator comes first, as with a csr_array on the right.
    assert type(S + W) is type(S + A) is sp.csr_matrix
    for found in (W + S, W * S, W @ S.T, W.multiply(S), W[:2], W.tocsc(), W.tocoo(), np.add(S, W), np.matmul(S.T, W)):
        assert not isinstance(found, np.matrix | sp.spmatrix)


def test_linear_operator(A):
    S = (A[:, :24] @ A[:, :24].T + sp.eye_array(24)).tocsr()
    W = cs.from_scipy(S)
    operator_ = cs.aslinearoperator(W)
    assert isinstance(operator_, LinearOperator)
    assert operator_.dtype == W.dtype
    X = np.random.default_rng(0).random((24, 3))
    np.testing.assert_allclose(operator_ @ X, S @ X)
    np.testing.assert_allclose(operator_.H @ X, S.T @ X)
    np.testing.assert_allclose(operator_.T.matvec(X[:, 0]), S.T @ X[:, 0])
    for solver, matrix in ((cg, operator_), (gmres, W)):
        x, info = solver(matrix, X[:, 0], rtol=1e-10)
        assert info == 0
        np.testing.assert_allclose(S @ x, X[:, 0], atol=1e-8)
    with pytest.raises(TypeError, match="takes a ComplementaryMatrix"):
        cs.aslinearoperator(S)


def test_plan_and_prepare(A):
    W = cs.from_scipy(A.astype(np.float32))
    assert W.prepare(16) is W
    x = np.ones((40, 4), np.float32)
    y = np.empty((24, 4), np.float32)
    assert W.plan(4)(x, out=y) is y
    np.testing.assert_array_equal(y, W @ x)
    for n in (-1, 1.5, True, "8"):
        with pytest.raises((TypeError, ValueError), match=r"vectors|integer"):
            W.prepare(n)


# --- pickles that lie -------------------------------------------------------------------------------------------------


def state(strategy="strict"):
    D = np.array([[1.0, 0, 2, 0], [0, 3, 0, 0], [4, 0, 0, 5]])
    return cs.from_dense(D, strategy=strategy)._state()


class Forged:
    def __init__(self, state, *kind):
        self.parts = state, *kind

    def __reduce__(self):
        return _restore, self.parts


def int64(*items):
    return np.array(items, dtype=np.int64)


LIES = {
    "not a dict": (lambda s: [1], TypeError),
    "nothing": (lambda s: {}, ValueError),
    "unknown key": (lambda s: {**s, "extra": 1}, ValueError),
    "missing key": (lambda s: {k: v for k, v in s.items() if k != "data"}, ValueError),
    "strategy": (lambda s: {**s, "strategy": "auto"}, ValueError),
    "strategy unhashable": (lambda s: {**s, "strategy": ["strict"]}, ValueError),
    "split with sets": (lambda s: {**s, "strategy": "split"}, ValueError),
    "transposed": (lambda s: {**s, "transposed": 1}, TypeError),
    "shape negative": (lambda s: {**s, "shape": (-3, 4)}, ValueError),
    "shape float": (lambda s: {**s, "shape": (3.0, 4)}, TypeError),
    "shape of one": (lambda s: {**s, "shape": (4,)}, ValueError),
    "shape narrow": (lambda s: {**s, "shape": (3, 3)}, ValueError),
    "shape short": (lambda s: {**s, "shape": (2, 4)}, ValueError),
    "shape huge": (lambda s: {**s, "shape": (3, 2**62)}, ValueError),
    "indptr list": (lambda s: {**s, "indptr": [0, 2, 3, 5]}, TypeError),
    "indptr 2-D": (lambda s: {**s, "indptr": s["indptr"][None]}, TypeError),
    "indptr int32": (lambda s: {**s, "indptr": s["indptr"].astype(np.int32)}, ValueError),
    "indptr descends": (lambda s: {**s, "indptr": int64(0, 3, 2, 5)}, ValueError),
    "indptr ends early": (lambda s: {**s, "indptr": int64(0, 2, 3, 4)}, ValueError),
    "indices int64": (lambda s: {**s, "indices": s["indices"].astype(np.int64)}, ValueError),
    "indices out of range": (lambda s: {**s, "indices": s["indices"] + np.int32(1)}, ValueError),
    "indices unsorted": (lambda s: {**s, "indices": np.array([2, 0, 1, 0, 3], np.int32)}, ValueError),
    "indices twice": (lambda s: {**s, "indices": np.array([0, 0, 1, 0, 3], np.int32)}, ValueError),
    "data complex": (lambda s: {**s, "data": s["data"].astype(complex)}, TypeError),
    "data object": (lambda s: {**s, "data": s["data"].astype(object)}, TypeError),
    "data short": (lambda s: {**s, "data": s["data"][:3]}, ValueError),
    "block string": (lambda s: {**s, "block": "big"}, ValueError),
    "block list": (lambda s: {**s, "block": [1, 1]}, ValueError),
    "block zero": (lambda s: {**s, "block": (0, 1)}, ValueError),
    "block does not fit": (lambda s: {**s, "block": (2, 2)}, ValueError),
    "sets share a column": (lambda s: {**s, "set_ptr": int64(0, 3)}, ValueError),
    "sets twice a row": (lambda s: {**s, "row_order": int64(0, 0, 1)}, ValueError),
    "sets out of range": (lambda s: {**s, "row_order": int64(0, 1, 7)}, ValueError),
    "sets negative": (lambda s: {**s, "row_order": int64(0, 1, -1)}, ValueError),
    "sets leave a row out": (lambda s: {**s, "row_order": int64(0, 1), "set_ptr": int64(0, 1, 2)}, ValueError),
    "set_ptr descends": (lambda s: {**s, "set_ptr": int64(0, 5, 3)}, ValueError),
    "set_ptr empty": (lambda s: {**s, "set_ptr": int64()}, ValueError),
    "set_ptr float": (lambda s: {**s, "set_ptr": np.array([0.0, 2, 3])}, ValueError),
}


@pytest.mark.parametrize("name", LIES)
def test_forged_pickles_are_refused(name):
    forge, error = LIES[name]
    with pytest.raises(error) as caught:
        pickle.loads(pickle.dumps(Forged(forge(state()))))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [int, np.ndarray, "ComplementaryMatrix", None, 3])
def test_forged_classes_are_refused(kind):
    with pytest.raises(TypeError, match="derived from it"):
        pickle.loads(pickle.dumps(Forged(state(), kind)))


def test_honest_states_restore():
    for strategy in ("strict", "split"):
        W = pickle.loads(pickle.dumps(Forged(state(strategy))))
        assert W.strategy == strategy
