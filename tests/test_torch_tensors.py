# SPDX-License-Identifier: BSD-3-Clause
"""Tensors in, tensors out: read and written where they lie, with gradients where they ask for them."""

import subprocess
import sys

import numpy as np
import pytest

import complsparse as cs

torch = pytest.importorskip("torch", reason="not run: torch is not installed")
F = torch.nn.functional

D = np.where(cs.complementary_mask((8, 12), set_size=4, rng=0), np.random.default_rng(0).standard_normal((8, 12)), 0)
W = cs.from_dense(D.astype(np.float32))
FILTERS = cs.from_filters(D.reshape(8, 3, 2, 2).astype(np.float32))
SIGNAL = cs.from_filters(D.reshape(8, 6, 2).astype(np.float32))
BIAS = np.arange(8, dtype=np.float32)


def values(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).to(dtype)


# A call that takes an activation and out=, its activation, and what it gives for an array.
CALLS = {
    "linear": (lambda x, **o: cs.linear(x, W, **o), (5, 12)),
    "linear, vector": (lambda x, **o: cs.linear(x, W, **o), (12,)),
    "linear, three axes": (lambda x, **o: cs.linear(x, W, **o), (2, 3, 12)),
    "linear, ending": (lambda x, **o: cs.linear(x, W, BIAS, activation="gelu", **o), (5, 12)),
    "matmul, right": (lambda x, **o: cs.matmul(W, x, **o), (12, 5)),
    "matmul, left": (lambda x, **o: cs.matmul(x, W, **o), (5, 8)),
    "matmul of a stack": (lambda x, **o: cs.matmul(W, x, bias=BIAS, **o), (2, 12, 5)),
    "conv2d": (lambda x, **o: cs.conv2d(x, FILTERS, padding=1, bias=BIAS, **o), (2, 3, 4, 5)),
    "conv2d, channels last": (lambda x, **o: cs.conv2d(x, FILTERS, layout="NHWC", **o), (2, 4, 5, 3)),
    "conv1d": (lambda x, **o: cs.conv1d(x, SIGNAL, **o), (2, 6, 5)),
    "plan": (lambda x, **o: W.plan(5)(x, **o), (12, 5)),
    "plan, batch first": (lambda x, **o: W.plan(5, batch_major=True)(x, **o), (5, 12)),
    "plan_conv2d": (lambda x, **o: FILTERS.plan_conv2d((2, 3, 4, 5))(x, **o), (2, 3, 4, 5)),
    "max_pool2d": (lambda x, **o: cs.max_pool2d(x, 2, **o), (2, 3, 4, 6)),
    "avg_pool2d": (lambda x, **o: cs.avg_pool2d(x, 2, **o), (2, 3, 4, 6)),
}
every_call = pytest.mark.parametrize(("call", "shape"), CALLS.values(), ids=list(CALLS))


@every_call
def test_results_are_tensors_with_the_bits_of_arrays(call, shape):
    x = values(*shape)
    expected = call(x.numpy())
    y = call(x)
    assert type(y) is torch.Tensor
    assert np.array_equal(y.numpy(), expected)
    turned = x.movedim(0, -1).contiguous().movedim(-1, 0)  # other strides
    assert np.array_equal(call(turned).numpy(), call(turned.numpy()))


@every_call
def test_out_is_written_where_it_lies(call, shape):
    x = values(*shape)
    expected = call(x.numpy())
    for given in (x, x.numpy()):
        out = torch.full(expected.shape, 7.0)
        address, version = out.data_ptr(), out._version
        assert call(given, out=out) is out
        assert out.data_ptr() == address
        assert out._version > version  # what autograd kept of it is known to be stale
        assert np.array_equal(out.numpy(), expected)
    out = np.full(expected.shape, 7, np.float32)
    assert call(x, out=out) is out
    assert np.array_equal(out, expected)


@every_call
def test_outs_that_cannot_be_written_are_refused(call, shape):
    x = values(*shape)
    expected = call(x.numpy())
    for out, kind, words in (
        (torch.zeros(expected.shape, requires_grad=True), ValueError, "requires grad"),
        (torch.zeros((1, *expected.shape)), ValueError, "has shape"),
        (torch.zeros(expected.shape, dtype=torch.float64), TypeError, "has dtype float64"),
        (torch.zeros(1).expand(expected.shape), ValueError, "repeats elements"),
    ):
        before = out.detach().clone()
        with pytest.raises(kind, match=words):
            call(x, out=out)
        assert torch.equal(out.detach(), before)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int8", "uint8", "int32", "bool"])
