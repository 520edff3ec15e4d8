# SPDX-License-Identifier: BSD-3-Clause
"""Winners: made from arrays, dense and SciPy, checked at the border, never changed."""

import copy
import gc
import itertools
import math
import pickle
import sys
import weakref

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from strategies import draw_values, same_bits, seeds, unaligned

import complsparse as cs
from complsparse import _core

DTYPES = ("float32", "float64", "int8", "uint8", "int32", "int64")
SIZES = (0, 1, 2, 3, 5, 17)


def all_axes(ndim):
    """Every axis and every tuple of axes, named from either end."""
    for n in range(1, ndim + 1):
        for axes in itertools.combinations(range(ndim), n):
            yield axes[0] if n == 1 else axes
            yield axes[0] - ndim if n == 1 else tuple(a - ndim for a in reversed(axes))


@st.composite
def dense_arrays(draw):
    shape = tuple(draw(st.lists(st.sampled_from(SIZES), min_size=1, max_size=4)))
    rng = np.random.default_rng(draw(seeds))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    size = math.prod(shape)
    return np.where(rng.random(size) < 0.4, draw_values(rng, dtype, size), dtype.type(0)).reshape(shape)


def vectors_of(array, axis):
    """(vectors, length) by moving the axes of the contest to the end."""
    axes = sorted(a % array.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))
    moved = np.moveaxis(array, axes, range(-len(axes), 0))
    return moved.reshape(
        math.prod(moved.shape[: -len(axes)]), -1 if moved.size else math.prod(moved.shape[-len(axes) :])
    )


def check_rules(w):
    """What C++ relies on."""
    length = math.prod(w.shape[a] for a in (w.axis if isinstance(w.axis, tuple) else (w.axis,)))
    assert w.indices.dtype == np.int32
    assert w.indptr.dtype == np.int64
    assert w.indptr[0] == 0
    assert w.indptr[-1] == len(w.values) == len(w.indices) == w.nnz
    for first, last in itertools.pairwise(w.indptr):
        one = w.indices[first:last]
        assert (np.diff(one) > 0).all()
        assert one.size == 0 or (one[0] >= 0 and one[-1] < length)


@given(dense_arrays())
def test_dense_arrays_come_back(x):
    for axis in all_axes(x.ndim):
        w = cs.Winners.from_dense(x, axis=axis)
        check_rules(w)
        assert w.shape == x.shape
        assert w.dtype == x.dtype
        back = w.toarray()
        assert np.array_equal(back, x, equal_nan=x.dtype.kind == "f")
        assert back.flags.writeable
        assert back.flags.c_contiguous
        vectors = vectors_of(x, axis)
        assert w.counts.shape == tuple(n for a, n in enumerate(x.shape) if a not in np.atleast_1d(w.axis))
        assert w.counts.ravel().tolist() == np.count_nonzero(vectors, axis=1).tolist()
        assert np.array_equal(w.values, vectors[vectors != 0], equal_nan=x.dtype.kind == "f")


@given(dense_arrays(), st.floats(0, 3))
def test_a_threshold_drops_small_magnitudes_and_keeps_nan(x, threshold):
    w = cs.Winners.from_dense(x, threshold)
    wide = x.astype(np.float64)
    expected = np.where(~(np.abs(wide) <= threshold), x, 0)
    assert np.array_equal(w.toarray(), expected, equal_nan=True)
    assert w.nnz == np.count_nonzero(expected)


@given(dense_arrays())
def test_pickles_and_copies_are_equal(x):
    w = cs.Winners.from_dense(x, axis=tuple(range(x.ndim)) if x.shape[0] % 2 else 0)
    for again in (pickle.loads(pickle.dumps(w)), copy.copy(w), copy.deepcopy(w)):
        assert type(again) is cs.Winners
        assert (again.shape, again.axis) == (w.shape, w.axis)
        assert same_bits(again.values, w.values)
        assert same_bits(again.indices, w.indices)
        assert same_bits(again.indptr, w.indptr)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"])
