# SPDX-License-Identifier: BSD-3-Clause
"""Products against the oracle: every ISA level, dtype, tile edge, memory order and kind of operand."""

import itertools
import pathlib
import re
import subprocess
import sys

import guarded
import hypothesis.strategies as st
import levels
import numpy as np
import pytest
import scipy.sparse
import scipy.special
from foreign import Foreign
from hypothesis import given
from numpy.testing import assert_array_equal
from oracle import (
    COMPUTE,
    FORMS,
    Expected,
    apply,
    assert_product,
    cases,
    csr_of,
    draw,
    expected,
    input_shape,
    output_features,
    random_csr,
    result_dtype,
)
from strategies import unaligned

import complsparse as cs
from complsparse import _core, _dtypes

# None, the edges of every tile, and the widest tile of row groups with half of another.
BATCHES = (*levels.edges(), 3 * levels.widths("row_groups")[-1] // 2)
INTEGERS = tuple(map(np.dtype, "bBhHiIlLqQ"))
FLOATS = tuple(map(np.dtype, "efd"))
DTYPES = (np.dtype(np.bool_), *INTEGERS, *FLOATS)

every_type = pytest.mark.parametrize("dtype", COMPUTE.values(), ids=COMPUTE.keys())


def check_batches(S, batches, rng, note=""):
    """All batch sizes from both sides; the first columns of one reference serve them all."""
    W, dtype = S.packed(), result_dtype(S.data.dtype, S.data.dtype)
    for form in FORMS:
        X = draw(rng, input_shape(form, S.shape, max(batches)), S.data.dtype)
        wanted = expected(S, X, dtype, form)
        for n in batches:
            part = np.s_[:, :n] if form == "W @ X" else np.s_[:n]
            actual = apply(form, W, np.ascontiguousarray(X[part]))
            assert_product(actual, Expected(*(array[part] for array in wanted)), dtype, (note, form, S.shape, n))


# --- sizes -----------------------------------------------------------------------------------------------------------


@every_type
def test_small_sizes(isa, dtype):
    """Around the edges of row groups, lanes and windows, with every batch around the edges of the tiles."""
    rng = np.random.default_rng(1)
    densities = itertools.cycle([0.1, 0.5, 1, 0, 0.3])
    for shape in itertools.product((0, 1, 3, 4, 5, 8, 9, 17), (0, 1, 2, 3, 4, 5, 17, 33)):
        check_batches(random_csr(rng, shape, next(densities), dtype), BATCHES, rng)


@pytest.mark.parametrize(
    ("shape", "density"),
    [
        ((127, 511), 0.05),  # panels have at least 128 rows, blocks 512 columns and more
        ((128, 512), 0.08),
        ((129, 513), 0.03),
        ((132, 1023), 0.02),
        ((256, 1024), 0.04),
        ((257, 1025), 0.035),
        ((5, 2047), 0.1),
        ((4, 2048), 0.01),
        ((3, 2049), 0.3),
        ((9, 4097), 0.02),
        ((2047, 65), 0.05),  # panels have at most 2048 rows
        ((2048, 33), 0.02),
        ((2049, 34), 0.1),
        ((4097, 17), 0.1),
        ((40, 300), 0.9),
        ((300, 9000), 0.016),  # the sparser, the wider a block
        ((1500, 9000), 0.003),
    ],
)
@every_type
def test_panel_and_block_edges(isa, dtype, shape, density):
    rng = np.random.default_rng(2)
    check_batches(random_csr(rng, shape, density, dtype), (1, 2, 5, 16, 33), rng)


@every_type
def test_columns_and_blocks_without_entries(isa, dtype):
    """Layouts may leave out columns that no row owns, and blocks in which a row, or every row, owns nothing."""
    rng = np.random.default_rng(18)
    for rows, cols, owned in (
        (30, 1500, (np.s_[:400], np.s_[1100:])),  # nothing in between
        (300, 1500, (np.s_[:400], np.s_[1100:])),
        (300, 1600, (np.s_[600:],)),  # nothing first
        (140, 1600, (np.s_[:900],)),  # nothing last
        (9, 2100, (np.s_[:3], np.s_[1000:1004], np.s_[-1:])),  # few columns at all
        (150, 5000, (np.s_[::7],)),
        (150, 5000, (np.s_[100:101],)),
        (3, 1024, ()),
    ):
        mask = np.zeros((rows, cols), bool)
        for columns in owned:
            mask[:, columns] = rng.random(mask[:, columns].shape) < 0.15
        mask[::5] = False
        check_batches(csr_of(mask, draw(rng, mask.sum(), dtype)), (1, 2, 5, 16, 17, 33), rng)


@every_type
def test_panels_that_own_different_blocks(isa, threads, dtype):
    """A task with several panels brings in the columns of all of them, whatever the first one owns."""
    rng = np.random.default_rng(19)
    mask = np.zeros((400, 3200), bool)
    for rows, columns in ((np.s_[:130], np.s_[:500]), (np.s_[130:], np.s_[900:2500]), (np.s_[250:270], np.s_[2600:])):
        mask[rows, columns] = rng.random(mask[rows, columns].shape) < 0.1
    S = csr_of(mask, draw(rng, mask.sum(), dtype))
    with threads(16):  # the more threads a layout is made for, the shorter its panels
        check_batches(S, (2, 5, 16, 17), rng)


@pytest.mark.parametrize("cols", [65535, 65536, 65537, 70001])
def test_more_columns_than_windows_can_address(isa, cols):
    rng = np.random.default_rng(3)
    mask = rng.random((9, cols)) < 0.001
    mask[:, -1] = True
    check_batches(csr_of(mask, draw(rng, mask.sum(), np.float32)), (1, 3), rng)


@pytest.mark.parametrize("dtype", COMPUTE.values(), ids=COMPUTE.keys())
def test_rows_read_in_place_have_the_same_bits_for_every_width(isa, dtype):
    """One column, full registers and what is left of them: each output is one ascending sum, bias and ReLU included."""
    rng = np.random.default_rng(31)
    S = random_csr(rng, (150, 70_001), 3e-5, dtype)
    W = S.packed()
    if "stored_rows" not in [candidate["layout"] for candidate in _core.candidates(W, 1, dtype)]:
        pytest.skip("not run: no micro-kernel reads the stored rows of this type")
    X, bias = draw(rng, (70_001, 36), dtype), draw(rng, 150, dtype)
    if dtype.kind == "f":
        X[:, 7] = np.nan
    for options in ({}, {"bias": bias}, {"bias": bias, "activation": "relu"}):
        assert W.plan(n=1).microkernel.startswith("stored_rows_")
        wide = cs.matmul(W, X, **options)
        for n in (32, 33, 34, 35):
            assert_array_equal(cs.matmul(W, np.ascontiguousarray(X[:, :n]), **options), wide[:, :n])
        for j in range(36):
            assert_array_equal(cs.matmul(W, X[:, j], **options), wide[:, j])
            apart, out = np.repeat(X[:, j], 3)[::3], np.full(300, 7, dtype)
            assert_array_equal(cs.matmul(W, apart, out=out[::2], **options), wide[:, j])
            assert (out[1::2] == 7).all()


@pytest.mark.parametrize("density", [0.01, 0.03, 0.05, 0.1, 0.4])
def test_one_column_at_every_density(isa, density):
    """Two windows, three windows and gathers only; rows of very different length side by side."""
    rng = np.random.default_rng(4)
    for shape in ((8, 100), (64, 257), (67, 1000), (1, 3000), (300, 4), (301, 3)):
        check_batches(random_csr(rng, shape, density), (1,), rng)
    lengths = np.array([0, 1, 2, 3, 50, 99, 100, 1, 0, 7, 100, 100])
    mask = np.arange(100) < lengths[:, None]
    S = random_csr(rng, mask.shape, 1)
    S = S._replace(
        data=S.data[mask.ravel()], indices=S.indices[mask.ravel()], indptr=np.concatenate([[0], np.cumsum(lengths)])
    )
    check_batches(S, (1, 2), rng)


# --- dtypes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", DTYPES, ids=lambda dtype: dtype.char)
def test_dtype_pairs(w):
    """Every pair of the documented table, each form, one column and several."""
    rng = np.random.default_rng(5)
    S = random_csr(rng, (19, 37), 0.3, w)
    W = S.packed()
    for x, n in itertools.product(DTYPES, (1, 3)):
        for form in FORMS:
            X = draw(rng, input_shape(form, S.shape, n), x)
            result = result_dtype(w, x)
            assert_product(apply(form, W, X), expected(S, X, result, form), result, (w, x, form, n))


@pytest.mark.parametrize(
    ("w", "x", "result"),
    [
        ("f4", "f4", "f4"),
        ("f8", "f8", "f8"),
        ("f4", "f8", "f8"),
        ("f8", "f4", "f8"),
        ("f2", "f2", "f4"),
        ("f2", "f4", "f4"),
        ("f4", "f2", "f4"),
        ("f2", "f8", "f8"),
        ("i1", "i1", "i4"),
        ("i1", "u1", "i4"),
        ("u1", "i1", "i2"),
        ("u1", "u1", "u1"),
        ("i1", "i2", "i2"),
        ("?", "?", "?"),
        ("?", "i1", "i1"),
        ("i8", "u8", "f8"),
        ("u8", "u8", "u8"),
        ("f4", "i2", "f4"),
        ("f4", "i4", "f8"),
        ("f2", "?", "f4"),
        ("f2", "i1", "f4"),
    ],
)
def test_result_dtype(w, x, result):
    W = cs.from_coo(np.ones(2, w), ([0, 1], [1, 0]), (2, 2))
    assert cs.matmul(W, np.ones(2, x)).dtype == np.dtype(result)
    assert cs.matmul(np.ones(2, x), W).dtype == np.dtype(result)


@pytest.mark.parametrize("page", ["README.md", "docs/numerics.md"])
def test_table_of_dtypes(page):
    """Pages and errors show the same rows: the products that exist, and the rules that `_dtypes` follows."""
    lines = (pathlib.Path(__file__).resolve().parents[1] / page).read_text().splitlines()
    start = lines.index("| W | x | result | computed in |")
    end = next(i for i in range(start, len(lines)) if not lines[i].startswith("|"))
    shown = [[cell.strip() for cell in line.replace("`", "").strip("|").split("|")] for line in lines[start + 2 : end]]
    assert shown == [list(row) for row in _dtypes.table_rows()]
    with pytest.raises(TypeError) as error:
        cs.matmul(cs.from_dense(np.eye(2)), np.ones(2, np.longdouble))
    table = str(error.value).splitlines()[1:]
    assert [re.split(r" {2,}", line) for line in table[1:]] == shown


def test_products_that_exist_are_computed_in_their_own_dtype():
    for row in _core.products():
        types = _dtypes.product_types(np.dtype(row["w"]), np.dtype(row["x"]))
        assert (types.compute.name, types.result.name) == (row["sum"], row["y"])


@pytest.mark.parametrize("result", ["f4", "f8", "f2"])
@pytest.mark.parametrize("w", ["f4", "f8", "f2", "i4"])
def test_dtype_option_of_floats(w, result):
    rng = np.random.default_rng(6)
    S = random_csr(rng, (20, 30), 0.3, w) if w != "i4" else random_csr(rng, (20, 30), 0.3, "i1")
    S = S._replace(data=S.data.astype(w))
    X = draw(rng, (30, 3), np.float32)
    actual = cs.matmul(S.packed(), X, dtype=result)
    assert_product(actual, expected(S, X, np.dtype(result)), result)
    out = np.full((20, 3), 7, result)
    assert cs.matmul(S.packed(), X, dtype=result, out=out) is out
    assert_array_equal(out, actual)


@pytest.mark.parametrize("result", ["i1", "i2", "i4", "i8", "q"])
def test_dtype_option_of_integers(result):
    """A wider result loses nothing, a narrower one is the sum modulo 2**bits."""
    rng = np.random.default_rng(7)
    S = random_csr(rng, (20, 30), 0.3, np.int16)
    X = draw(rng, (30, 3), np.int16)
    wanted = (S.packed().toarray().astype(object) @ X.astype(object)).astype(np.int64).astype(result)
    assert_array_equal(cs.matmul(S.packed(), X, dtype=result), wanted, strict=True)


@pytest.mark.parametrize("n", [1, 5])
def test_out_of_a_dtype_with_two_names(n):
    """On common platforms np.longlong and np.int64 are equal dtypes of different type number."""
    rng = np.random.default_rng(8)
    for w, x, y in itertools.product((np.int64, np.longlong), repeat=3):
        S = random_csr(rng, (9, 11), 0.5, w)
        X, out = draw(rng, (11, n), x), np.empty((9, n), y)
        assert cs.matmul(S.packed(), X, out=out) is out
        assert_array_equal(out, expected(S, X, np.dtype(np.int64)).value)


# --- memory of the dense operand -------------------------------------------------------------------------------------


def with_offset(array, offset):
    """The same values, their memory starting `offset` bytes into a line."""
    raw = np.zeros(array.nbytes + 128, dtype=np.uint8)
    start = -raw.ctypes.data % 64 + offset
    shifted = raw[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    shifted[...] = array
    return shifted


def spread(array, steps):
    wide = np.zeros([n * abs(step) + 1 for n, step in zip(array.shape, steps)], dtype=array.dtype)
    view = wide[tuple(np.s_[::step] for step in steps)][tuple(np.s_[:n] for n in array.shape)]
    view[...] = array
    return view


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def odd_strides(array):
    """Strides that are no whole number of elements, as fields of a record have them."""
    record = np.zeros(array.shape, dtype=[("tag", np.uint8), ("value", array.dtype)])
    record["value"] = array
    return record["value"]


LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "rows backwards": lambda a: a[::-1].copy()[::-1],
    "columns backwards": lambda a: a[:, ::-1].copy()[:, ::-1],
    "both backwards": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "every 2nd row": lambda a: spread(a, (2, 1)),
    "every 3rd column": lambda a: spread(a, (1, 3)),
    "every 2nd of both": lambda a: spread(a, (2, 2)),
    "stepped backwards": lambda a: spread(a, (-2, -3)),
    "Fortran, stepped": lambda a: spread(a.T, (3, 2)).T,
    "column repeated": lambda a: np.broadcast_to(a[:, :1], a.shape),
    "row repeated": lambda a: np.broadcast_to(a[:1], a.shape),
    "all the same": lambda a: np.broadcast_to(a[:1, :1], a.shape),
    "4 bytes off": lambda a: with_offset(a, 4 if a.itemsize == 4 else 8),
    "20 bytes off": lambda a: with_offset(a, 20 if a.itemsize == 4 else 24),
    "unaligned": unaligned,
    "odd strides": odd_strides,
    "swapped bytes": lambda a: a.astype(a.dtype.newbyteorder()),
    "read-only": read_only,
    "matrix": lambda a: np.asmatrix(a),
    "list": lambda a: a.tolist(),
    "DLPack": lambda a: Foreign(np.ascontiguousarray(a)),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_of_the_input(isa, layout):
    """Any memory gives the bits of a plain array; the caller's array is not changed."""
    rng = np.random.default_rng(9)
    sizes = ((37, 530), 0.05), ((9, 1030), 0.005)  # with the second, columns without entries are left out
    for dtype, n, size in itertools.product((np.float32, np.float64, np.int64), (1, 3, 8, 16, 21, 40), sizes):
        S = random_csr(rng, *size, dtype)
        W = S.packed()
        for form in FORMS:
            X = LAYOUTS[layout](draw(rng, input_shape(form, S.shape, n), dtype))
            plain = np.array(X.array if layout == "DLPack" else X, order="C", dtype=dtype, subok=False)
            before = plain.tobytes()
            actual = apply(form, W, X)
            wanted = apply(form, W, plain)
            result = np.float64 if layout == "list" and dtype == np.float32 else dtype
            if result == dtype:
                assert (actual.dtype, actual.tobytes()) == (wanted.dtype, wanted.tobytes()), (form, dtype, n)
            else:
                assert actual.dtype == result
            assert_product(actual, expected(S, plain, np.dtype(result), form), result)
            assert np.asarray(X.array if layout == "DLPack" else X, dtype=dtype).tobytes() == before


@pytest.mark.parametrize("n", [1, 6])
def test_memory_map(tmp_path, n):
    rng = np.random.default_rng(10)
    S = random_csr(rng, (40, 60), 0.2)
    X = draw(rng, (60, n), np.float32)
    X.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", dtype=np.float32, mode="r", shape=X.shape)
    out = np.memmap(tmp_path / "y", dtype=np.float32, mode="w+", shape=(40, n))
    assert_product(cs.matmul(S.packed(), mapped), expected(S, X, np.float32), np.float32)
    assert cs.matmul(S.packed(), mapped, out=out) is out
    assert_array_equal(np.asarray(out), cs.matmul(S.packed(), X))


OUTPUTS = {
    "C": lambda shape, dtype: np.empty(shape, dtype),
    "Fortran": lambda shape, dtype: np.empty(shape[::-1], dtype).T,
    "columns of a wider array": lambda shape, dtype: np.empty((shape[0], shape[1] + 7), dtype)[:, 3:-4],
    "rows of a taller array": lambda shape, dtype: np.empty((shape[0] + 5, shape[1]), dtype)[2:-3],
    "Fortran, columns": lambda shape, dtype: np.empty((shape[1] + 3, shape[0] + 9), dtype)[1:-2, 4:-5].T,
    "stepped": lambda shape, dtype: np.empty((2 * shape[0], 3 * shape[1]), dtype)[1::2, 2::3],
    "backwards": lambda shape, dtype: np.empty(shape, dtype)[::-1, ::-1],
    "stepped backwards": lambda shape, dtype: np.empty((3 * shape[0], 2 * shape[1]), dtype)[::-3, ::-2],
    "4 bytes off": lambda shape, dtype: with_offset(np.empty(shape, dtype), 4 if np.dtype(dtype).itemsize == 4 else 8),
    "unaligned": lambda shape, dtype: unaligned(np.empty(shape, dtype)),
    "odd strides": lambda shape, dtype: odd_strides(np.empty(shape, dtype)),
    "subclass": lambda shape, dtype: np.empty(shape, dtype).view(np.recarray),
}


def memory_of(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


@pytest.mark.parametrize("kind", OUTPUTS)
def test_memory_of_the_output(isa, kind):
    """`out` is filled, is what is returned, and nothing round it is touched."""
    rng = np.random.default_rng(11)
    for dtype, n in itertools.product((np.float32, np.float64, np.int64), (1, 3, 8, 16, 21, 40)):
        S = random_csr(rng, (41, 50), 0.2, dtype)
        W = S.packed()
        for form in FORMS:
            X = draw(rng, input_shape(form, S.shape, n), dtype)
            bias = draw(rng, output_features(form, S.shape), dtype)
            for options in ({}, {"bias": bias}, {"activation": "relu"}, {"bias": bias, "activation": "relu"}):
                wanted = apply(form, W, X, **options)
                out = OUTPUTS[kind](wanted.shape, dtype)
                memory = memory_of(out)
                memory.view(np.uint8)[...] = 0xA5
                assert apply(form, W, X, out=out, **options) is out
                assert np.ascontiguousarray(out, dtype).tobytes() == wanted.tobytes(), (form, dtype, n, options)
                out.view(np.ndarray)[...] = np.frombuffer(b"\xa5" * 8, dtype)[0]
                assert (memory.view(np.uint8) == 0xA5).all(), (form, dtype, n)


@pytest.mark.parametrize("part", [[], ["narrow"]], ids=["wide", "narrow"])
@pytest.mark.parametrize("level", [level["name"] for level in cs._core.isa_levels()])
def test_nothing_is_read_or_written_outside_the_arrays(level, part):
    """Operands end (and begin) at pages that nobody may touch; a process of its own, as a fault ends it."""
    if level not in cs.isa_levels():
        pytest.skip(f"not run: {level} is not supported by this CPU")
    command = [sys.executable, guarded.__file__, level, *part]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)


# --- axes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(), (1,), (3,), (2, 3), (1, 4, 2), (0,), (2, 0), (0, 3)])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_leading_axes(isa, lead, n):
    rng = np.random.default_rng(12)
    for dtype, density in ((np.float32, 0.2), (np.float64, 0.02), (np.int16, 0.2)):
        S = random_csr(rng, (23, 31), density, dtype)
        W, result = S.packed(), result_dtype(dtype, dtype)
        bias = draw(rng, 23, dtype)
        for form in FORMS:
            X = draw(rng, (*lead, *input_shape(form, S.shape, n)), dtype)
            options = {} if form == "X @ W" else {"bias": bias}
            wanted = expected(S, X, result, form, **options)
            assert_product(apply(form, W, X, **options), wanted, result)
            assert_product(apply(form, W, np.asfortranarray(X), **options), wanted, result)
            for out in (np.empty(wanted.value.shape, result), np.empty(wanted.value.shape, result, order="F")):
                assert apply(form, W, X, out=out, **options) is out
                assert_product(out, wanted, result)
            swapped = np.moveaxis(np.ascontiguousarray(np.moveaxis(X, 0, -1)), -1, 0)
            assert_product(apply(form, W, swapped, **options), wanted, result)


def test_one_vector(isa):
    rng = np.random.default_rng(13)
    for dtype in DTYPES:
        S = random_csr(rng, (23, 31), 0.2, dtype)
        W, result = S.packed(), result_dtype(dtype, dtype)
        for form, size in zip(FORMS, (31, 23, 31)):
            x = draw(rng, size, dtype)
            wanted = expected(S, x, result, form)
            assert wanted.value.ndim == 1
            for view in (x, x[::-1].copy()[::-1], np.repeat(x, 2)[::2], x.astype(dtype.newbyteorder())):
                assert_product(apply(form, W, view), wanted, result)
            out = np.empty(3 * len(wanted.value), result)[::3]
            assert apply(form, W, x, out=out) is out
            assert_product(np.array(out), wanted, result)


def test_numpy_and_scipy_speak_to_it():
    """Operators, np.matmul, dot, and a sparse operand mean the same product."""
    rng = np.random.default_rng(14)
    S = random_csr(rng, (12, 15), 0.3)
    W, X = S.packed(), draw(rng, (15, 4), np.float32)
    wanted = cs.matmul(W, X)
    assert_array_equal(W @ X, wanted)
    assert_array_equal(np.matmul(W, X), wanted)
    assert_array_equal(W.dot(X), wanted)
    assert_array_equal(W.matmat(X), wanted)
    assert_array_equal((X.T @ W.T).T, wanted)
    assert_array_equal(W.T.T @ X, wanted)
    assert_array_equal(W.mT.T @ X, wanted)
    sparse = scipy.sparse.csc_array(X * (rng.random(X.shape) < 0.5))
    assert_product(cs.matmul(W, sparse), expected(S, sparse.toarray(), np.float32), np.float32)
    assert_product(cs.matmul(sparse.T, W.T), expected(S, sparse.toarray().T, np.float32, "linear"), np.float32)
    assert_product(cs.linear(sparse.T, W), expected(S, sparse.toarray().T, np.float32, "linear"), np.float32)


@every_type
def test_transposed(isa, dtype):
    """W.T has the products of a matrix packed from the transpose; to the bit where both sum in one order."""
    rng = np.random.default_rng(15)
    for shape in ((30, 70), (1, 9), (140, 20)):
        S = random_csr(rng, shape, 0.2, dtype)
        of_view, of_copy = S.packed().T, S.T.packed()
        for form, n in itertools.product(FORMS, (1, 4, 18)):
            X = draw(rng, input_shape(form, S.T.shape, n), dtype)
            actual = apply(form, of_view, X)
            assert_product(actual, expected(S.T, X, np.dtype(dtype), form), dtype)
            _core.set_deterministic(True)
            assert apply(form, of_view, X).tobytes() == apply(form, of_copy, X).tobytes()
            _core.set_deterministic(False)


# --- bias and activation ---------------------------------------------------------------------------------------------


@every_type
def test_bias_and_relu(isa, dtype):
    rng = np.random.default_rng(16)
    for shape, density in (((35, 60), 0.2), ((35, 60), 0), ((9, 0), 0), ((300, 1100), 0.02)):
        S = random_csr(rng, shape, density, dtype)
        W = S.packed()
        for form, n, relu in itertools.product(FORMS, (1, 2, 8, 16, 19, 45), (False, True)):
            X = draw(rng, input_shape(form, shape, n), dtype)
            bias = draw(rng, output_features(form, shape), dtype)
            kept = bias.copy()
            for given_bias in (None, bias):
                actual = apply(form, W, X, bias=given_bias, activation="relu" if relu else None)
                assert_product(actual, expected(S, X, np.dtype(dtype), form, given_bias, relu), dtype)
            assert_array_equal(bias, kept)


def test_bias_of_any_kind():
    rng = np.random.default_rng(17)
    S = random_csr(rng, (35, 60), 0.2)
    W, X, bias = S.packed(), draw(rng, (60, 3), np.float32), draw(rng, 35, np.float32)
    wanted = cs.matmul(W, X, bias=bias)
    kinds = (
        bias.tolist(),
        bias.astype(np.float64),
        bias[::-1].copy()[::-1],
        np.repeat(bias, 2)[::2],
        bias.astype(">f4"),
        unaligned(bias),
        read_only(bias),
        Foreign(bias),
    )
    for kind in kinds:
        assert_array_equal(cs.matmul(W, X, bias=kind), wanted)
    assert_array_equal(cs.matmul(W, X, bias=np.arange(35)), cs.matmul(W, X, bias=np.arange(35, dtype=np.float32)))


@pytest.mark.parametrize("n", [1, 2, 8, 16])
def test_relu_keeps_nan(isa, n):
    W = cs.from_dense(np.eye(3, dtype=np.float32))
    X = np.tile(np.array([[np.nan], [-np.inf], [np.inf]], np.float32), n)
    wanted = np.tile(np.array([[np.nan], [0], [np.inf]], np.float32), n)
    assert_array_equal(cs.matmul(W, X, activation="relu"), wanted)
    bias = np.array([1, np.nan, -np.inf], np.float32)
    assert np.isnan(cs.matmul(W, X, bias=bias, activation="relu")).all()


# --- everything mixed ------------------------------------------------------------------------------------------------

sizes = st.one_of(st.integers(0, 40), st.sampled_from([127, 128, 129, 257]))
wide_sizes = st.one_of(st.integers(0, 80), st.sampled_from([511, 512, 513, 1024, 1025, 2049]))


@cases(60)
@given(
    shape=st.tuples(sizes, wide_sizes),
    n=st.one_of(st.sampled_from(BATCHES), st.integers(1, 70)),
    density=st.sampled_from([0, 0.003, 0.02, 0.05, 0.2, 0.5, 1]),
    types=st.tuples(st.sampled_from(DTYPES), st.sampled_from(DTYPES)),
    form=st.sampled_from(FORMS),
    transposed=st.booleans(),
    layout=st.sampled_from(
        [name for name in LAYOUTS if "repeated" not in name and name not in ("all the same", "matrix")]
    ),
    output=st.sampled_from([None, *OUTPUTS]),
    with_bias=st.booleans(),
    relu=st.booleans(),
    n_threads=st.sampled_from([1, 2, 4]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_product(
    isa, threads, shape, n, density, types, form, transposed, layout, output, with_bias, relu, n_threads, seed
):
    rng = np.random.default_rng(seed)
    S = random_csr(rng, shape[::-1] if transposed else shape, density * (0.3 if shape[1] > 100 else 1), types[0])
    W = S.packed()
    if transposed:
        S, W = S.T, W.T
    X = draw(rng, input_shape(form, shape, n), types[1])
    result = result_dtype(*types)
    bias = None
    if with_bias:
        bias = draw(rng, output_features(form, shape), "i1" if result.kind in "biu" else "f4")
    wanted = expected(S, X, result, form, bias, relu)
    given_x = X if layout in ("list", "swapped bytes", "DLPack") and X.dtype.itemsize < 2 else LAYOUTS[layout](X)
    if layout == "list":
        given_x = X
    out = OUTPUTS[output](wanted.value.shape, result) if output else None
    with threads(n_threads):
        actual = apply(form, W, given_x, out=out, bias=bias, activation="relu" if relu else None)
    assert out is None or actual is out
    assert_product(np.asarray(actual).view(np.ndarray), wanted, result)


def test_batches_of_nothing():
    """An inner size of 0 gives zeros, whatever axes stand in front."""
    W = cs.ComplementaryMatrix((3, 0), dtype=np.float32)
    assert_array_equal(cs.linear(np.zeros((2, 2, 0), np.float32), W), np.zeros((2, 2, 3)))
    assert_array_equal(cs.matmul(np.zeros((2, 2, 0), np.float32), W.T), np.zeros((2, 2, 3)))
    assert_array_equal(cs.matmul(W, np.zeros((2, 2, 0, 1), np.float32)), np.zeros((2, 2, 3, 1)))
    assert cs.linear(np.zeros((0, 2, 0), np.float32), W).shape == (0, 2, 3)


def test_relu_sees_the_sign_of_the_result():
    """Integers wrap first: an unsigned result is never negative, a narrow one may become so."""
    unsigned = cs.matmul(cs.from_dense(np.array([[1]], np.uint64)), np.array([2**63 + 5], np.uint64), activation="relu")
    assert_array_equal(unsigned, np.array([2**63 + 5], np.uint64))
    narrow = cs.matmul(
        cs.from_dense(np.array([[200, 200]], np.int16)), np.array([100, 100]), activation="relu", dtype="i2"
    )
    assert_array_equal(narrow, np.array([0], np.int16))


def test_out_that_repeats_elements_is_refused():
    W = cs.from_dense(np.eye(5, dtype=np.float32))
    out = np.lib.stride_tricks.as_strided(np.zeros(60, np.float32), (5, 5), (4, 4))
    with pytest.raises(ValueError, match="repeats elements"):
        cs.matmul(W, np.ones((5, 5), np.float32), out=out)


EXACT = {
    None: lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "gelu": lambda z: z * scipy.special.ndtr(z),
    "sigmoid": scipy.special.expit,
}


@every_type
@pytest.mark.parametrize("transposed", [False, True])
def test_rows_without_entries_are_what_the_epilogue_makes_of_zero(isa, dtype, transposed):
    """Whatever lay in `out`, and where y is fresh; any strides, and gaps longer than are filled at once."""
    rng = np.random.default_rng(32)
    dense = np.zeros((3000, 70), dtype)
    dense[[3, 4, 700, 1999]] = rng.integers(-2, 3, (4, 70))
    W = cs.from_dense(np.ascontiguousarray(dense.T)).T if transposed else cs.from_dense(dense)
    bias, x = rng.integers(-3, 4, 3000).astype(dtype), rng.integers(-2, 3, (70, 40)).astype(dtype)
    tried = 0
    for n, batch_major, b, activation in itertools.product(
        (1, 3, 40), (False, True), (None, bias), EXACT if dtype.kind == "f" else (None, "relu")
    ):
        layouts = [candidate["layout"] for candidate in _core.candidates(W, n, dtype, batch_major)]
        if "listed_rows" not in layouts:
            continue
        at = layouts.index("listed_rows")
        plan = _core.make_plan(W, n, dtype, batch_major, b, activation, False, candidate=at)
        sums = dense.astype(np.float64) @ x[:, :n] + (0 if b is None else b.astype(np.float64)[:, None])
        right = EXACT[activation](sums)
        right, own = (right.T, x[:, :n].T) if batch_major else (right, x[:, :n])
        filled = np.full(right.shape, 7, dtype)
        for y in (plan(np.ascontiguousarray(own)), plan(own, out=filled), filled):
            np.testing.assert_allclose(y, right, rtol=1e-5, atol=1e-5)
        tried += 1
    if tried == 0:
        pytest.skip("not run: no micro-kernel reads the stored rows of this type")
