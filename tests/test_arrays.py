# SPDX-License-Identifier: BSD-3-Clause
"""Arrays of other libraries and subclasses of NumPy's: what they mean is what is computed, or they are refused by name.

Tensors are those of the real libraries, where these are installed.
"""

import sys

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_array_equal

import complsparse as cs
from complsparse._arrays import as_array

D = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 2.0]], dtype=np.float32)
W = cs.from_dense(D)
X = np.array([[1.0, 2.0, -3.0], [4.0, 5.0, 6.0]], dtype=np.float32)

FILTERS = cs.from_filters(np.array([[[[1, 2, 3]]]], np.float32))
SIGNAL = cs.from_filters(np.array([[[1, 2, 3]]], np.float32))
THREE = cs.from_filters(np.ones((3, 1, 1, 3), np.float32))

# Whatever takes a dense array of shape (2, 3), and what it gives; some use a row of it.
ENTRIES = {
    "matmul, right": (lambda x: W @ x.T, lambda x: D @ x.T),
    "matmul, left": (lambda x: cs.matmul(x, W.T), lambda x: x @ D.T),
    "linear": (lambda x: cs.linear(x, W), lambda x: x @ D.T),
    "linear, winners": (lambda x: cs.linear(x, W, winners=2).toarray(), lambda x: x @ D.T),
    "bias": (lambda x: cs.matmul(W.T, np.zeros(2, np.float32), bias=x[0]), lambda x: x[0]),
    "bias of linear": (lambda x: cs.linear(np.zeros((1, 2), np.float32), W.T, x[0]), lambda x: x[:1]),
    "bias of a plan": (lambda x: W.T.plan(1, bias=x[0])(np.zeros((2, 1), np.float32))[:, 0], lambda x: x[0]),
    "kwta": (lambda x: cs.kwta(x, 3).toarray(), lambda x: x),
    "kwta_dense": (lambda x: cs.kwta_dense(x, 3), lambda x: x),
    "kwta, bias": (lambda x: cs.kwta(np.zeros((2, 3), np.float32), 3, bias=x[0]).toarray()[0], lambda x: x[0]),
    "kwta, boost": (lambda x: cs.kwta(np.ones(3, np.float32), 2, boost=x[1]).indices, lambda x: np.array([1, 2])),
    "Winners": (lambda x: cs.Winners(x[0], [0, 1, 2], [0, 3], (1, 3)).toarray(), lambda x: x[:1]),
    "Winners.from_dense": (lambda x: cs.Winners.from_dense(x).toarray(), lambda x: x),
    "from_dense": (lambda x: cs.from_dense(x).toarray(), lambda x: x),
    "ComplementaryMatrix": (lambda x: cs.ComplementaryMatrix(x).toarray(), lambda x: x),
    "from_coo": (lambda x: cs.from_coo(x[0], ([0, 0, 0], [0, 1, 2]), (1, 3)).toarray(), lambda x: x[:1]),
    "with_values": (lambda x: cs.from_dense(X).with_values(x).toarray(), lambda x: x),
    "with_values, vector": (lambda x: cs.from_dense(X[:1]).with_values(x[0]).toarray(), lambda x: x[:1]),
    "prune": (lambda x: cs.prune(x, set_size=1)[0].toarray(), lambda x: x),
    "sampled_matmul": (
        lambda x: cs.sampled_matmul(cs.from_dense(np.ones((2, 3))), np.eye(2, dtype=np.float32), x).toarray(),
        lambda x: x,
    ),
    "conv2d": (
        lambda x: cs.conv2d(x.reshape(1, 1, 2, 3), FILTERS, stride=(1, 3)),
        lambda x: (x @ [1, 2, 3])[None, None, :, None],
    ),
    "conv2d, bias": (
        lambda x: cs.conv2d(np.zeros((1, 1, 1, 3), np.float32), THREE, bias=x[0]),
        lambda x: x[0].reshape(1, 3, 1, 1),
    ),
    "conv1d": (lambda x: cs.conv1d(x.reshape(2, 1, 3), SIGNAL), lambda x: (x @ [1, 2, 3]).reshape(2, 1, 1)),
    "bias of plan_conv2d": (
        lambda x: THREE.plan_conv2d((1, 1, 1, 3), bias=x[0])(np.zeros((1, 1, 1, 3), np.float32)),
        lambda x: x[0].reshape(1, 3, 1, 1),
    ),
    "max_pool2d": (lambda x: cs.max_pool2d(x.reshape(1, 1, 2, 3), (2, 1)), lambda x: x.max(axis=0).reshape(1, 1, 1, 3)),
    "avg_pool2d": (lambda x: cs.avg_pool2d(x.reshape(1, 1, 2, 3), (1, 1)), lambda x: x.reshape(1, 1, 2, 3)),
    "from_filters": (lambda x: cs.from_filters(x.reshape(2, 1, 1, 3)).toarray(), lambda x: x),
    "matvec": (lambda x: W.matvec(x[0]), lambda x: D @ x[0]),
    "matmat": (lambda x: W.matmat(x.T), lambda x: D @ x.T),
}