@pytest.mark.parametrize("container", ["array", "matrix"])
def test_scipy_matrices_come_back(form, container, axis):
    rng = np.random.default_rng(3)
    dense = rng.standard_normal((6, 9)) * (rng.random((6, 9)) < 0.3)
    S = getattr(scipy.sparse, f"{form}_{container}")(dense)
    w = cs.Winners.from_scipy(S, axis)
    check_rules(w)
    assert (w.shape, w.axis) == ((6, 9), axis)
    assert np.array_equal(w.toarray(), dense)
    for back in (w.tocsr(), w.tocsc()):
        assert back.shape == (6, 9)
        assert back.has_canonical_format
        assert np.array_equal(back.toarray(), dense)
    assert w.tocsr().format == "csr"
    assert w.tocsr().indptr.dtype == w.tocsr().indices.dtype == w.tocsc().indptr.dtype == np.int32
    assert w.tocsc().format == "csc"
    w.tocsr().data[:] = 7
    assert np.array_equal(w.toarray(), dense)


def test_scipy_input_is_canonicalised_and_left_alone():
    S = scipy.sparse.csr_array(
        (np.array([1.0, 2.0, 4.0, 0.0]), np.array([3, 0, 3, 1]), np.array([0, 3, 4])), shape=(2, 4)
    )
    before = S.data.copy(), S.indices.copy(), S.indptr.copy()
    w = cs.Winners.from_scipy(S)
    assert w.values.tolist() == [2.0, 5.0, 0.0]  # an explicit zero is a stored entry
    assert w.indices.tolist() == [0, 3, 1]
    assert w.indptr.tolist() == [0, 2, 3]
    for now, then in zip((S.data, S.indices, S.indptr), before):
        assert np.array_equal(now, then)
    vector = scipy.sparse.coo_array(np.array([0.0, 3.0, 0.0]))
    assert cs.Winners.from_scipy(vector).toarray().tolist() == [0.0, 3.0, 0.0]


