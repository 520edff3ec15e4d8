# SPDX-License-Identifier: BSD-3-Clause
"""bfloat16 weights: stored in 2 bytes, multiplied as the float32 values that they are.

The oracle knows nothing of the library: values rounded by ml_dtypes, a product in float64, the bound of float32.
"""

import copy
import itertools
import json
import operator
import pickle
import struct
import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from numpy.testing import assert_array_equal

import complsparse as cs
from complsparse._cli.main import main
from complsparse._files import readers, saved

ml_dtypes = pytest.importorskip("ml_dtypes")
BF16 = np.dtype(ml_dtypes.bfloat16)
NAMES = ["bfloat16", ml_dtypes.bfloat16, BF16]
FORMS = {
    "W @ X": (lambda W, X, **options: cs.matmul(W, X, **options), lambda A, X: A @ X),
    "X @ W": (lambda W, X, **options: cs.matmul(X.T, W.T, **options), lambda A, X: (A @ X).T),
    "linear": (lambda W, X, **options: cs.linear(X.T, W, **options), lambda A, X: (A @ X).T),
}
FLOATS = [np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64), BF16]
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def bits(array):
    return np.ascontiguousarray(array).view(np.uint16)


def nearest_even(values):
    """The bits of float32 values rounded to bfloat16 by integer arithmetic; no NaN among them."""
    wide = np.asarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    return ((wide + 0x7FFF + ((wide >> 16) & 1)) >> 16).astype(np.uint16)


def dense(shape, density=0.3, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < density, rng.standard_normal(shape), 0).astype(dtype)


def assert_close(actual, A, X, dtype=np.float32, bias=None, back=lambda a: a):
    """`actual` against float64 sums of A (bfloat16 values) times X, both (.., ..), component by component."""
    wide_a, wide_x = A.astype(np.float64), X.astype(np.float64)
    exact, size = wide_a @ wide_x, np.abs(wide_a) @ np.abs(wide_x)
    k = np.count_nonzero(wide_a, axis=1).reshape(-1, *([1] * (X.ndim - 1)))
    if bias is not None:
        offset = bias.astype(np.float64)[:, None]
        exact, size, k = exact + offset, size + np.abs(offset), k + 1
    ku = k * np.finfo(dtype).eps / 2
    assert actual.dtype == dtype
    assert actual.shape == back(exact).shape
    reference_error = 2.0**-52 * (A.shape[1] + 1) if dtype == np.float64 else 0
    assert (np.abs(actual - back(exact)) <= back((ku / (1 - ku) * (1 + 2.0**-9) + reference_error) * size)).all()


@pytest.fixture
def A():
    return dense((19, 37)).astype(BF16)


@pytest.fixture
def W(A):
    return cs.from_dense(A)


# --- making matrices --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NAMES, ids=["name", "type", "dtype"])
def test_dtype_is_accepted_wherever_one_is(dtype):
    D = dense((9, 14))
    rows, cols = np.nonzero(D)
    S = sp.csr_array(D)
    rounded = D.astype(BF16)
    made = {
        "constructor": cs.ComplementaryMatrix(D, dtype=dtype),
        "from_dense": cs.from_dense(D, dtype=dtype),
        "from_scipy": cs.from_scipy(S, dtype=dtype),
        "from_coo": cs.from_coo(D[rows, cols], (rows, cols), D.shape, dtype=dtype),
        "astype": cs.from_dense(D).astype(dtype),
        "again": cs.ComplementaryMatrix(cs.from_dense(D), dtype=dtype),
    }
    for name, V in made.items():
        assert V.dtype == BF16, name
        assert type(V.toarray()) is np.ndarray
        assert_array_equal(bits(V.toarray()), bits(rounded), err_msg=name)
    empty = cs.ComplementaryMatrix((3, 4), dtype=dtype)
    assert (empty.dtype, empty.nnz) == (BF16, 0)
    drawn = cs.random((64, 64), set_size=4, dtype=dtype, rng=0)
    assert drawn.dtype == BF16
    assert drawn.tocsr().data.all()
    assert cs.from_dense(D).astype(dtype).astype(dtype, copy=False).dtype == BF16
    assert cs.matmul(made["astype"], np.ones(14, np.float32), dtype=dtype).dtype == BF16
    assert made["astype"].plan(n=2, dtype=dtype).dtype == np.float32
    assert made["astype"].prepare(2, dtype=dtype) is made["astype"]


