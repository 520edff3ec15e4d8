# SPDX-License-Identifier: BSD-3-Clause
"""Conversion is lossless both ways, leaves the caller's object alone and trusts nothing in it."""

import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse as sp
import strategies as own
from hypothesis import given, settings

import complsparse as cs
from complsparse._matrix import csr as arrays
from complsparse._matrix import formats


def oracle(data, rows, cols):
    """Duplicates summed in stored order, in plain Python."""
    total = {}
    with np.errstate(all="ignore"):
        for value, place in zip(data, zip(rows.tolist(), cols.tolist(), strict=True), strict=True):
            total[place] = np.add(total[place], value, dtype=data.dtype) if place in total else value
    places = sorted(total)
    return [p[0] for p in places], [p[1] for p in places], np.array([total[p] for p in places], dtype=data.dtype)


def assert_same(csr, rows, cols, data):
    coo = csr.tocoo()
    assert coo.row.tolist() == rows
    assert coo.col.tolist() == cols
    assert coo.dtype == data.dtype
    np.testing.assert_array_equal(coo.data, data)
    np.testing.assert_array_equal(np.signbit(coo.data), np.signbit(data))


def canonical_by_scipy(A):
    R = sp.csr_array(A.tocsr().copy())
    R.sort_indices()
    return R


def snapshot(A):
    """All arrays and flags of a scipy object, by value."""
    return {
        name: (x.tobytes(), x.dtype, x.flags.writeable) if isinstance(x, np.ndarray) else repr(x)
        for name, x in vars(A).items()
    }


@given(own.triplets(dtypes=st.sampled_from(own.SCIPY_DTYPES)))
def test_triplets_are_summed_in_stored_order(case):
    (data, (rows, cols)), shape = case
    W = cs.from_coo(data, (rows, cols), shape)
    expected = oracle(data, rows, cols)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert_same(W.tocsr(), *expected)
    assert W.nnz == len(expected[0])
    assert W.shape == shape


@given(own.scipy_matrices())
def test_every_format_round_trips_bit_for_bit(A):
    before = snapshot(A)
    W = cs.from_scipy(A)
    assert snapshot(A) == before
    expected, found = canonical_by_scipy(A), W.tocsr()
    assert isinstance(found, sp.csr_array)
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.indptr, expected.indptr)
    np.testing.assert_array_equal(found.indices, expected.indices)
    assert own.same_bits(found.data, expected.data)
    assert found.indptr.dtype == found.indices.dtype == np.int32


@given(own.scipy_matrices(formats=st.sampled_from(["coo", "csr", "csc"]), duplicates=True))
def test_duplicates_and_disorder_leave_the_caller_alone(A):
    before = snapshot(A)
    W = cs.ComplementaryMatrix(A)
    assert snapshot(A) == before
    coo = A.tocoo()
    expected = oracle(coo.data, coo.row, coo.col)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert_same(W.tocsr(), *expected)


@given(own.scipy_matrices(), st.sampled_from(own.FORMATS))
def test_conversions_out_agree_with_scipys(A, name):
    W = cs.from_scipy(A)
    found = W.asformat(name)
    assert found.format == name
    assert isinstance(found, sp.sparray)
    expected = canonical_by_scipy(A).asformat(name)
    np.testing.assert_array_equal(found.toarray(), expected.toarray())
    assert found.dtype == A.dtype


@given(own.triplets(duplicates=False), st.sampled_from("CF"))
def test_dense_round_trip_keeps_the_bits(case, order):
    (data, (rows, cols)), shape = case
    dense = np.zeros(shape, dtype=data.dtype, order=order)
    dense[rows, cols] = data
    W = cs.from_dense(dense)
    assert W.nnz == np.count_nonzero(dense)
    found = W.toarray(order=order)
    assert own.same_bits(found, np.where(dense == 0, dense.dtype.type(0), dense))
    assert found.flags.c_contiguous if order == "C" else found.flags.f_contiguous
    kept = cs.from_coo(data, (rows, cols), shape).toarray()
    assert own.same_bits(kept, dense)  # stored zeros of either sign stay what they are


@given(own.triplets(duplicates=False))
def test_stored_zeros_stay_unless_eliminated(case):
    (data, coords), shape = case
    assert cs.from_coo(data, coords, shape).nnz == len(data)
    W = cs.from_coo(data, coords, shape, eliminate_zeros=True)
    assert W.nnz == np.count_nonzero(data)
    assert W._data.all()


