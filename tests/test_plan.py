# SPDX-License-Identifier: BSD-3-Clause
"""Plans and bound calls: the bits of cs.matmul without its checks, and every argument they refuse."""

import ctypes
import functools
import itertools

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from oracle import COMPUTE, assert_product, compute_dtype, draw, expected, is_exact, random_csr, result_dtype

import complsparse as cs

BATCHES = (1, 2, 3, 4, 8, 9, 16, 17, 33)
every_type = pytest.mark.parametrize("dtype", COMPUTE.values(), ids=COMPUTE.keys())


@every_type
@pytest.mark.parametrize("batch_major", [False, True])
def test_a_plan_has_the_bits_of_matmul(isa, dtype, batch_major):
    rng = np.random.default_rng(1)
    S = random_csr(rng, (45, 600), 0.1, dtype)
    for n, with_bias, relu in itertools.product(BATCHES, (False, True), (False, True)):
        W = S.packed()
        options = {
            "bias": draw(rng, 45, dtype) if with_bias else None,
            "activation": "relu" if relu else None,
        }
        f = W.plan(n=n, batch_major=batch_major, **options)
        assert (f.n, f.dtype, f.batch_major) == (n, dtype, batch_major)
        X = draw(rng, (n, 600) if batch_major else (600, n), dtype)
        wanted = cs.linear(X, W, **options) if batch_major else cs.matmul(W, X, **options)
        assert_array_equal(f(X), wanted, strict=True)
        out = np.empty_like(wanted)
        assert f(X, out=out) is out
        assert_array_equal(out, wanted)
        assert_array_equal(f(np.asfortranarray(X), out=np.empty(wanted.shape[::-1], dtype).T), wanted)
        assert_array_equal(f(X[::-1, ::-1].copy()[::-1, ::-1]), wanted)
        if n == 1:
            assert_array_equal(f(X.reshape(-1)), wanted.reshape(-1), strict=True)
            assert_array_equal(f(np.repeat(X.reshape(-1), 2)[::2], out=np.empty(90, dtype)[::2]), wanted.reshape(-1))


@pytest.mark.parametrize("n", [1, 4])
@every_type
def test_bound_call_from_c(dtype, n):
    """The function pointer with its context, called as C code would call it, reads and writes the arrays each time."""
    rng = np.random.default_rng(2)
    S = random_csr(rng, (30, 50), 0.2, dtype)
    W, bias = S.packed(), draw(rng, 30, dtype)
    x, y = draw(rng, (50, n), dtype), np.empty((30, n), dtype)
    bound = W.plan(n=n, bias=bias, activation="relu").bind(x, y)
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(bound.function)
    for _ in range(3):
        x[...] = draw(rng, x.shape, dtype)
        y[...] = 0
        call(bound.context)
        assert_product(y, expected(S, x, dtype, bias=bias, relu=True), dtype)
        from_c = y.copy()
        y[...] = 0
        assert bound() is None
        assert_array_equal(y, from_c)


def test_every_form_of_a_call():
    """Two forms go straight from the interpreter to the product; the others give the same, or say what is wrong."""
    f = cs.from_dense(np.diag(np.arange(3, dtype=np.float32))).plan(n=1)
    x, out = np.ones(3, np.float32), np.empty(3, np.float32)
    spelt_later = "".join(["o", "u", "t"])
    forms = [
        lambda: f(x),
        lambda: f(x, out=None),
        lambda: f(x, out=out),
        lambda: f(x, **{spelt_later: out}),
        lambda: f(*[x]),
        lambda: f(x.view(np.memmap), out=out),
        lambda: f.__call__(x, out=out),
        lambda: type(f).__call__(f, x),
        lambda: next(map(f, [x])),
        lambda: functools.partial(f, out=out)(x),
    ]
    for form in forms:
        out[...] = -1
        assert_array_equal(form(), [0, 1, 2])
    refused = [
        (lambda: f(), "0 given"),
        (lambda: f(out=out), "0 given"),
        (lambda: f(x=x), "0 given"),
        (lambda: f(x, out), "2 given"),
        (lambda: f(x, out, out=out), "2 given"),
        (lambda: f(x, y=out), "'y'"),
        (lambda: f(x, out=out, y=out), "'y'"),
        (lambda: f(x, y=out, out=out), "'y'"),
        (lambda: f(None, out=out), "NoneType"),
        (lambda: f(x, out=3), "int"),
    ]
    for form, words in refused:
        with pytest.raises(TypeError, match=words):
            form()