def test_input_of_this_dtype_keeps_it(A):
    rows, cols = np.nonzero(A)
    S = sp.csr_array((A[rows, cols], cols, np.searchsorted(rows, np.arange(20))), shape=A.shape)
    swapped = A.astype(BF16.newbyteorder(">"))
    for V in (
        cs.ComplementaryMatrix(A),
        cs.ComplementaryMatrix(swapped),
        cs.from_scipy(S),
        cs.from_coo(A[rows, cols], (rows, cols), A.shape),
        cs.ComplementaryMatrix((S.data, S.indices, S.indptr), shape=A.shape),
        cs.from_dense(np.asfortranarray(A)),
        cs.from_dense([list(row) for row in A]),
    ):
        assert V.dtype == BF16
        assert V.dtype.isnative
        assert_array_equal(bits(V.toarray()), bits(A))


def test_float32_is_rounded_to_nearest_even():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**32, 100_000, dtype=np.uint32).view(np.float32)
    ties = (rng.integers(0, 2**16, 1000, dtype=np.uint32) << 16 | 0x8000).view(np.float32)
    values = np.concatenate([values, ties])
    values = values[np.isfinite(values) & (np.abs(values) < 3.38e38)]
    W = cs.from_coo(values, (np.zeros(len(values), int), np.arange(len(values))), (1, len(values)))
    assert_array_equal(bits(W.astype("bfloat16").tocoo().data.astype(BF16)), nearest_even(values))


def test_duplicates_are_summed_in_stored_order():
    data = np.array([256, 1, 1, 3], dtype=BF16)  # 256 + 1 is a tie, which goes to 256
    W = cs.from_coo(data, ([0, 0, 0, 1], [0, 0, 0, 1]), (2, 2))
    assert_array_equal(W.toarray().astype(np.float32), [[256, 0], [0, 3]])


def test_prune_keeps_the_dtype():
    D = dense((16, 32), density=1).astype(BF16)
    W, report = cs.prune(D, set_size=4)
    kept = W.toarray()
    assert W.dtype == BF16
    assert_array_equal(bits(kept)[kept != 0], bits(D)[kept != 0])
    assert report.kept.magnitude == pytest.approx(np.abs(kept.astype(float)).sum() / np.abs(D.astype(float)).sum())
    from_sparse, _ = cs.prune(cs.from_dense(D), set_size=4)
    assert_array_equal(bits(from_sparse.toarray()), bits(kept))


def test_with_values(W, A):
    values = np.arange(1, W.nnz + 1).astype(BF16)
    for V, of_pattern in ((W, A), (W.T, A.T)):
        new = V.with_values(values)
        assert (new.dtype, new._packing) == (BF16, V._packing)
        assert_array_equal(new.toarray()[np.nonzero(of_pattern)].astype(float), values.astype(float))
        assert_array_equal(V.with_values(new).toarray().astype(float), new.toarray().astype(float))
        assert_array_equal(V.with_values(new.toarray()).toarray().astype(float), new.toarray().astype(float))


# --- what it is -------------------------------------------------------------------------------------------------------


def test_two_bytes_a_value(A):
    V = cs.from_dense(A)
    wide = cs.from_dense(A.astype(np.float32))
    assert wide.nbytes - V.nbytes == 2 * V.nnz
    assert V.values.dtype == BF16
    assert V.values.nbytes == 2 * V.slots


def test_what_is_shown(W, capsys):
    assert "dtype 'bfloat16'" in repr(W)
    assert "bfloat16" in W._repr_html_()
    W.describe()
    shown = capsys.readouterr().out
    assert "bfloat16" in shown
    assert "multiplies" in shown or "never" in shown


def test_copies_and_pickles(W):
    for V in (W, W.T):
        for other in (V.copy(), copy.copy(V), copy.deepcopy(V), pickle.loads(pickle.dumps(V))):
            assert other.dtype == BF16
            assert_array_equal(bits(other.toarray()), bits(V.toarray()))