@pytest.mark.parametrize("dtype", own.DTYPES, ids=str)
def test_every_real_dtype_is_stored(dtype):
    values = own.draw_values(np.random.default_rng(0), dtype, 40)
    W = cs.from_coo(values, (np.arange(40), np.arange(40)[::-1]), (40, 40))
    assert W.dtype == dtype
    assert own.same_bits(W._data, values)
    swapped = cs.from_coo(values.astype(dtype.newbyteorder()), (np.arange(40), np.arange(40)[::-1]), (40, 40))
    assert swapped.dtype.isnative
    assert own.same_bits(swapped._data, values)


def test_float16_leaves_as_float32():
    W = cs.from_dense(np.array([[0, 1.5], [2**-24, 0]], dtype=np.float16))
    assert W.dtype == np.float16
    assert W.tocsr().dtype == W.tocsc().dtype == np.float32
    np.testing.assert_array_equal(W.tocsr().toarray(), W.toarray())


@pytest.mark.parametrize("kind", ["list", "tuple of arrays", "matrix", "memmap", "read-only", "strided", "1-D", "0-D"])
def test_containers(kind, tmp_path):
    D = np.array([[0.0, 2, 0, 3], [4, 0, 0, 0]])
    given_, expected = {
        "list": lambda: (D.tolist(), D),
        "tuple of arrays": lambda: (sp.csr_array(D).tocoo(), D),
        "matrix": lambda: (D.view(np.matrix), D),
        "memmap": lambda: (np.memmap(tmp_path / "d", dtype=D.dtype, mode="w+", shape=D.shape), np.zeros_like(D)),
        "read-only": lambda: (np.frombuffer(D.tobytes()).reshape(D.shape), D),
        "strided": lambda: (np.repeat(D, 3, axis=1)[:, ::-3], D[:, ::-1]),
        "1-D": lambda: (D[0], D[:1]),
        "0-D": lambda: (np.array(5.0), [[5.0]]),
    }[kind]()
    W = cs.ComplementaryMatrix(given_)
    found = W.toarray()
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, expected)


def test_objects_that_convert_themselves():
    class Foreign:
        def tocsr(self):
            return sp.csr_array(np.eye(3))

    class Confused:
        def tocsr(self):
            return "csr"

    np.testing.assert_array_equal(cs.ComplementaryMatrix(Foreign()).toarray(), np.eye(3))
    with pytest.raises(TypeError, match="gave str"):
        cs.ComplementaryMatrix(Confused())


def test_constructor_forms():
    data, rows, cols = [1.0, 2.0, 3.0], [0, 1, 1], [2, 0, 2]
    by_coo = cs.ComplementaryMatrix((data, (rows, cols)), shape=(3, 4))
    by_csr = cs.ComplementaryMatrix((data, cols, [0, 1, 3, 3]), shape=(3, 4))
    np.testing.assert_array_equal(by_coo.toarray(), by_csr.toarray())
    assert cs.ComplementaryMatrix((data, (rows, cols))).shape == (2, 3)
    assert cs.ComplementaryMatrix((data, cols, [0, 1, 3])).shape == (2, 3)
    empty = cs.ComplementaryMatrix((3, 4))
    assert (empty.shape, empty.nnz, empty.dtype) == ((3, 4), 0, np.float64)
    assert cs.ComplementaryMatrix((3, 4), dtype=np.int8).dtype == np.int8
    again = cs.ComplementaryMatrix(by_coo, strategy="split")
    assert again.strategy == "split"
    np.testing.assert_array_equal(again.toarray(), by_coo.toarray())
    assert cs.ComplementaryMatrix(by_coo, dtype=np.float32).dtype == np.float32
    assert cs.ComplementaryMatrix((data, (rows, cols)), dtype="i2").toarray().dtype == np.int16
    one_row = sp.coo_array(np.array([0.0, 1.0, 2.0]))
    assert cs.from_scipy(one_row).shape == cs.from_scipy(one_row.tocsr()).shape == cs.from_scipy(one_row.todok()).shape
    np.testing.assert_array_equal(cs.from_scipy(one_row.todok()).toarray(), [[0, 1, 2]])