def agree(entry, tensor, plain):
    call, expected = ENTRIES[entry]
    result = call(tensor)
    if hasattr(result, "detach"):
        result = result.double()  # NumPy has no bfloat16
    result = np.asarray(result)
    assert_array_equal(result.astype(np.float64), expected(plain).astype(np.float64))


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_list_of_entries_is_right(entry):
    agree(entry, X, X)


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("entry", ENTRIES)
def test_masked_arrays_are_refused(entry, hidden):
    masked = np.ma.array(X, mask=hidden)
    with pytest.raises(TypeError, match=r"is a masked array.*filled"):
        ENTRIES[entry][0](masked)


def test_masked_indices_and_outputs_are_refused():
    masked = np.ma.array([0, 1], mask=[0, 1])
    y = np.ma.zeros((2, 1), dtype=np.float32)
    x = np.ones((3, 1), np.float32)
    S = scipy.sparse.csr_array(D)
    S.data = np.ma.array(S.data, mask=True)
    for call in (
        lambda: cs.from_coo([1.0, 2.0], (masked, [0, 1]), (2, 2)),
        lambda: cs.Winners([1.0, 2.0], masked, [0, 2], (1, 2)),
        lambda: cs.Winners([1.0, 2.0], [0, 1], np.ma.array([0, 2]), (1, 2)),
        lambda: cs.from_scipy(S),
        lambda: cs.matmul(W, x, out=y),
        lambda: W.plan(1)(x, out=y),
        lambda: W.plan(1)(np.ma.array(x)),
        lambda: W.plan(1).bind(np.ma.array(x), np.zeros((2, 1), np.float32)),
        lambda: W.plan(1).bind(x, y),
        lambda: FILTERS.plan_conv2d((1, 1, 1, 3))(np.ma.ones((1, 1, 1, 3), np.float32)),
        lambda: FILTERS.plan_conv2d((1, 1, 1, 3))(np.ones((1, 1, 1, 3), np.float32), out=y[:1].reshape(1, 1, 1, 1)),
        lambda: cs.conv2d(np.ones((1, 1, 1, 3), np.float32), FILTERS, out=y[:1].reshape(1, 1, 1, 1)),
        lambda: cs.max_pool2d(np.ones((1, 1, 2, 1), np.float32), 1, out=y.reshape(1, 1, 2, 1)),
    ):
        with pytest.raises(TypeError, match=r"masked array|MaskedArray"):
            call()
    assert not y.any()


def test_complex_images_are_refused():
    image = np.ones((1, 1, 1, 3), np.complex64)
    for call in (
        lambda: cs.conv2d(image, FILTERS),
        lambda: cs.conv1d(image[0], SIGNAL),
        lambda: cs.max_pool2d(image, 1),
        lambda: cs.avg_pool2d(image, 1),
    ):
        with pytest.raises(TypeError, match=r"x has dtype complex64.* x\.real and x\.imag"):
            call()


def test_other_subclasses_are_read_as_the_arrays_that_they_are(tmp_path):
    np.save(tmp_path / "x.npy", X)
    for x in (np.load(tmp_path / "x.npy", mmap_mode="r"), X.view(np.matrix), X.view(np.recarray)):
        assert_array_equal(cs.linear(x, W), X @ D.T)
        assert type(cs.kwta_dense(x, 3)) is np.ndarray