def test_equal_bits_of_another_dtype_are_another_matrix(W):
    half = W.with_values(W._data.view(np.float16))
    assert half.__dask_tokenize__() != W.__dask_tokenize__()
    assert W.copy().__dask_tokenize__() == W.__dask_tokenize__()


# --- to scipy and back ------------------------------------------------------------------------------------------------


def test_leaves_for_scipy_as_float32(W, A):
    wide = A.astype(np.float32)
    for name in ("csr", "csc", "coo", "bsr", "dia", "dok", "lil"):
        S = W.asformat(name)
        assert S.dtype == np.float32
        assert_array_equal(S.toarray(), wide)
    assert_array_equal(W.T.tocsc().toarray(), wide.T)
    assert cs.from_scipy(W.tocsr(), dtype="bfloat16")._data.tobytes() == W._data.tobytes()


def test_operators_through_csr_give_what_float32_gives(W, A):
    wide, other = A.astype(np.float32), dense((19, 37), seed=1).astype(BF16)
    V, S = cs.from_dense(other), sp.csr_array(other.astype(np.float32))
    stored = sp.csr_array((V._data, V._indices, V._indptr), shape=V.shape)  # scipy makes these, but computes nothing
    for operand in (V, S, stored, other):
        for result, wanted in (
            (W + operand, wide + S.toarray()),
            (W - operand, wide - S.toarray()),
            (operand - W, S.toarray() - wide),
            (W * operand, wide * S.toarray()),
            (operator.ne(W, operand), wide != S.toarray()),
            (W.maximum(operand), np.maximum(wide, S.toarray())) if operand is not other else (wide, wide),
        ):
            found = result.toarray() if hasattr(result, "toarray") else np.asarray(result)
            assert found.dtype == wanted.dtype
            assert_array_equal(found, wanted)
    assert W.sum() == pytest.approx(wide.sum(), rel=1e-5)
    assert W[3, 5] == wide[3, 5]
    assert_array_equal(np.sqrt(abs(W)).toarray(), np.sqrt(abs(A)))  # on the packing, in NumPy's dtype


def test_sparse_products(W, A):
    wide, S = A.astype(np.float32), sp.csr_array(dense((37, 11), seed=2))
    assert_close((W @ S).toarray(), wide, S.toarray())
    assert_close(cs.matmul(W, S), wide, S.toarray())
    assert_close(cs.linear(sp.csr_array(S.T), W), wide, S.toarray(), back=np.transpose)
    assert_close(cs.matmul(W, cs.from_dense(S.toarray(), dtype=BF16)), wide, S.toarray().astype(BF16))
    clipped = cs.matmul(W, S, activation="relu", dtype="bfloat16")
    assert clipped.dtype == BF16
    assert_array_equal(bits(clipped), nearest_even(cs.matmul(W, S, activation="relu")))


@pytest.mark.parametrize("scalar", [2, 0.1, True, -3.5])
def test_a_python_number_keeps_the_dtype(W, scalar):
    """As a float32 would be scaled, rounded once."""
    for result, wanted in (
        (W * scalar, W._data.astype(np.float32) * np.float32(scalar)),
        (scalar * W, W._data.astype(np.float32) * np.float32(scalar)),
        (W / scalar, W._data.astype(np.float32) / np.float32(scalar)),
    ):
        assert result.dtype == BF16
        assert_array_equal(bits(result._data), nearest_even(wanted))


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float16, np.float32, np.float64, np.bool_, BF16])
def test_a_scalar_with_a_dtype_counts_the_weights_as_float32(W, dtype):
    for scalar in (np.dtype(dtype).type(3), np.array(3, dtype=dtype)):
        result = W * scalar
        assert result.dtype == np.result_type(np.float32, np.float32 if dtype == BF16 else dtype)
        assert_array_equal(result._data, W._data.astype(np.float64) * (1 if dtype == np.bool_ else 3))
        assert (cs.from_dense(np.eye(2, dtype=np.float32)) * scalar).dtype == result.dtype


def test_unary_operators_keep_the_dtype(W, A):
    wide = A.astype(np.float32)
    for result, wanted in ((-W, -wide), (abs(W), abs(wide)), (+W, wide), (round(W), np.round(wide))):
        assert result.dtype == BF16
        assert_array_equal(result.toarray().astype(np.float32), wanted)