def test_results_belong_to_nobody_else():
    A = sp.csr_array(np.array([[1.0, 0, 2], [0, 3, 0]]))
    D = A.toarray()
    W, V = cs.from_scipy(A), cs.ComplementaryMatrix((A.data, A.indices, A.indptr), shape=A.shape)
    A.data[:] = 7
    A.indices[:] = 0
    A.indptr[:] = 0
    for X in (W, V):
        np.testing.assert_array_equal(X.toarray(), D)
        for array in (X._indptr, X._indices, X._data, X.set_ptr, X.row_order, X.values, X.kernel_ids):
            assert not array.flags.writeable
    for copied in (W.tocsr(), W.tocsr(copy=True), W.T.tocsc(), W.tocsc(), W.tocoo(copy=False)):
        for array in vars(copied).values():
            if isinstance(array, np.ndarray):
                array[:] = 0
    np.testing.assert_array_equal(W.toarray(), D)


def test_index_dtypes_of_the_result():
    W = cs.from_dense(np.eye(3))
    for dtype in (np.int32, np.int64):
        for A in (W.tocsr(index_dtype=dtype), W.tocsc(index_dtype=dtype), W.T.tocsr(index_dtype=dtype)):
            assert A.indices.dtype == A.indptr.dtype == dtype
    with pytest.raises(ValueError, match="must be int32 or int64"):
        W.tocsr(index_dtype=np.int16)


def test_hypersparse_shapes_cost_what_they_store():
    W = cs.from_coo([1.0, 2.0, 3.0], ([0, 4, 4], [7, 2**40 - 1, 0]), (5, 2**40))
    assert W.nbytes < 1000
    A = W.tocsr()
    assert A.indices.dtype == np.int64
    assert A.indices.tolist() == [7, 0, 2**40 - 1]
    assert cs.from_scipy(A).tocsr().indices.tolist() == A.indices.tolist()
    with pytest.raises(ValueError, match="index_dtype=int32 cannot hold"):
        W.tocsr(index_dtype=np.int32)
    jumbled = sp.csr_array((A.data[[0, 2, 1]], A.indices[[0, 2, 1]], A.indptr), shape=A.shape)
    assert cs.from_scipy(jumbled).tocsr().indices.tolist() == A.indices.tolist()


def test_a_full_column_costs_no_more_than_its_entries():
    n = 100_000
    rows = np.concatenate([np.arange(n), np.arange(n)])
    cols = np.concatenate([np.full(n, 17), np.arange(n)[::-1]])
    for strategy in ("auto", "strict", "split"):
        W = cs.from_coo(np.ones(2 * n, dtype=np.float32), (rows, cols), (n, n), strategy=strategy)
        assert W.lower_bound == n
        assert W.nbytes < 60 * n
        with pytest.raises(ValueError, match="slots"):
            W.values  # noqa: B018


@given(own.triplets())
@settings(max_examples=50)
def test_transposition_of_arrays_is_an_involution(case):
    (data, coords), shape = case
    csr = formats.canonical((data, coords), shape)
    turned, order = arrays.transposed(csr)
    assert own.same_bits(turned.data, csr.data[order])
    back = arrays.transposed(turned)[0]
    for a, b in zip(back[:3], csr[:3], strict=True):
        assert own.same_bits(a, b)


# --- what is refused --------------------------------------------------------------------------------------------------


def broken(name, change):
    """A scipy matrix of the format, changed after scipy accepted it."""

    def make():
        D = np.array([[1.0, 0, 2, 0], [0, 3, 0, 4], [5, 0, 0, 6], [0, 0, 7, 0]])
        A = getattr(sp, f"{name}_array")(sp.csr_array(D) if name != "bsr" else sp.csr_array(D).tobsr((2, 2)))
        change(A)
        return A

    return make


def put(**attributes):
    def change(A):
        for name, value in attributes.items():
            setattr(A, name, value)

    return change


def element(array, index, value):
    def change(A):
        getattr(A, array)[index] = value

    return change


def remove(name):
    return lambda A: delattr(A, name)


def update(key, value):
    return lambda A: A._dict.__setitem__(key, value)