def test_dtypes_are_those_of_arrays(dtype):
    x = (values(5, 12) * 3).to(getattr(torch, dtype))
    for weights in (W, W.astype(np.int8), W.astype(np.float64)):
        y, expected = cs.linear(x, weights), cs.linear(x.numpy(), weights)
        assert str(y.dtype) == f"torch.{expected.dtype}"
        assert np.array_equal(y.numpy(), expected)


TENSORS = {
    "float64": lambda: values(6, 12, dtype=torch.float64),
    "every second row": lambda: values(12, 12)[::2],
    "the same row": lambda: values(1, 12).expand(5, 12),
    "from the back": lambda: values(12, 6).T,
    "behind a place": lambda: values(73)[1:].reshape(6, 12),
    "off its alignment": lambda: torch.frombuffer(bytearray(4 * 73), dtype=torch.float32, offset=2, count=72).view(
        6, 12
    ),
    "none": lambda: values(0, 12),
    "nine axes": lambda: values(*[1] * 8, 12),
    "a parameter": lambda: torch.nn.Parameter(values(6, 12), requires_grad=False),
    "inference": lambda: values(6, 12),
}


@pytest.mark.parametrize("name", TENSORS)
def test_arrays_lie_on_the_memory_of_tensors(name):
    """As those that torch makes: of the same dtype, strides and flags; and they keep the memory."""
    from complsparse._core import array_of

    with torch.inference_mode(name == "inference"):
        x = TENSORS[name]()
    found, expected = array_of(x), x.numpy()
    assert type(found) is np.ndarray
    assert found.dtype == expected.dtype
    assert found.__array_interface__["data"] == expected.__array_interface__["data"] or not found.size
    assert (found.shape, found.strides) == (expected.shape, expected.strides)
    assert [found.flags[flag] for flag in "CAWF"] == [expected.flags[flag] for flag in "CAWF"]
    copy = found.copy()
    del x, expected
    junk = [torch.full((6, 12), 7.0) for _ in range(8)]
    assert np.array_equal(found, copy)
    assert junk


ARRAYS = {
    "float32": lambda: np.arange(72, dtype=np.float32).reshape(6, 12),
    "float64": lambda: np.arange(72.0).reshape(2, 3, 12),
    "int32": lambda: np.arange(72, dtype=np.int32),
    "scalar": lambda: np.full((), 3, np.float32),
    "none": lambda: np.empty((0, 12), np.float32),
    "turned": lambda: np.arange(72, dtype=np.float32).reshape(6, 12).T,
    "nine axes": lambda: np.arange(12, dtype=np.float32).reshape(*[1] * 8, 12),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_tensors_lie_on_the_memory_of_arrays(name):
    """As those that torch makes; they keep the array, and let go of it."""
    from complsparse._core import given_back

    array = ARRAYS[name]()
    expected, owners = torch.from_numpy(array), sys.getrefcount(array)
    found = given_back(array, None)
    assert type(found) is torch.Tensor
    assert (found.dtype, found.shape, found.device) == (expected.dtype, expected.shape, expected.device)
    assert found.stride() == expected.stride() or not array.size
    assert found.data_ptr() == expected.data_ptr() or not array.size
    assert not found.requires_grad
    assert torch.equal(found, expected)
    found += 1
    assert torch.equal(found, expected)
    assert sys.getrefcount(array) == owners + 1
    view = found.detach()
    del found
    assert sys.getrefcount(array) == owners + 1
    del view
    assert sys.getrefcount(array) == owners


def test_arrays_are_let_go_of_by_any_thread():
    """Tensors die where nobody holds the GIL: here, in the thread that runs a backward pass."""
    from complsparse._core import given_back

    array = np.ones((4, 4), np.float32)
    owners = sys.getrefcount(array)
    x = torch.ones(4, 4, requires_grad=True)
    for _ in range(20):
        (x * given_back(array, None)).sum().backward()
    assert sys.getrefcount(array) == owners


def test_tensors_that_stand_for_other_numbers_are_not_read_as_they_lie():
    x = torch.view_as_complex(values(5, 12, 2))
    negative = x.conj().imag
    assert negative.is_neg()
    assert torch.equal(cs.linear(negative, W), cs.linear(-x.imag.contiguous(), W))


def test_bfloat16():
    pytest.importorskip("ml_dtypes")
    x = values(5, 12, dtype=torch.bfloat16)
    assert torch.equal(cs.linear(x, W), cs.linear(x.float(), W))
    y = cs.linear(x, W.astype("bfloat16"), dtype="bfloat16")
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, cs.linear(x.float(), W.astype("bfloat16").astype(np.float32)).bfloat16())
    out = torch.zeros(5, 8, dtype=torch.bfloat16)
    assert cs.linear(x, W.astype("bfloat16"), dtype="bfloat16", out=out) is out
    assert torch.equal(out, y)