# --- products ---------------------------------------------------------------------------------------------------------


def test_float16_times_float16_gives_float32():
    """Of the same row of the table of dtypes: both 16-bit floats widen, and dtype= brings them back."""
    D = dense((9, 14), dtype=np.float16)
    W, x = cs.from_dense(D), np.ones((14, 3), np.float16)
    assert_close(W @ x, D, x)
    assert cs.matmul(W, x, dtype=np.float16).dtype == np.float16


@pytest.mark.parametrize(("w", "x"), [pair for pair in itertools.product(FLOATS, FLOATS) if BF16 in pair], ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_products_with_floats(isa, form, w, x):
    """float32 with everything of at most 32 bits, float64 with float64; each batch size round the tiles."""
    multiply, back = FORMS[form]
    A = dense((67, 131), density=0.2, seed=3).astype(w)
    W = cs.from_dense(A)
    result = np.dtype(np.float64 if np.float64 in (w, x) else np.float32)
    for n in (1, 2, 3, 8, 16, 17, 33, 64):
        X = np.random.default_rng(n).standard_normal((131, n)).astype(x)
        assert_close(multiply(W, X), A, X, result, back=lambda y: back(np.eye(len(y)), y))


@pytest.mark.parametrize("form", FORMS)
def test_tiles_are_filled_with_the_numbers_that_a_copy_in_float32_has(isa, form):
    """To the bit, whatever the layout, the batch and the order; beside numbers that are not x's."""
    multiply, _ = FORMS[form]
    rng = np.random.default_rng(4)
    unused = dense((70, 200), density=0.05, seed=4)
    unused[:, ::2] = 0
    blocks, _ = cs.prune(dense((64, 128), density=1, seed=5), set_size=16, block=(4, 1))
    for W in (cs.from_dense(unused), blocks, cs.random((80, 256), set_size=16, rng=6), cs.from_dense(np.eye(3, 5))):
        for n in (1, 2, 3, 4, 7, 8, 15, 16, 33, 64, 100, 130):
            memory = rng.standard_normal((2 * W.shape[1], 2 * n + 6)).astype(BF16)
            plain = np.ascontiguousarray(memory[: W.shape[1], 3 : 3 + n])
            for X in (plain, np.asfortranarray(plain), memory[::2, 3 : 3 + n], memory[::-2, : 2 * n : 2]):
                assert_array_equal(multiply(W, X), multiply(W, X.astype(np.float32)))
    with pytest.raises(ValueError, match="shares memory"):
        cs.matmul(cs.from_dense(np.eye(4, dtype=np.float32)), plain[:4, :2], out=plain.view(np.float32)[:4, :2])


def test_a_matrix_larger_than_the_cache():
    """Large enough for the layouts that keep values in 2 bytes: the bits are those of the float32 matrix."""
    W = cs.random((4096, 4096), set_size=8, dtype="bfloat16", rng=0)
    wide = W.astype(np.float32)
    A = W.toarray()
    for n in (1, 4, 32):
        X = np.random.default_rng(n).standard_normal((4096, n)).astype(np.float32)
        Y = W @ X
        assert_array_equal(Y, wide @ X)
        assert W.plan(n).microkernel == wide.plan(n).microkernel
        assert_close(Y[:64], A[:64], X)


@pytest.mark.parametrize(
    ("x", "result"),
    [
        (np.bool_, np.float32),
        (np.int8, np.float32),
        (np.uint8, np.float32),
        (np.int16, np.float32),
        (np.uint16, np.float32),
        (np.int32, np.float64),
        (np.int64, np.float64),
        (np.uint64, np.float64),
    ],
)
def test_integers_meet_bfloat16_as_they_meet_float32(W, A, x, result):
    X = np.random.default_rng(0).integers(0, 2 if x == np.bool_ else 100, (37, 5)).astype(x)
    assert_close(W @ X, A, X, np.dtype(result))
    whole = cs.from_dense(X.T)
    assert_close(whole @ np.ascontiguousarray(A.T), X.T, A.T, np.dtype(result))


def test_operands_of_any_strides_and_byte_order(W, A):
    X = np.random.default_rng(0).standard_normal((37, 6)).astype(BF16)
    unaligned = np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view(BF16).reshape(X.shape)
    wanted = W @ X
    rows = [list(row) for row in X]
    for other in (np.asfortranarray(X), X.astype(BF16.newbyteorder(">")), unaligned, rows, X.astype(np.float32)):
        assert_array_equal(W @ other, wanted)
    assert_array_equal(W @ X[::-1, ::2], W @ X[::-1, ::2].copy())
    assert_array_equal(W @ np.stack([X, X]), np.stack([wanted, wanted]))
    assert_array_equal(W @ X[:, 0], W @ X[:, 0].astype(np.float32))
    assert_array_equal(X.T @ W.T, wanted.T)
    assert_array_equal(np.matmul(W, X), wanted)
    assert_array_equal(W.matmat(X), wanted)
    assert_array_equal(W.rmatvec(A[:, 0]), W.T @ A[:, 0])


def test_dlpack_without_a_name_for_bfloat16(W):
    """Tensors whose DLPack NumPy refuses are read as an array, as those of JAX can be."""

    class Tensor:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **_):
            return self.array.__dlpack__()

        def __dlpack_device__(self):
            return (1, 0)

        def __array__(self, dtype=None, copy=None):
            return self.array

    X = np.ones((37, 2), BF16)
    assert_array_equal(W @ Tensor(X), W @ X)