def test_a_plan_keeps_its_bias():
    W, bias = cs.from_dense(np.eye(3, dtype=np.float32)), np.ones(3, np.float32)
    f = W.plan(n=1, bias=bias)
    bias[...] = 100
    assert_array_equal(f(np.zeros(3, np.float32)), np.ones(3))


@pytest.mark.parametrize(
    ("w", "x", "computed"),
    [("f4", None, "f4"), ("f8", None, "f8"), ("f2", None, "f4"), ("i1", None, "i8"), ("?", None, "i8"),
     ("f4", "f8", "f8"), ("f8", "f4", "f8"), ("i2", "f4", "f4"), ("f4", "i2", "f4"), ("u8", "u8", "i8")],
)  # fmt: skip
def test_a_plan_computes_in_the_compute_dtype(w, x, computed):
    rng = np.random.default_rng(3)
    S = random_csr(rng, (20, 30), 0.3, np.int8)
    S = S._replace(data=S.data.astype(w))
    f = S.packed().plan(n=2, dtype=x)
    if is_exact(computed):  # or in a narrower type, once there is one
        computed = compute_dtype(result_dtype(w, x or w))
    assert f.dtype == np.dtype(computed)
    X = draw(rng, (30, 2), f.x_dtype)
    assert_product(f(X), expected(S, X, np.dtype(computed)), computed)


@every_type
def test_deterministic_plans_use_one_order_for_every_batch(dtype):
    rng = np.random.default_rng(4)
    W = random_csr(rng, (60, 900), 0.1, dtype).packed()
    X = draw(rng, (900, 6), dtype)
    whole = W.plan(n=6, deterministic=True)(X)
    assert_array_equal(whole, cs.matmul(W, X))
    for size in (1, 2, 3):
        f = W.plan(n=size, deterministic=True)
        assert_array_equal(np.hstack([f(X[:, i : i + size]) for i in range(0, 6, size)]), whole)
    for n in (1, 6):
        assert "row_groups" in W.plan(n=n, deterministic=True).microkernel


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (3, 4)])
@pytest.mark.parametrize("n", [0, 1, 3])
def test_empty_plans(shape, n):
    W = cs.ComplementaryMatrix(shape, dtype=np.float32)
    f = W.plan(n=n, bias=np.arange(shape[0]))
    Y = f(np.ones((shape[1], n), np.float32))
    assert_array_equal(Y, np.repeat(np.arange(shape[0], dtype=np.float32)[:, None], n, 1), strict=True)


def test_repr_and_names():
    W = cs.from_dense(np.eye(4, dtype=np.float32))
    f = W.plan(n=16)
    assert repr(f) == f"<Plan: (4, 4) times 16, float32, feature-major, {f.microkernel}>"
    assert "batch-major" in repr(W.plan(n=2, batch_major=True))
    assert f.microkernel in {row["name"] for row in cs.microkernels() if row["runnable"]}


# --- arguments -------------------------------------------------------------------------------------------------------