def test_bfloat16_without_ml_dtypes(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    x = values(5, 12, dtype=torch.bfloat16)
    assert torch.equal(cs.linear(x, W), cs.linear(x.float(), W))
    assert torch.equal(cs.kwta_dense(x, 3), cs.kwta_dense(x.float(), 3))
    assert np.array_equal(cs.from_dense(x).toarray(), x.float().numpy())
    with pytest.raises(TypeError, match=r"dtype torch\.bfloat16, which cannot be written to"):
        cs.linear(x, W, out=torch.zeros(5, 8, dtype=torch.bfloat16))


def test_winners_written_out_are_tensors():
    x = values(4, 9)
    y = cs.kwta_dense(x, 3, relu=True)
    assert type(y) is torch.Tensor
    assert np.array_equal(y.numpy(), cs.kwta_dense(x.numpy(), 3, relu=True))
    assert type(cs.kwta_dense(x.numpy(), 3)) is np.ndarray
    assert isinstance(cs.kwta(x, 3), cs.Winners)


def test_operators_of_matrices():
    x = values(12, 5)
    assert torch.equal(W @ x, cs.matmul(W, x))
    x = values(5, 8)
    assert torch.equal(x @ W, cs.matmul(x, W))


def test_an_out_that_shares_memory_with_x_is_refused():
    memory = torch.zeros(12, 12)
    with pytest.raises(ValueError, match="shares memory"):
        cs.linear(memory[:5], W, out=memory[:5, :8])


def test_tensors_of_other_devices_are_refused_by_name():
    x = torch.ones(5, 12, device="meta")
    for call in (
        lambda: cs.linear(x, W),
        lambda: cs.matmul(W, x.T),
        lambda: cs.kwta_dense(x, 3),
        lambda: W.plan(5, batch_major=True)(x),
        lambda: cs.conv2d(x.reshape(1, 3, 4, 5), FILTERS),
        lambda: cs.max_pool2d(x.reshape(1, 3, 4, 5), 2),
        lambda: cs.linear(torch.ones(5, 12), W, out=x[:, :8]),
    ):
        with pytest.raises(TypeError, match=r"Tensor of dtype torch\.float32.* cannot be read: .*meta"):
            call()


def test_torch_is_not_imported_for_arrays():
    code = "import sys, complsparse as cs; cs.linear([1.0, 2.0], cs.from_dense([[1.0, 0.0]])); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True).stdout
    assert "torch" not in loaded.split()


# --- gradients --------------------------------------------------------------------------------------------------------

DENSE = torch.from_numpy(D)
W64 = W.astype(np.float64)
OFFSET = torch.arange(8, dtype=torch.float64)
FILTERS64 = cs.from_filters(D.reshape(8, 3, 2, 2))
RECORDED = {
    "linear": (lambda x, b: cs.linear(x, W64, b), lambda x, b: F.linear(x, DENSE.float().double(), b), (5, 12)),
    "linear, vector": (lambda x, b: cs.linear(x, W64, b), lambda x, b: F.linear(x, DENSE.float().double(), b), (12,)),
    "matmul, right": (
        lambda x, b: cs.matmul(W64, x, bias=b),
        lambda x, b: DENSE.float().double() @ x + b[:, None],
        (2, 12, 3),
    ),
    "matmul, left": (lambda x, b: cs.matmul(x, W64.T, bias=b), lambda x, b: x @ DENSE.float().double().T + b, (3, 12)),
    "operator": (lambda x, b: W64 @ x + b, lambda x, b: DENSE.float().double() @ x + b, (12,)),
    "conv2d": (
        lambda x, b: cs.conv2d(x, FILTERS64, padding=((1, 0), (0, 2)), stride=(2, 1), bias=b),
        lambda x, b: F.conv2d(F.pad(x, (0, 2, 1, 0)), DENSE.reshape(8, 3, 2, 2), b, (2, 1)),
        (2, 3, 4, 5),
    ),
    "conv2d, channels last": (
        lambda x, b: cs.conv2d(x, FILTERS64, layout="NHWC", dilation=2, bias=b),
        lambda x, b: F.conv2d(x.movedim(-1, 1), DENSE.reshape(8, 3, 2, 2), b, dilation=2).movedim(1, -1),
        (2, 4, 5, 3),
    ),
    "conv2d, groups": (
        lambda x, b: cs.conv2d(x, FILTERS64, groups=2, bias=b),
        lambda x, b: F.conv2d(x, DENSE.reshape(8, 3, 2, 2), b, groups=2),
        (1, 6, 3, 4),
    ),
    "conv1d": (
        lambda x, b: cs.conv1d(x, cs.from_filters(D.reshape(8, 6, 2)), padding="same", bias=b),
        lambda x, b: F.conv1d(F.pad(x, (0, 1)), DENSE.reshape(8, 6, 2), b),
        (2, 6, 5),
    ),
}


@pytest.mark.parametrize(("ours", "theirs", "shape"), RECORDED.values(), ids=list(RECORDED))
def test_gradients_of_calls(ours, theirs, shape):
    x = values(*shape, dtype=torch.float64).requires_grad_()
    bias = OFFSET.clone().requires_grad_()
    y, expected = ours(x, bias), theirs(x, bias)
    torch.testing.assert_close(y, expected)
    weights = torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape)
    for one, other in zip(
        torch.autograd.grad((y * weights).sum(), (x, bias)),
        torch.autograd.grad((expected * weights).sum(), (x, bias)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
    assert torch.autograd.gradcheck(ours, (x, bias))


@pytest.mark.parametrize(
    "activation", [None, "relu", "relu6", "leaky_relu", "silu", "gelu", "hard_swish", "sigmoid", "tanh"]
)
def test_recorded_activations_are_those_of_arrays(activation):
    x = (values(5, 12, dtype=torch.float64) * 3).requires_grad_()
    y = cs.linear(x, W64, activation=activation)
    np.testing.assert_allclose(
        y.detach().numpy(), cs.linear(x.detach().numpy(), W64, activation=activation), atol=1e-12
    )
    assert torch.autograd.gradcheck(lambda x: cs.linear(x, W64, activation=activation), (x,))


def test_gradients_of_winners():
    x = values(2, 4, 5, dtype=torch.float64).requires_grad_()
    bias, boost = np.linspace(-1, 1, 5), np.linspace(0.5, 2, 5)
    for options in (
        {"k": 2},
        {"k": 0.3, "axis": (1, 2), "relu": True},
        {"k": 2, "bias": bias, "boost": boost},
        {"k": 5, "axis": (0, 2), "bias": np.broadcast_to(bias, (2, 5))},
    ):
        y = cs.kwta_dense(x, **options)
        expected = cs.kwta_dense(x.detach().numpy(), **options)
        assert np.array_equal(y.detach().numpy(), expected)
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert np.array_equal(gradient.numpy(), expected != 0)


def test_without_gradients_nothing_is_recorded():
    x = values(5, 12).requires_grad_()
    with torch.no_grad():
        assert not cs.linear(x, W).requires_grad
        assert not cs.kwta_dense(x, 2).requires_grad
    assert cs.linear(x, W).requires_grad
    assert cs.linear(values(5, 12), W, torch.zeros(8, requires_grad=True)).requires_grad
    (gradient,) = torch.autograd.grad(cs.linear(x.bfloat16(), W).sum(), x)
    torch.testing.assert_close(gradient, torch.from_numpy(D.sum(0)).float().expand(5, 12), rtol=0.01, atol=0.05)
    inner = torch.func.grad(lambda x: cs.linear(x, W).square().sum())(values(5, 12))
    torch.testing.assert_close(inner, 2 * cs.linear(cs.linear(values(5, 12), W), W.T))


def test_what_records_no_gradient_says_so():
    x = values(5, 12).requires_grad_()
    for call in (
        lambda: cs.linear(x, W, out=torch.zeros(5, 8)),
        lambda: cs.conv2d(x.reshape(1, 3, 4, 5), FILTERS, out=torch.zeros(1, 8, 3, 4)),
        lambda: W.plan(5, batch_major=True)(x),
        lambda: FILTERS.plan_conv2d((1, 3, 4, 5))(x.reshape(1, 3, 4, 5)),
    ):
        with pytest.raises(TypeError, match=r"pass x\.detach\(\)"):
            call()
    with pytest.raises(ValueError, match=r"bias has shape \(3,\); .* \(8,\)"):
        cs.linear(x, W, torch.zeros(3))
    with pytest.raises(ValueError, match="activation='softplus' is not known"):
        cs.linear(x, W, activation="softplus")
    with pytest.raises(TypeError, match="cannot be read: Can't call numpy"):
        cs.kwta(x, 3)