class Missing:
    """As a table with missing values: an array of Python objects."""

    def __array__(self, dtype=None, copy=None):
        return np.array([[True, None, True]] * 2, dtype=object)


class Broken:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("the values have gone\nand the details")


class OnAnotherDevice:
    def __dlpack__(self, **options):
        raise BufferError("on another device")

    def __dlpack_device__(self):
        return (2, 0)


@pytest.mark.parametrize(
    ("operand", "words"),
    [
        (Missing(), "not an array of numbers: Missing of dtype object .*missing values"),
        (np.array([[None, 1.0, 2.0]] * 2), "not an array of numbers: ndarray of dtype object"),
        (Broken(), "Broken.* cannot be read: the values have gone$"),
        (OnAnotherDevice(), "OnAnotherDevice.* cannot be read: on another device"),
    ],
    ids=["missing values", "objects", "broken", "device"],
)
def test_what_is_no_array_of_numbers_is_named(operand, words):
    for call in (lambda: cs.linear(operand, W), lambda: cs.kwta(operand, 1), lambda: cs.linear(operand, W, winners=1)):
        with pytest.raises(TypeError, match=words):
            call()


# --- torch ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="not run: tensors of torch, which is not installed")


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16", "int32"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_tensors_of_torch(torch, entry, dtype):
    pytest.importorskip("ml_dtypes")
    agree(entry, torch.from_numpy(X).to(getattr(torch, dtype)), X)


def test_tensors_are_read_where_they_lie(torch):
    tensor = torch.zeros((4, 3), dtype=torch.bfloat16)
    for part in (tensor, tensor[::2], tensor.T, torch.nn.Parameter(tensor.float(), requires_grad=False)):
        plain = as_array(part, "x")
        assert plain.ctypes.data == part.data_ptr()
        assert plain.shape == tuple(part.shape)
        assert [s // plain.itemsize for s in plain.strides] == list(part.stride())


def test_signs_that_a_tensor_owes_are_paid(torch):
    z = torch.tensor([[1 + 2j, 3 - 1j, 0 + 4j]], dtype=torch.complex64)
    owing = torch.conj(z).imag
    assert owing.is_neg()
    expected = np.array([[-2.0, 1.0, -4.0]], np.float32)
    assert_array_equal(cs.linear(owing, W), expected @ D.T)
    assert_array_equal(cs.kwta_dense(owing, 3), expected)
    assert_array_equal(cs.linear(torch.conj(z), W), z.numpy().conj() @ D.T)


def test_tensors_without_values_are_refused(torch):
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        fakes = [torch.ones((2, 3)), torch.ones((2, 3), dtype=torch.bfloat16)]
    others = [
        torch.ones((2, 3), device="meta"),
        torch.ones((2, 3)).to_sparse(),
        torch.ones((2, 3)).to(torch.float8_e4m3fn),
    ]
    for tensor in (*fakes, *others):
        for call in (lambda t: cs.linear(t, W), lambda t: cs.kwta(t, 1), lambda t: cs.from_dense(t)):
            with pytest.raises(TypeError, match=r"Tensor.* cannot be read: |from_dense takes an array, not Tensor"):
                call(tensor)


def test_tensors_inside_transformations_are_refused(torch):
    def layer(x):
        with pytest.raises(TypeError, match="cannot be read"):
            cs.linear(x, W)
        return x.sum()

    torch.func.vmap(layer)(torch.ones((2, 3)))


def test_results_do_not_hang_on_torch_being_there(torch, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert_array_equal(cs.linear(X, W), X @ D.T)


# --- jax --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def jax():
    return pytest.importorskip("jax", reason="not run: arrays of jax, which is not installed")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "int32"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_arrays_of_jax(jax, entry, dtype):
    agree(entry, jax.numpy.asarray(X).astype(dtype), X)


def test_traced_arrays_are_refused(jax):
    def layer(x):
        with pytest.raises(TypeError, match="cannot be read"):
            cs.linear(x, W)
        with pytest.raises(TypeError, match="cannot be read"):
            cs.kwta(x, 1)
        return x

    jax.jit(layer)(X)
    jax.vmap(layer)(X)