W34 = cs.from_dense(np.arange(1, 13, dtype=np.float32).reshape(3, 4))
READ_ONLY = np.zeros((3, 2), np.float32)
READ_ONLY.flags.writeable = False
SHARED = np.zeros((8, 2), np.float32)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"n": -1}, ValueError, "n=-1"),
        ({"n": 2**70}, ValueError, f"n={2**70}"),
        ({"n": 1.5}, TypeError, "n=1.5|float"),
        ({"n": "1"}, TypeError, "n='1'|str"),
        ({"n": True}, TypeError, "n=True|bool"),
        ({"n": None}, TypeError, "n=None|NoneType"),
        ({"dtype": np.complex64}, TypeError, "complex64"),
        ({"dtype": "M8[s]"}, TypeError, "datetime64"),
        ({"bias": np.zeros(4, np.float32)}, ValueError, r"\(4,\).*\(3,\)"),
        ({"bias": np.zeros((3, 1), np.float32)}, ValueError, r"\(3, 1\).*\(3,\)"),
        ({"bias": np.zeros(3, np.complex64)}, TypeError, "complex64"),
        ({"bias": 1.0}, ValueError, r"\(\).*\(3,\)"),
        ({"activation": "softmax"}, ValueError, "'softmax'.*relu"),
        ({"activation": 1}, ValueError, "1.*relu"),
    ],
)
def test_refused_plans(options, error, words):
    with pytest.raises(error, match=words):
        W34.plan(**options)


@pytest.mark.parametrize(
    ("x", "out", "error", "words"),
    [
        (np.zeros((4, 3), np.float32), None, ValueError, r"\(4, 3\).*\(4, 2\)"),
        (np.zeros((3, 2), np.float32), None, ValueError, r"\(3, 2\).*\(4, 2\)"),
        (np.zeros((2, 4), np.float32), None, ValueError, r"\(2, 4\).*\(4, 2\)"),
        (np.zeros(4, np.float32), None, ValueError, r"\(4,\).*\(4, 2\)"),
        (np.zeros((1, 4, 2), np.float32), None, ValueError, r"\(1, 4, 2\).*\(4, 2\)"),
        (np.zeros((), np.float32), None, ValueError, r"\(\).*\(4, 2\)"),
        (np.zeros((4, 2)), None, TypeError, "float64.*float32"),
        (np.zeros((4, 2), ">f4"), None, TypeError, ">f4.*float32"),
        (np.zeros((4, 2), np.int32), None, TypeError, "int32.*float32"),
        ([[0.0] * 2] * 4, None, TypeError, "list"),
        (None, None, TypeError, "None"),
        (np.ndarray((4, 2), np.float32, bytes(33), 1), None, ValueError, "aligned"),
        (np.zeros((4, 2), np.float32), np.zeros((2, 3), np.float32), ValueError, r"\(2, 3\).*\(3, 2\)"),
        (np.zeros((4, 2), np.float32), np.zeros(3, np.float32), ValueError, r"\(3,\).*\(3, 2\)"),
        (np.zeros((4, 2), np.float32), np.zeros((3, 2)), TypeError, "float64.*float32"),
        (np.zeros((4, 2), np.float32), np.zeros((3, 2), ">f4"), TypeError, ">f4.*float32"),
        (np.zeros((4, 2), np.float32), [[0.0] * 2] * 3, TypeError, "list"),
        (np.zeros((4, 2), np.float32), READ_ONLY, ValueError, "read-only"),
        (np.zeros((4, 2), np.float32), np.lib.stride_tricks.as_strided(np.zeros(2, np.float32), (3, 2), (0, 4)),
         ValueError, r"strides \(0, 4\)"),
        (np.zeros((4, 2), np.float32), np.ndarray((3, 2), np.float32, bytearray(33), 1), ValueError, "aligned"),
        (SHARED[:4], SHARED[3:6], ValueError, "shares memory"),
        (SHARED[:4], SHARED[1:4], ValueError, "shares memory"),
    ],
)  # fmt: skip
def test_refused_calls(x, out, error, words):
    f = W34.plan(n=2)
    before = np.array(out).tobytes()
    with pytest.raises(error, match=words):
        f(x, out=out)
    if isinstance(out, np.ndarray):
        assert out.tobytes() == before
        with pytest.raises(error, match=words):
            f.bind(x, out)
    with pytest.raises(TypeError):
        f.bind(x, None)


def test_interleaved_arrays_share_no_memory():
    """What cs.matmul accepts: x and out as every second element of one array."""
    memory = np.arange(14, dtype=np.float32)
    x, out = memory[0:8:2], memory[1:7:2]
    wanted = cs.matmul(W34, x.copy())
    assert_array_equal(cs.matmul(W34, x, out=out), wanted)
    out[...] = 0
    assert_array_equal(W34.plan(n=1)(x, out=out), wanted)