@pytest.mark.parametrize("bias_dtype", [BF16, np.float32, np.int8])
def test_bias_activation_and_out(W, A, bias_dtype):
    X = np.random.default_rng(0).standard_normal((37, 6)).astype(BF16)
    bias = np.arange(-9, 10).astype(bias_dtype)
    Y = cs.matmul(W, X, bias=bias)
    assert_close(Y, A, X, bias=bias)
    assert_array_equal(cs.matmul(W, X, bias=bias, activation="relu"), np.maximum(Y, 0))
    assert_array_equal(cs.linear(X.T, W, bias), Y.T)
    out = np.empty((19, 6), np.float32)
    assert cs.matmul(W, X, bias=bias, out=out) is out
    assert_array_equal(out, Y)
    narrow = np.empty((19, 6), BF16)
    assert cs.matmul(W, X, bias=bias, out=narrow, dtype="bfloat16") is narrow
    assert_array_equal(bits(narrow), nearest_even(Y))
    assert_array_equal(bits(np.matmul(W, X, dtype=BF16)), nearest_even(W @ X))
    assert cs.matmul(W, X, dtype=np.float64).dtype == np.float64
    assert cs.matmul(W, X, dtype=np.float16).dtype == np.float16


def test_plans_take_float32(W, A):
    X = np.random.default_rng(0).standard_normal((37, 6)).astype(np.float32)
    for dtype in (None, BF16, np.float32):
        f = W.plan(n=6, dtype=dtype, bias=np.ones(19, BF16), activation="relu")
        assert f.dtype == np.float32
        assert_array_equal(f(X), cs.matmul(W, X, bias=np.ones(19, BF16), activation="relu"))
    assert W.plan(n=6, dtype=np.float64).dtype == np.float64
    with pytest.raises(TypeError, match="bfloat16; the plan computes in float32"):
        f(X.astype(BF16))
    W.plan(n=1, dtype=np.float64)  # batches may multiply by the stored rows, without a layout
    W.prepare(n=1)
    assert {layout["dtype"] for layout in W._layouts()} == {"float32", "float64"}


def test_sampled_matmul(W, A):
    rng = np.random.default_rng(0)
    P, Q = rng.standard_normal((19, 5)).astype(BF16), rng.standard_normal((5, 37)).astype(BF16)
    G = cs.sampled_matmul(W, P, Q)
    assert G.dtype == np.float32
    mask = A != 0
    assert_close(np.where(mask, G.toarray(), P.astype(np.float32) @ Q.astype(np.float32)), P, Q)
    assert cs.sampled_matmul(W, P, Q.astype(np.float64)).dtype == np.float64


def test_iterative_solvers(A):
    from scipy.sparse.linalg import cg

    W = cs.from_dense(np.diag([1.0, 2.0, 4.0]), dtype="bfloat16")
    x, info = cg(cs.aslinearoperator(W), np.array([1.0, 4.0, 2.0]))
    assert info == 0
    np.testing.assert_allclose(x, [1, 2, 0.5], rtol=1e-4)