MALFORMED = {
    "csr: index above": (broken("csr", element("indices", 0, 4)), ValueError, "column index 4"),
    "csr: index far above": (broken("csr", element("indices", 3, 2**30)), ValueError, "column index 1073741824"),
    "csr: index negative": (broken("csr", element("indices", 0, -1)), ValueError, "column index -1"),
    "csr: first pointer": (broken("csr", element("indptr", 0, 1)), ValueError, "indptr"),
    "csr: pointers descend": (broken("csr", element("indptr", 1, 6)), ValueError, "indptr descends"),
    "csr: pointer far above": (broken("csr", element("indptr", 2, 2**31 - 1)), ValueError, "indptr"),
    "csr: last pointer": (broken("csr", element("indptr", -1, -1)), ValueError, "indptr"),
    "csr: last pointer short": (broken("csr", element("indptr", -1, 6)), ValueError, "must agree"),
    "csr: data short": (broken("csr", put(data=np.ones(3))), ValueError, "must agree"),
    "csr: data long": (broken("csr", put(data=np.ones(9))), ValueError, "must agree"),
    "csr: indices short": (broken("csr", put(indices=np.zeros(2, np.int32))), ValueError, "must agree"),
    "csr: indptr short": (broken("csr", put(indptr=np.zeros(3, np.int32))), ValueError, "4 rows need 5"),
    "csr: indptr empty": (broken("csr", put(indptr=np.zeros(0, np.int32))), ValueError, "4 rows need 5"),
    "csr: data 2-D": (broken("csr", put(data=np.ones((7, 1)))), ValueError, "data has 2 axes"),
    "csr: indices 2-D": (broken("csr", put(indices=np.zeros((7, 1), int))), ValueError, "indices has 2 axes"),
    "csr: indices float": (broken("csr", put(indices=np.zeros(7))), TypeError, "must hold integers"),
    "csr: indices object": (broken("csr", put(indices=np.zeros(7, object))), TypeError, "must hold integers"),
    "csr: indices None": (broken("csr", put(indices=None)), ValueError, "0 axes"),
    "csr: indices uint64": (broken("csr", put(indices=np.full(7, 2**63 + 1, np.uint64))), ValueError, "signed"),
    "csr: data object": (broken("csr", put(data=np.ones(7, object))), TypeError, "object is not supported"),
    "csr: data complex": (broken("csr", put(data=np.ones(7, complex))), TypeError, "A.real and A.imag"),
    "csr: negative shape": (broken("csr", put(_shape=(-4, 4))), ValueError, "negative size"),
    "csr: other shape": (broken("csr", put(_shape=(9, 4))), ValueError, "9 rows need 10"),
    "csr: narrow shape": (broken("csr", put(_shape=(4, 2))), ValueError, "outside"),
    "csr: three axes": (broken("csr", put(_shape=(4, 4, 4))), ValueError, "3 axes"),
    "csr: data no array": (broken("csr", put(data=None)), TypeError, "lacks a part"),
    "coo: data a list": (broken("coo", put(data=[1.0] * 7)), TypeError, "lacks a part"),
    "csr: no indices": (broken("csr", remove("indices")), TypeError, "lacks a part"),
    "csc: index above": (broken("csc", element("indices", 0, 4)), ValueError, "index 4"),
    "csc: last pointer": (broken("csc", element("indptr", -1, 99)), ValueError, "indptr"),
    "csc: data short": (broken("csc", put(data=np.ones(3))), ValueError, "must agree"),
    "coo: row above": (broken("coo", put(row=np.full(7, 4))), ValueError, "row index 4"),
    "coo: column negative": (broken("coo", put(col=np.full(7, -1))), ValueError, "column index -1"),
    "coo: data short": (broken("coo", put(data=np.ones(3))), ValueError, "differ in length"),
    "coo: three index vectors": (
        broken("coo", put(coords=(np.zeros(7, int),) * 3)),
        ValueError,
        "3 index vectors|must have 2",
    ),
    "coo: float rows": (broken("coo", put(coords=(np.zeros(7), np.zeros(7, int)))), TypeError, "must hold integers"),
    "bsr: index above": (broken("bsr", element("indices", 0, 2)), ValueError, "index 2"),
    "bsr: blocks 2-D": (broken("bsr", put(data=np.ones((4, 4)))), ValueError, "data has 2 axes"),
    "bsr: blocks do not divide": (broken("bsr", put(data=np.ones((4, 3, 2)))), ValueError, "multiple"),
    "bsr: empty blocks": (broken("bsr", put(data=np.ones((4, 0, 2)))), ValueError, "multiple"),
    "bsr: pointers": (broken("bsr", element("indptr", 1, 99)), ValueError, "indptr"),
    "dia: offsets twice": (broken("dia", element("offsets", 1, -2)), ValueError, "twice"),
    "dia: offsets long": (broken("dia", put(offsets=np.arange(9))), ValueError, "differ in length"),
    "dia: data 1-D": (broken("dia", put(data=np.ones(4))), ValueError, "data has 1 axes"),
    "lil: index above": (broken("lil", element("rows", 0, [0, 9])), ValueError, "index 9"),
    "lil: lists unequal": (broken("lil", element("rows", 0, [0])), ValueError, "unequal numbers"),
    "lil: not a list": (broken("lil", element("rows", 0, "ab")), TypeError, "must hold lists"),
    "lil: too few rows": (broken("lil", put(rows=np.empty(2, object))), ValueError, "lists"),
    "lil: not numbers": (broken("lil", element("data", 0, ["a", "b"])), ValueError, "cannot be read"),
    "dok: key above": (broken("dok", update((4, 0), 1.0)), ValueError, "row index 4"),
    "dok: key of three": (broken("dok", update((0, 0, 0), 1.0)), ValueError, "cannot be read|row, column"),
    "dok: float key": (broken("dok", update((0.5, 0), 1.0)), TypeError, "must hold integers"),
    "complex": (lambda: sp.csr_array(np.eye(2) * 1j), TypeError, "complex128 is not supported.*A.real and A.imag"),
    "complex dense": (lambda: np.eye(2, dtype=np.complex64), TypeError, "complex64 is not supported"),
    "strings": (lambda: np.array([["a"]]), TypeError, "is not supported"),
    "dates": (lambda: np.zeros((2, 2), "M8[s]"), TypeError, "is not supported"),
    "records": (lambda: np.zeros((2, 2), "i4,f4"), TypeError, "is not supported"),
    "objects": (lambda: np.ones((2, 2), object), TypeError, "not a matrix of numbers"),
    "nothing": (lambda: None, TypeError, "NoneType is not a matrix"),
    "ragged": (lambda: [[1, 2], [3]], ValueError, "cannot be read as an array"),
    "three axes": (lambda: np.ones((2, 2, 2)), ValueError, "3 axes"),
    "tuple of four": (lambda: (1, 2, 3, 4), TypeError, "a tuple of 4"),
    "pair of words": (lambda: ("a", "b"), TypeError, r"\(data, \(rows, cols\)\)"),
    "pair, rows and cols unequal": (lambda: ([1.0], ([0, 1], [0])), ValueError, "differ in length"),
    "pair, nothing to infer from": (lambda: ([], ([], [])), ValueError, "pass shape="),
    "pair, negative row": (lambda: ([1.0], ([-1], [0])), ValueError, "negative size|outside"),
    "triple, index negative": (lambda: ([1.0], [-2], [0, 1]), ValueError, "negative size|outside"),
    "triple, indptr empty": (lambda: ([], [], []), ValueError, "indptr"),
    "bare shape, negative": (lambda: (-1, 4), ValueError, "negative size"),
    "bare shape, huge": (lambda: (4, 2**60), ValueError, "above 2"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_input_is_refused_in_words(name):
    make, error, match = MALFORMED[name]
    given_ = make()
    with pytest.raises(error, match=match) as caught:
        cs.ComplementaryMatrix(given_)
    assert "\n" not in str(caught.value)


EYE = cs.from_dense(np.eye(4))
# Whatever takes a foreign matrix, each of which reads it in a way of its own or leaves that to another.
ENTRIES = {
    "from_scipy": cs.from_scipy,
    "ComplementaryMatrix, shape": lambda A: cs.ComplementaryMatrix(A, (4, 4)),
    "ComplementaryMatrix, dtype": lambda A: cs.ComplementaryMatrix(A, dtype=np.float32),
    "Winners.from_scipy, rows": lambda A: cs.Winners.from_scipy(A, axis=1),
    "Winners.from_scipy, columns": lambda A: cs.Winners.from_scipy(A, axis=0),
    "with_values": lambda A: EYE.with_values(A),
    "prune": lambda A: cs.prune(A, set_size=2),
    "matmul, right": lambda A: cs.matmul(EYE, A),
    "matmul, left": lambda A: cs.matmul(A, EYE),
    "linear": lambda A: cs.linear(A, EYE),
    "linear, winners": lambda A: cs.linear(A, EYE, winners=2),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("name", [name for name in MALFORMED if ": " in name])
def test_no_entry_point_trusts_the_arrays_of_scipy(entry, name):
    """A crash would end the run; what is accepted would be made of wrong entries."""
    damaged = MALFORMED[name][0]()
    with pytest.raises((ValueError, TypeError)):
        ENTRIES[entry](damaged)


@pytest.mark.parametrize(
    "wrong", [{"has_canonical_format": True, "has_sorted_indices": True}, {}], ids=["flagged", "plain"]
)
def test_flags_of_scipy_are_not_believed(wrong):
    S = sp.csr_array((np.array([1.0, 2.0, 4.0]), np.array([2, 0, 2]), np.array([0, 3])), shape=(1, 4))
    for name, value in wrong.items():
        setattr(S, name, value)
    expected = [[2.0, 0.0, 5.0, 0.0]]
    assert cs.from_scipy(S).toarray().tolist() == expected
    assert cs.Winners.from_scipy(S, axis=1).toarray().tolist() == expected
    assert cs.Winners.from_scipy(S, axis=0).toarray().tolist() == expected
    assert cs.matmul(S, EYE).tolist() == expected


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "lil", "dok"])
def test_values_are_cast_before_duplicates_are_summed(form):
    """In every format as in triplets: the wide sum is there, and not what is left of a narrow one."""
    data, zeros = np.array([200, 100], np.uint8), np.zeros(2, int)
    duplicates = {
        "csr": lambda: sp.csr_array((data, zeros, [0, 2]), shape=(1, 1)),
        "csc": lambda: sp.csc_array((data, zeros, [0, 2]), shape=(1, 1)),
        "coo": lambda: sp.coo_array((data, (zeros, zeros)), shape=(1, 1)),
        "bsr": lambda: sp.bsr_array((data.reshape(2, 1, 1), zeros, [0, 2]), shape=(1, 1)),
    }
    if form in duplicates:
        S = duplicates[form]()
        assert cs.from_scipy(S, dtype=np.int32).toarray().item() == 300
        assert cs.from_scipy(S).toarray().item() == 44
        assert cs.from_coo(data, (zeros, zeros), (1, 1), dtype=np.int32).toarray().item() == 300
        assert cs.ComplementaryMatrix((data, zeros, [0, 2]), (1, 1), np.int32).toarray().item() == 300
    else:
        S = getattr(sp, f"{form}_array")(np.array([[200.5, 0.0]]))
        assert cs.from_scipy(S, dtype=np.int32).toarray().tolist() == [[200, 0]]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"shape": (3, 3)}, ValueError, "contradicts"),
        ({"shape": 4}, TypeError, "two integers"),
        ({"shape": (2.0, 2)}, TypeError, "two integers"),
        ({"dtype": complex}, TypeError, "complex128"),
        ({"dtype": "U3"}, TypeError, "is not supported"),
        ({"strategy": "best"}, ValueError, "strategy='best'"),
        ({"strategy": None}, ValueError, "strategy=None"),
        ({"block": "big"}, ValueError, "block='big'"),
        ({"block": (0, 1)}, ValueError, "two positive"),
        ({"block": (1.0, 1)}, ValueError, "two positive"),
        ({"block": [1, 1]}, ValueError, "two positive"),
        ({"block": (2, 1)}, ValueError, "does not consist of blocks"),
        ({"block": (2**40, 1)}, ValueError, "larger than any"),
    ],
    ids=str,
)
def test_bad_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        cs.ComplementaryMatrix(np.eye(2), **arguments)
    with pytest.raises(error, match=match):
        cs.ComplementaryMatrix(cs.from_dense(np.eye(2)), **arguments)


def test_makers_name_each_other():
    with pytest.raises(TypeError, match="from_dense"):
        cs.from_scipy(np.eye(2))
    with pytest.raises(TypeError, match="ComplementaryMatrix takes any"):
        cs.from_dense(sp.eye_array(2))