def test_plans_and_bound_calls_are_made_by_the_library_only():
    plan = cs.from_dense(np.eye(3, dtype=np.float32)).plan(n=2)
    bound = plan.bind(np.ones((3, 2), np.float32), np.empty((3, 2), np.float32))
    for kind in (type(plan), type(bound)):
        with pytest.raises(TypeError, match="made by"):
            kind()
        with pytest.raises(TypeError, match="made by"):
            kind.__new__(kind)


def test_a_batch_major_plan_names_what_it_runs():
    """Activations in batch order are never read in place, however sparse the matrix."""
    rows = np.arange(2000)
    W = cs.from_coo(np.ones(2000, np.float32), (rows, rows[::-1]), (2000, 2000))
    assert W.plan(n=64).microkernel.startswith("stored_rows_")
    assert W.plan(n=64, batch_major=True).microkernel.startswith("row_groups_")


def test_plans_of_more_winners_than_can_be_counted():
    """They stay plans for winners."""
    W = random_csr(np.random.default_rng(3), (30, 50), 0.2).packed()
    f = W.plan(n=2**33, winners=2**30)
    assert f.winners == 2**30
    plain = cs._core.candidates(W, 2**33, W.dtype)
    assert [way["layout"] for way in cs._core.candidates(W, 2**33, W.dtype, winners=2**30)] != [
        way["layout"] for way in plain
    ]


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, np.complex64])
def test_the_border_refuses_dtypes_without_a_product(dtype):
    W = random_csr(np.random.default_rng(3), (30, 50), 0.2).packed()
    for call in (
        lambda: cs._core.candidates(W, 4, dtype),
        lambda: cs._core.make_plan(W, 4, dtype, False, None, None, False),
        lambda: W._prepare(4, dtype, False),
        lambda: W._choices(dtype),
    ):
        with pytest.raises(TypeError, match=f"no product computes in {np.dtype(dtype)}"):
            call()


def aligned(n_bytes):
    """Bytes from a cache line on, and some behind them that nobody may touch."""
    memory = np.full(n_bytes + 192, 0xA5, np.uint8)
    first = -memory.ctypes.data % 64
    return memory[first : first + n_bytes], memory[first + n_bytes :]


@every_type
@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_call_needs_the_workspace_that_it_states_and_no_more(isa, dtype, n_threads, threads):
    rng = np.random.default_rng(9)
    S = random_csr(rng, (600, 900), 0.05, dtype)
    W = S.packed()
    with threads(n_threads):
        for n, batch_major, share in itertools.product((1, 5, 16, 40, 130), (False, True), (None, 0.1)):
            x = draw(rng, (n, 900) if batch_major else (900, n), dtype)
            y = np.empty((n, 600) if batch_major else (600, n), dtype)
            if share is not None:
                x = cs.kwta(x, share, axis=-1 if batch_major else 0)
            winners = None if share is None else 90
            bound = W.plan(n=n, batch_major=batch_major, winners=winners).bind(x, y)
            bound()
            wanted = y.copy()
            workspace, behind = aligned(bound.workspace_bytes)
            y[...] = 7
            bound.run_in(workspace)
            assert_array_equal(y, wanted)
            assert (behind == 0xA5).all()
            if workspace.size:
                with pytest.raises(ValueError, match=f"needs {workspace.size} contiguous"):
                    bound.run_in(workspace[:-1])
                with pytest.raises(ValueError, match="multiple of 64"):
                    bound.run_in(np.zeros(workspace.size + 128, np.uint8)[1:])


@pytest.mark.parametrize("dtype", [np.int8, np.bool_, np.float16])
def test_descriptions_name_what_products_run_on(dtype, capsys):
    """Of dtypes that compute in another one too."""
    W = cs.from_dense((np.random.default_rng(0).random((40, 60)) < 0.2).astype(dtype))
    W.describe()
    assert f"{W.plan(n=1).microkernel}:" in capsys.readouterr().out