# --- files ------------------------------------------------------------------------------------------------------------

all_bits = st.lists(st.integers(0, 2**16 - 1), min_size=0, max_size=40)


@in_one_folder
@given(all_bits, st.sampled_from(["auto", "strict", "split"]), st.booleans(), st.integers(0, 2**32 - 1))
def test_every_bit_survives_every_round_trip(tmp_path, patterns, strategy, transposed, seed):
    values = np.array(patterns, dtype=np.uint16).view(BF16)
    places = np.sort(np.random.default_rng(seed).permutation(70)[: len(values)])
    W = cs.from_coo(values, (places // 10, places % 10), (7, 10), strategy=strategy)
    V = W.T if transposed else W
    cs.save(tmp_path / "w.npz", V)
    dense_back = np.zeros((7, 10), np.uint16)
    dense_back[places // 10, places % 10] = patterns
    for back in (V, cs.load(tmp_path / "w.npz"), pickle.loads(pickle.dumps(V)), V.copy(), V.with_values(V)):
        assert (back.dtype, back.shape, back.strategy, back._packing) == (BF16, V.shape, V.strategy, V._packing)
        assert_array_equal(bits(back.toarray()), dense_back.T if transposed else dense_back)


def test_files_hold_plain_arrays(W, tmp_path):
    cs.save(tmp_path / "w.npz", W)
    with np.load(tmp_path / "w.npz", allow_pickle=False) as members:
        missing = {"filter_shape", "scale", *(("set_ptr", "row_order") if W.strategy == "split" else ())}
        assert set(members) == set(saved.MEMBERS) - missing
        assert members["dtype"].item() == "bfloat16"
        assert members["data"].dtype == np.uint16
        assert_array_equal(members["data"], bits(W._data))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": np.array("float8_e4m3")}, "dtype 'float8_e4m3' of data stored as uint16 is not known"),
        ({"dtype": np.array("")}, "dtype '' of data"),
        ({"dtype": np.array(["bfloat16"])}, "member 'dtype' is 1-dimensional"),
        ({"dtype": np.array(16)}, "member 'dtype' is 0-dimensional int64"),
        ({"data": np.ones(3, np.float32)}, "bfloat16' of data stored as float32"),
        ({"data": np.ones(3, np.int16)}, "bfloat16' of data stored as int16"),
        ({"data": np.ones(2, np.uint16)}, "2 values"),
        ({"data": np.ones(3, BF16)}, "which it must not be"),  # a void of 2 bytes, as numpy writes it
    ],
)
def test_files_that_lie_are_refused(tmp_path, changes, message):
    cs.save(tmp_path / "w.npz", cs.from_dense(np.eye(3), dtype="bfloat16"))
    with np.load(tmp_path / "w.npz") as members:
        held = {**members, **changes}
    np.savez(tmp_path / "lie.npz", **held)
    with pytest.raises(ValueError, match=message):
        cs.load(tmp_path / "lie.npz")


def test_command_line(tmp_path, capsys):
    path = tmp_path / "w.npz"
    cs.save(path, cs.random((64, 64), set_size=4, dtype="bfloat16", rng=0))
    assert main(["info", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert "bfloat16" in json.dumps(facts)
    assert main(["info", str(path)]) == 0
    assert "bfloat16" in capsys.readouterr().out
    assert main(["pack", str(path), "-o", str(tmp_path / "again.npz")]) == 0
    assert cs.load(tmp_path / "again.npz").dtype == BF16


def test_safetensors_become_float32(tmp_path):
    """BF16 tensors are read without ml_dtypes; what is no float matrix is passed over."""
    pytest.importorskip("safetensors")
    values = dense((6, 2, 4), density=1).astype(BF16)
    parts = {
        "w": ("BF16", values),
        "f": ("F32", values.astype(np.float32)),
        "bias": ("BF16", values[0, 0]),
        "i": ("I64", np.ones((2, 2), int)),
    }
    header, content = {}, b""
    for name, (dtype, array) in parts.items():
        start = len(content)
        content += array.tobytes()
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [start, len(content)]}
    text = json.dumps(header).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + content)
    found = readers.read_matrix(tmp_path / "w.safetensors")
    assert set(found) == {"w", "f"}
    for matrix in found.values():
        assert matrix.dtype == np.float32
        assert_array_equal(matrix, values.astype(np.float32).reshape(6, 8))


# --- errors -----------------------------------------------------------------------------------------------------------


def test_out_must_be_float32(W):
    X, out = np.ones((37, 2), BF16), np.full((19, 2), 7, BF16)
    with pytest.raises(TypeError, match=r"out has dtype bfloat16; the result has dtype float32 \(dtype= chooses"):
        cs.matmul(W, X, out=out)
    assert (out == 7).all()
    with pytest.raises(TypeError, match="out has dtype float64; the result has dtype float32"):
        cs.matmul(W, X, out=np.empty((19, 2)))
    with pytest.raises(ValueError, match="shares memory"):
        cs.matmul(cs.from_dense(np.eye(19), dtype=BF16), out, out=out, dtype=BF16)


@pytest.mark.parametrize("x", [np.longdouble, np.clongdouble])
def test_pairs_without_a_product(W, x):
    with pytest.raises(TypeError, match=r"does not multiply(.|\n)*bfloat16"):
        W @ np.ones(37, x)


def test_dtypes_that_cannot_hold_a_product(W):
    for dtype in (np.int32, np.bool_, np.longdouble, ml_dtypes.float8_e4m3fn):
        with pytest.raises(TypeError, match="cannot hold the product of bfloat16 and bfloat16"):
            cs.matmul(W, np.ones(37, BF16), dtype=dtype)
    with pytest.raises(TypeError, match="bias has dtype bfloat16, which does not fit a product in int64"):
        cs.matmul(cs.from_dense(np.eye(2, dtype=int)), np.ones(2, int), bias=np.ones(2, BF16))


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "int4"])
def test_other_types_of_the_package_are_refused(name):
    with pytest.raises(TypeError, match="is not supported"):
        cs.from_dense(np.eye(2), dtype=getattr(ml_dtypes, name))