def test_winners_of_other_than_two_axes_become_one_row_per_vector():
    x = np.zeros((2, 3, 4), dtype=np.float32)
    x[1, 2, 3], x[0, 1, 0] = 5, 6
    w = cs.Winners.from_dense(x, axis=1)
    assert w.tocsr().shape == w.tocsc().shape == (8, 3)
    assert np.array_equal(w.tocsr().toarray(), x.transpose(0, 2, 1).reshape(8, 3))
    assert np.array_equal(w.tocsc().toarray(), w.tocsr().toarray())
    assert cs.Winners.from_dense(x[1, 2]).tocsr().shape == (1, 4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_floats_become_float32(dtype):
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    w = cs.Winners.from_dense(np.array([0.0, 1.5, -2.0], dtype=dtype))
    assert w.dtype == np.float32
    assert w.toarray().tolist() == [0.0, 1.5, -2.0]


def test_either_byte_order_any_strides_and_alignment():
    x = np.arange(24, dtype=">f4").reshape(4, 6)[::-2, ::3]
    w = cs.Winners.from_dense(x)
    assert w.dtype == np.dtype("=f4")
    assert np.array_equal(w.toarray(), x)
    values, indices = np.arange(1.0, 9.0)[::2], np.arange(8)[::2]
    assert cs.Winners(values, indices, [0, 4], (8,)).toarray().tolist() == [1, 0, 3, 0, 5, 0, 7, 0]
    shifted = cs.Winners(unaligned(values), unaligned(indices), unaligned(np.array([0, 4])), (8,))
    assert shifted.values.flags.aligned
    assert shifted.toarray().tolist() == [1, 0, 3, 0, 5, 0, 7, 0]


# --- immutable -------------------------------------------------------------------------------------------------------


def test_winners_cannot_be_changed():
    arrays = np.array([1.0, 2.0]), np.array([0, 2], dtype=np.int32), np.array([0, 2])
    w = cs.Winners(*arrays, shape=(4,))
    for array in arrays:
        array[:] = 9
    assert w.toarray().tolist() == [1, 0, 2, 0]
    for name in ("values", "indices", "indptr"):
        array = getattr(w, name)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.setflags(write=True)
        with pytest.raises(ValueError, match="read-only"):
            np.add(array, 1, out=array)
        with pytest.raises(AttributeError):
            setattr(w, name, array)
    for name, value in (("shape", (9,)), ("axis", 3), ("dtype", np.int8), ("nnz", 0), ("counts", None), ("new", 1)):
        with pytest.raises(AttributeError):
            setattr(w, name, value)
    w.__init__(np.zeros(3), [7, 8, 9], [0, 3], (10,))  # does nothing: __new__ has made the object
    assert w.toarray().tolist() == [1, 0, 2, 0]


def test_arrays_outlive_their_winners():
    values = cs.Winners(np.arange(100.0), np.arange(100), [0, 100], (100,)).values
    assert values.tolist() == list(range(100))


def test_objects_without_a_constructor_are_empty():
    for made in (_core.Compressed(), _core.Compressed.__new__(cs.Winners)):
        assert made.nnz == 0
        assert made.values.size == made.indices.size == 0
        assert made.indptr.tolist() == [0, 0]
    check_rules(made)
    assert made.toarray().shape == (0,)


# --- the border ------------------------------------------------------------------------------------------------------

GOOD = {"values": [1.0, 2.0, 3.0], "indices": [0, 3, 1], "indptr": [0, 2, 3], "shape": (2, 4), "axis": -1}

BAD = {
    "indices out of range": ({"indices": [0, 4, 1]}, ValueError, r"4 at position 1 is outside \[0, 4\)"),
    "negative index": ({"indices": [-1, 3, 1]}, ValueError, "-1 at position 0"),
    "descending indices": ({"indices": [3, 0, 1]}, ValueError, "vector 0 must ascend strictly: 3 is followed by 0"),
    "an index twice": ({"indices": [3, 3, 1]}, ValueError, "vector 0 must ascend strictly: 3 is followed by 3"),
    "indptr not from 0": ({"indptr": [1, 2, 3]}, ValueError, r"indptr\[0\] is 1"),
    "indptr descends": ({"indptr": [0, 4, 3]}, ValueError, "descends from 4 to 3|ends at"),
    "indptr past the end": ({"indptr": [0, 2, 4]}, ValueError, "ends at 4"),
    "indptr negative": ({"indptr": [0, -(2**62), 3]}, ValueError, "descends"),
    "indptr too short": ({"indptr": [0, 3]}, ValueError, "has 2 entries.* 2 vectors, which need 3"),
    "indptr empty": ({"indptr": []}, ValueError, "has 0 entries"),
    "fewer values": ({"values": [1.0]}, ValueError, "3 column indices and 1 values"),
    "values with two axes": ({"values": [[1.0, 2.0, 3.0]]}, ValueError, "2 axes"),
    "indices with two axes": ({"indices": [[0, 3, 1]]}, ValueError, "2 axes"),
    "float indices": ({"indices": [0.0, 3.0, 1.0]}, TypeError, "float64"),
    "indices beyond 32 bits": ({"indices": [0, 2**32, 1]}, ValueError, "does not fit int32"),
    "complex values": ({"values": [1j, 2, 3]}, TypeError, "complex128 do not exist"),
    "objects": ({"values": [None, 2, 3]}, TypeError, "object"),
    "bools": ({"values": [True, False, True]}, TypeError, "bool do not exist"),
    "negative size": ({"shape": (2, -4)}, ValueError, "negative size"),
    "no axes": ({"shape": ()}, ValueError, "at least one axis"),
    "shape of floats": ({"shape": (2.0, 4.0)}, TypeError, "tuple of integers"),
    "shape a number": ({"shape": 8}, TypeError, "tuple of integers"),
    "another axis": ({"axis": 0}, ValueError, "4 vectors, which need 5"),
    "axis outside": ({"axis": 2}, ValueError, "axis 2 is outside an array of 2 axes"),
    "axis twice": ({"axis": (0, -2)}, ValueError, "twice"),
    "axis empty": ({"axis": ()}, ValueError, "at least one axis"),
    "axis a float": ({"axis": 1.0}, TypeError, "int or a tuple"),
    "axis None": ({"axis": None}, TypeError, "int or a tuple"),
    "vector too long": ({"shape": (2, 2**31)}, ValueError, "too long"),
    "all axes too long": ({"shape": (2**20, 2**20), "axis": (0, 1), "indptr": [0, 3]}, ValueError, "too long"),
}


@pytest.mark.parametrize("case", BAD)
def test_the_constructor_names_what_is_wrong(case):
    change, error, match = BAD[case]
    assert cs.Winners(**GOOD).nnz == 3
    with pytest.raises(error, match=match):
        cs.Winners(**(GOOD | change))


def test_bad_pickles_raise():
    """A pickle is the constructor's arguments: what it does not accept, no pickle brings in."""
    make, arguments = cs.Winners(**GOOD).__reduce__()
    for position, wrong in ((1, np.array([0, 400, 1], dtype=np.int32)), (2, np.array([0, 2, 2**40])), (3, (2, 2))):
        broken = [*arguments]
        broken[position] = wrong

        class Broken:
            state = tuple(broken)

            def __reduce__(self):
                return make, self.state

        with pytest.raises(ValueError):
            pickle.loads(pickle.dumps(Broken()))


def test_bad_sources_raise():
    with pytest.raises(ValueError, match="scalar"):
        cs.Winners.from_dense(3.0)
    for threshold in (-1, np.nan):
        with pytest.raises(ValueError, match="threshold"):
            cs.Winners.from_dense([1.0], threshold)
    with pytest.raises(TypeError, match="complex64 do not exist"):
        cs.Winners.from_dense(np.zeros(3, dtype=np.complex64))
    with pytest.raises(TypeError, match="ndarray"):
        cs.Winners.from_scipy(np.eye(3))
    with pytest.raises(TypeError, match="complex128"):
        cs.Winners.from_scipy(scipy.sparse.csr_array(np.eye(3) * 1j))
    with pytest.raises(ValueError, match="one axis"):
        cs.Winners.from_scipy(scipy.sparse.csr_array(np.eye(3)), axis=(0, 1))


@settings(max_examples=50)
@given(seeds, st.integers(0, 4), st.integers(0, 6))
def test_random_arrays_are_refused_or_obey_the_rules(seed, n_vectors, length):
    rng = np.random.default_rng(seed)
    nnz = int(rng.integers(0, 5))
    indices = rng.integers(-1, length + 1, nnz)
    indptr = np.concatenate([[0], rng.integers(0, nnz + 1, n_vectors)])
    try:
        w = cs.Winners(np.ones(nnz), indices, np.sort(indptr) if seed % 2 else indptr, (n_vectors, length))
    except ValueError:
        return
    check_rules(w)


def test_operators_with_arrays_are_refused():
    w = cs.Winners(**GOOD)
    with pytest.raises(TypeError):
        np.eye(2) @ w
    with pytest.raises(TypeError):
        np.ones((2, 4)) + w


# --- what Python and NumPy ask of winners -----------------------------------------------------------------------------


@given(dense_arrays())
def test_numpy_sees_the_dense_array(x):
    for axis in (0, -1, tuple(range(x.ndim))):
        w = cs.Winners.from_dense(x, axis=axis)
        for dense in (np.asarray(w), np.array(w), w.toarray()):
            assert type(dense) is np.ndarray
            assert np.array_equal(dense, x, equal_nan=x.dtype.kind == "f")
            assert (dense.shape, dense.dtype) == (x.shape, x.dtype)
        assert np.asarray(w, dtype=np.complex128).dtype == np.complex128
        with pytest.raises(ValueError, match="copy=False"):
            np.asarray(w, copy=False)
        assert w.density == (np.count_nonzero(x) / x.size if x.size else 0.0)
        assert w.nbytes == w.values.nbytes + w.indices.nbytes + w.indptr.nbytes
        assert sys.getsizeof(w) >= w.nbytes


@pytest.mark.parametrize("dtype", DTYPES)
def test_astype_casts_the_values_and_keeps_the_places(dtype):
    w = cs.Winners([2.5, 0.25, 7.0], [0, 3, 1], [0, 2, 3], (2, 4))
    cast = w.astype(dtype)
    assert cast.values.tolist() == np.array([2.5, 0.25, 7.0]).astype(dtype).tolist()
    assert cast.dtype == dtype
    assert same_bits(cast.indices, w.indices)  # a value that became 0 among them
    assert (cast.shape, cast.axis) == (w.shape, w.axis)
    assert w.astype(np.float64) is w
    with pytest.raises(TypeError, match="complex128 do not exist"):
        w.astype(complex)


INDICES = (
    0, -1, 1, 2, slice(None), slice(1, None), slice(None, None, -1), slice(5, 2), [0, 1], [1, 1, 0], [-1], [],
    np.array([True, False, True]), np.int8(1), ..., (..., 0), (slice(None), 1), (slice(None), [2, 0]), (0, ...),
    (0, 1), (slice(1), slice(None), -1), (0, 0, 0), (slice(None),), (), (0, slice(None), [1, 1]), ([0, 2], 1),
)  # fmt: skip


@pytest.mark.parametrize("axis", [0, 1, 2, -1, (0, 1), (1, 2), (0, 2)])
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_an_index_takes_what_numpys_does_or_is_refused(index, axis):
    rng = np.random.default_rng(0)
    x = rng.integers(-1, 2, (3, 4, 3)).astype(np.float32)
    w = cs.Winners.from_dense(x, axis=axis)
    parts = index if isinstance(index, tuple) else (index,)
    dots = next((i for i, part in enumerate(parts) if part is ...), len(parts))
    whole = [*parts[:dots], *[slice(None)] * (3 - len(parts) + (dots < len(parts))), *parts[dots + 1 :]]
    axes = [a % 3 for a in (axis if isinstance(axis, tuple) else (axis,))]
    takes = all(isinstance(whole[a], slice) and whole[a] == slice(None) for a in axes)
    if any(np.ndim(part) for part in whole) and any(isinstance(part, (int, np.integer)) for part in whole):
        takes = False  # NumPy's rules for a list beside an integer are not winners'
    try:
        expected = x[index]
    except IndexError:
        takes = False
    if not takes:
        with pytest.raises(IndexError):
            w[index]
        return
    taken = w[index]
    check_rules(taken)
    assert taken.shape == expected.shape
    assert np.array_equal(np.asarray(taken), expected)


@pytest.mark.parametrize(
    "index", [None, 1.5, "a", True, [[0]], ([0, 1], [0, 1]), 3, -4, [3], [True], (0, 0, 0, 0), (..., ...)], ids=str
)
def test_bad_indices(index):
    w = cs.Winners.from_dense(np.ones((3, 3, 2)))
    with pytest.raises(IndexError):
        w[index]


def test_winners_are_a_sequence_of_what_their_first_axis_holds():
    x = np.arange(6.0).reshape(3, 2)
    w = cs.Winners.from_dense(x)
    assert len(w) == 3
    assert [v.toarray().tolist() for v in w] == x.tolist()
    with pytest.raises(IndexError, match="compete along axis 0"):
        list(cs.Winners.from_dense(x, axis=0))


def test_weak_references():
    w = cs.kwta(np.ones(3), 1)
    reference = weakref.ref(w)
    assert reference() is w
    del w
    gc.collect()
    assert reference() is None


def test_notebooks_see_what_there_is():
    html = cs.Winners([5.0, -1.0, 2.0], [0, 3, 1], [0, 2, 3], shape=(2, 4))._repr_html_()
    for words in ("(2, 4), float64", "2 along axis 1", "3, 37.50%; in a vector 1 to 2 of 4", f"{3 * 12 + 24} bytes"):
        assert words in html
    assert "no vectors" in cs.Winners([], [], [0], (0, 4))._repr_html_()


# --- sizes that no memory has -----------------------------------------------------------------------------------------


def test_sizes_that_would_wrap_are_refused():
    many, long = np.empty((2**61, 0), np.int8), np.broadcast_to(np.int8(1), (2**20, 2**30))
    for call in (
        lambda: cs.kwta(many, 0),
        lambda: cs.kwta_dense(many, 0),
        lambda: cs.Winners.from_dense(many),
        lambda: cs.kwta(long, 2**30),
        lambda: cs.kwta_dense(long, 1.0),
        lambda: cs.linear(
            np.empty((2**60, 0), np.float32), cs.ComplementaryMatrix((3, 0), dtype=np.float32), winners=1
        ),
    ):
        with pytest.raises(
            ValueError,
            match=r"2305843009213693952 vectors|1125899906842624 winners|1152921504606846976 vectors|2\*\*47",
        ):
            call()


@pytest.mark.parametrize("axis", [0, (0, 1)])
def test_the_longest_vector(axis):
    length = 2**31
    with pytest.raises(ValueError, match="vectors of 2147483648 entries are too long"):
        cs.kwta(np.broadcast_to(np.int8(1), (length, 1)), 1, axis=axis)
    with pytest.raises(ValueError, match="vectors of 2147483648 entries are too long"):
        cs.Winners([], [], [0, 0], (length, 1), axis)
    w = cs.Winners([7], [length - 2], [0, 1], (length - 1, 1), axis)
    assert w.indices.tolist() == [length - 2]
    assert w.nnz == 1