WITHOUT = """
import sys, numpy as np
sys.modules["ml_dtypes"] = None
import complsparse as cs
W = cs.from_dense(np.eye(3, dtype=np.float32))
def refused(call):
    try:
        call()
    except ImportError as error:
        assert str(error) == "dtype bfloat16 needs the package ml_dtypes: pip install ml_dtypes", error
        return True
assert refused(lambda: W.astype("bfloat16"))
assert refused(lambda: cs.from_dense(np.eye(2), dtype="bfloat16"))
assert refused(lambda: cs.random((8, 8), dtype="bfloat16"))
assert refused(lambda: cs.matmul(W, np.ones(3), dtype="bfloat16"))
assert refused(lambda: W.plan(dtype="bfloat16"))
assert refused(lambda: cs.load(sys.argv[1]))
for dtype in ("bfloat", "|V2"):
    try:
        W.astype(dtype)
    except TypeError:
        continue
    raise AssertionError(dtype)
assert (W @ np.ones(3)).tolist() == [1, 1, 1]
from complsparse._cli.main import main
sys.exit(main(["info", sys.argv[1]]))
"""


def test_without_the_package(tmp_path):
    path = tmp_path / "w.npz"
    cs.save(path, cs.from_dense(np.eye(3), dtype="bfloat16"))
    done = subprocess.run([sys.executable, "-c", WITHOUT, path], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert f"{path}: dtype bfloat16 needs the package ml_dtypes: pip install ml_dtypes" in done.stderr


def test_the_package_is_imported_only_when_it_is_needed(tmp_path):
    code = """
import sys, numpy as np, complsparse as cs
W = cs.from_dense(np.eye(3, dtype=np.float32))
W @ np.ones(3); W.tocsr(); W * 2; repr(W); W.astype(np.float16) @ np.ones(3)
cs.save(sys.argv[1], W); cs.load(sys.argv[1])
assert "ml_dtypes" not in sys.modules
assert W.astype("bfloat16").dtype.name == "bfloat16"
"""
    subprocess.run([sys.executable, "-c", code, tmp_path / "w.npz"], check=True)


def test_configuration_lists_the_package():
    assert cs.show_config(mode="dicts")["extras"]["ml_dtypes"] is True
