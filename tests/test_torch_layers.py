# SPDX-License-Identifier: BSD-3-Clause
"""Layers on patterns: the dense layer with the same weight, in both forms, through all that PyTorch does to modules."""

import copy
import subprocess
import sys

import numpy as np
import pytest

import complsparse as cs

torch = pytest.importorskip("torch", reason="not run: torch is not installed")
nn, F = torch.nn, torch.nn.functional

forms = pytest.mark.parametrize("form", ["packed", "masked"])
CONVOLUTIONS = {
    "plain": {},
    "strides": {"stride": (2, 1), "padding": (1, 0)},
    "groups": {"groups": 2, "dilation": 2},
    "same": {"padding": "same"},
    "valid": {"padding": "valid", "bias": False},
    "reflected": {"padding": 1, "padding_mode": "reflect"},
}


def linear(form="packed", **options):
    torch.manual_seed(0)
    return cs.torch.ComplementaryLinear(12, 8, form=form, **{"set_size": 4, "rng": 0, **options})


def batch(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def weight_and_bias(layer):
    return layer.weight.detach().clone().requires_grad_(), layer.bias.detach().clone().requires_grad_()


def stays_on_its_pattern(layer):
    return bool((layer.weight[~layer.mask] == 0).all())


# --- the dense layer --------------------------------------------------------------------------------------------------


@forms
@pytest.mark.parametrize("options", [{}, {"block": (4, 1), "set_size": 2}, {"set_size": 3, "per_group": 2}])
def test_linear_layer(form, options):
    layer = linear(form, **options)
    weight, bias = weight_and_bias(layer)
    x, ours = batch(5, 12).requires_grad_(), batch(5, 12).requires_grad_()
    y, expected = layer(ours), F.linear(x, weight, bias)
    torch.testing.assert_close(y, expected)
    dy = batch(5, 8, seed=1)
    y.backward(dy)
    expected.backward(dy)
    torch.testing.assert_close(ours.grad, x.grad)
    torch.testing.assert_close(layer.bias.grad, bias.grad)
    torch.testing.assert_close(layer.values.grad, weight.grad[layer.mask])
    mask = cs.complementary_mask((8, 12), **{"set_size": 4, "rng": 0, **options})
    assert np.array_equal(layer.mask.numpy(), mask)


@forms
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # of the dense one
@pytest.mark.parametrize("options", CONVOLUTIONS.values(), ids=list(CONVOLUTIONS))
def test_convolution(form, options):
    torch.manual_seed(0)
    layer = cs.torch.ComplementaryConv2d(4, 8, (3, 2), form=form, set_size=4, rng=0, **options)
    dense = nn.Conv2d(4, 8, (3, 2), **options)
    with torch.no_grad():
        dense.weight.copy_(layer.weight)
        if layer.bias is not None:
            dense.bias.copy_(layer.bias)
    x, ours = batch(2, 4, 9, 8).requires_grad_(), batch(2, 4, 9, 8).requires_grad_()
    y, expected = layer(ours), dense(x)
    torch.testing.assert_close(y, expected)
    y.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(ours.grad, x.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer.values.grad, dense.weight.grad[layer.mask], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer(x[0]), dense(x[0]))
    layer.eval()
    with torch.no_grad():
        torch.testing.assert_close(layer(x), dense(x))


def test_matrices_of_layers():
    layer = linear()
    W = layer.matrix()
    assert np.array_equal(W.toarray(), layer.weight.detach().numpy())
    assert W.filter_shape is None
    assert W.packing_efficiency == 1.0
    layer = cs.torch.ComplementaryConv2d(4, 8, 3, set_size=4, rng=0, groups=2)
    W = layer.matrix()
    assert W.filter_shape == (8, 2, 3, 3)
    x = batch(1, 4, 5, 5)
    y = cs.conv2d(x.numpy(), W, groups=2, bias=layer.bias.detach().numpy())
    torch.testing.assert_close(torch.as_tensor(y), layer(x).detach())
    assert linear(dtype=torch.bfloat16).matrix().dtype == np.float32


def test_initial_weights_are_those_of_as_many_inputs_as_are_left():
    layer = cs.torch.ComplementaryLinear(1000, 100, density=0.1, rng=0)
    values = layer.values.detach()
    assert values.abs().max() <= 1 / 100**0.5
    assert values.std().item() == pytest.approx(1 / 300**0.5, rel=0.05)


@pytest.mark.parametrize("of", [torch.from_numpy, np.asarray, cs.from_dense, lambda mask: mask.tolist()])
def test_patterns_of_all_kinds(of):
    mask = np.random.default_rng(0).random((8, 12)) < 0.3
    layer = cs.torch.ComplementaryLinear(12, 8, pattern=of(mask))
    assert np.array_equal(layer.mask.numpy(), mask)
    filters = cs.torch.ComplementaryConv2d(3, 8, 2, pattern=of(mask))
    assert filters.mask.shape == (8, 3, 2, 2)
    assert np.array_equal(filters.mask.flatten(1).numpy(), mask)


def test_from_dense_keeps_the_greatest_sum_of_magnitudes():
    torch.manual_seed(0)
    dense = nn.Linear(12, 8).eval()
    layer = cs.torch.ComplementaryLinear.from_dense(dense, set_size=4)
    W, report = cs.prune(dense.weight.detach().numpy(), set_size=4)
    assert np.array_equal(layer.weight.detach().numpy(), W.toarray())
    assert torch.equal(layer.bias, dense.bias)
    assert layer.kept_energy == pytest.approx(report.kept.square)
    assert not layer.training
    mask = cs.complementary_mask((8, 12), set_size=4, rng=1)
    layer = cs.torch.ComplementaryLinear.from_dense(dense, pattern=mask)
    expected = np.where(mask, dense.weight.detach().numpy(), 0)
    assert np.array_equal(layer.weight.detach().numpy(), expected)
    assert layer.kept_energy == pytest.approx((expected**2).sum() / (dense.weight**2).sum().item())
    filters = nn.Conv2d(3, 8, 2, stride=2, padding="valid", bias=False, dtype=torch.float64)
    layer = cs.torch.ComplementaryConv2d.from_dense(filters, set_size=4, method="greedy")
    W, _ = cs.prune(filters.weight.detach().flatten(1).numpy(), set_size=4, method="greedy")
    assert np.array_equal(layer.weight.detach().flatten(1).numpy(), W.toarray())
    assert layer.bias is None
    assert layer.stride == (2, 2)


def test_what_does_not_fit_is_refused():
    mask = np.ones((8, 12), bool)
    with pytest.raises(ValueError, match=r"shape \(8, 12\) has 96 places; the weight of shape \(8, 10\) has 80"):
        cs.torch.ComplementaryLinear(10, 8, pattern=mask)
    with pytest.raises(ValueError, match="form='dense' is not known"):
        cs.torch.ComplementaryLinear(12, 8, pattern=mask, form="dense")
    for make in (
        lambda: cs.torch.ComplementaryLinear(12, 8, pattern=mask, density=0.1),
        lambda: cs.torch.ComplementaryConv2d(3, 8, 2, pattern=mask, density=0.1),
        lambda: cs.torch.ComplementaryLinear.from_dense(nn.Linear(12, 8), pattern=mask, density=0.1),
    ):
        with pytest.raises(TypeError, match="density cannot choose another"):
            make()


# --- values that change -----------------------------------------------------------------------------------------------


def test_frozen_layers_see_every_write_that_leaves_a_trace():
    layer, x = linear().eval(), batch(3, 12)

    def agree():
        for _ in range(2):  # the second call runs what the first one has kept
            with torch.no_grad():
                torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))

    agree()
    with torch.no_grad():
        layer.values.mul_(2)
    agree()
    with torch.no_grad():
        layer.bias.add_(1)
    agree()
    layer.bias.data = layer.bias.data + 1
    agree()
    layer.bias = nn.Parameter(torch.ones(8))
    agree()
    layer.parametrizations.weight.original = nn.Parameter(torch.ones_like(layer.values))
    agree()
    layer.load_state_dict(linear(rng=1).state_dict())
    agree()
    layer.load_state_dict(linear().state_dict(), assign=True)
    agree()
    layer.values.data = layer.values.data + 1
    agree()
    layer.values.data.mul_(2)
    layer.eval()
    agree()
    layer.double()
    x = x.double()
    agree()
    layer.half().double()  # rounded, perhaps at the same place
    agree()
    layer.bias = None
    agree()


def test_frozen_layers_record_gradients_that_are_asked_for():
    layer, x = linear().eval(), batch(3, 12)
    with torch.no_grad():
        expected = layer(x)
        assert not layer(x.requires_grad_()).requires_grad
    y = layer(x)
    torch.testing.assert_close(y, expected)
    y.sum().backward()
    torch.testing.assert_close(x.grad, layer.weight.detach().sum(0).expand(3, 12))


def test_frozen_layers_run_what_they_cannot_hand_over():
    layer, x = linear().eval(), batch(3, 12)
    with torch.no_grad():
        expected = layer(x)
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=0)
        torch.testing.assert_close(layer(x.double()).float(), expected)
        turned = x.T.contiguous().T
        torch.testing.assert_close(layer(turned), expected)
        with pytest.raises(ValueError, match="expects 12"):
            layer(x[:, 1:])
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(x).dtype == torch.bfloat16
        torch.testing.assert_close(layer.bfloat16()(x.bfloat16()).float(), expected, rtol=0.02, atol=0.02)


@forms
@pytest.mark.parametrize("make", [torch.optim.AdamW, torch.optim.SGD])
def test_no_weight_leaves_the_pattern(form, make):
    model = nn.Sequential(linear(form), nn.ReLU(), nn.Linear(8, 2))
    options = {"momentum": 0.9} if make is torch.optim.SGD else {}
    optimiser = make(model.parameters(), lr=0.05, weight_decay=0.1, **options)
    before = model[0].values.detach().clone()
    for step in range(1000):
        loss = (model(batch(16, 12, seed=step)) - 1).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert stays_on_its_pattern(model[0])
    assert len(optimiser.state[model[0].values].popitem()[1]) == len(before)
    assert not torch.equal(before, model[0].values)
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(model[0](batch(3, 12)), F.linear(batch(3, 12), model[0].weight, model[0].bias))


def test_both_forms_learn_the_same():
    layers = [linear(form) for form in ("packed", "masked")]
    for layer in layers:
        optimiser = torch.optim.Adam(layer.parameters(), lr=0.01, weight_decay=0.1)
        for step in range(30):
            optimiser.zero_grad()
            layer(batch(16, 12, seed=step)).square().sum().backward()
            optimiser.step()
    torch.testing.assert_close(layers[0].values, layers[1].values, rtol=1e-3, atol=1e-4)


# --- what PyTorch does to modules -------------------------------------------------------------------------------------


def model_of(form):
    torch.manual_seed(0)
    return nn.Sequential(
        cs.torch.ComplementaryConv2d(2, 8, 3, padding=1, set_size=3, rng=0, form=form),
        cs.torch.KWinners2d(8, 0.25),
        nn.MaxPool2d(2),
        nn.Flatten(),
        cs.torch.ComplementaryLinear(32, 8, set_size=4, rng=0, form=form),
        cs.torch.KWinners(8, 3),
    )


IMAGES = batch(3, 2, 4, 4)


@forms
def test_state_dict(form, tmp_path):
    model, other = model_of(form), model_of(form)
    model(IMAGES)  # moves the duty cycles
    with torch.no_grad():
        model[4].values.add_(1)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    state = torch.load(tmp_path / "model.pt", weights_only=True)
    assert state["4.parametrizations.weight.original"].shape == (64,)
    other.load_state_dict(state)
    model.eval()
    other.eval()
    assert torch.equal(model(IMAGES), other(IMAGES))
    assert torch.equal(other[1].duty_cycle, model[1].duty_cycle)


def test_a_state_brings_its_pattern():
    layer, other = linear(rng=0), linear(rng=1)
    x = batch(3, 12)
    assert not torch.equal(layer.mask, other.mask)
    layer(x)
    layer.load_state_dict(other.state_dict())
    assert torch.equal(layer(x), other(x))
    assert torch.equal(layer.mask, other.mask)


@forms
def test_deepcopy(form):
    model = model_of(form).eval()
    with torch.no_grad():
        expected = model(IMAGES)
        twin = copy.deepcopy(model)
        assert torch.equal(twin(IMAGES), expected)
        twin[4].values.zero_()
        assert torch.equal(model(IMAGES), expected)
        assert not twin[4].weight.any()


@forms
def test_export(form, tmp_path):
    model = model_of(form).eval()
    program = torch.export.export(model, (IMAGES,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, tmp_path / "model.pt2")
    loaded = torch.export.load(tmp_path / "model.pt2").module()
    for n in (2, 7):
        x = batch(n, 2, 4, 4, seed=n)
        torch.testing.assert_close(loaded(x), model(x))
    names = {str(node.target) for node in program.graph.nodes}
    assert ("complsparse.sparse_linear.default" in names) == (form == "packed")


@forms
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compile(form):
    model = model_of(form)
    twin = copy.deepcopy(model)
    compiled = torch.compile(twin, fullgraph=True, backend="aot_eager")
    for _ in range(2):
        torch.testing.assert_close(compiled(IMAGES), model(IMAGES))
    compiled(IMAGES).sum().backward()
    model(IMAGES).sum().backward()
    for ours, theirs in zip(twin.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


@forms
def test_mixed_precision(form):
    layer = linear(form)
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1, weight_decay=0.1)
    losses = []
    for _ in range(20):
        with torch.autocast("cpu", torch.bfloat16):
            y = layer(batch(16, 12))
            assert y.dtype == torch.bfloat16
            loss = (y - 1).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert layer.values.dtype == layer.values.grad.dtype == torch.float32
    assert losses[-1] < losses[0]
    assert stays_on_its_pattern(layer)


WORKER = """
import sys, torch, complsparse as cs
import torch.distributed as dist
rank, where = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method="file://" + where + "/meeting", rank=rank, world_size=2)
torch.manual_seed(rank)  # wrapped, both have the weights of the first
model = torch.nn.Sequential(cs.torch.ComplementaryLinear(12, 8, set_size=4, rng=0), cs.torch.KWinners(8, 3))
model = torch.nn.parallel.DistributedDataParallel(model)
optimiser = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
for step in range(5):
    x = torch.randn(8, 12, generator=torch.Generator().manual_seed(2 * step + rank))
    optimiser.zero_grad()
    model(x).square().sum().backward()
    optimiser.step()
torch.save(model.module.state_dict(), where + f"/{rank}.pt")
dist.destroy_process_group()
"""


def test_distributed_data_parallel(tmp_path):
    code = [sys.executable, "-W", "ignore", "-P", "-c", WORKER]
    workers = [subprocess.Popen([*code, str(rank), str(tmp_path)], stderr=subprocess.PIPE) for rank in (0, 1)]
    for worker in workers:
        _, errors = worker.communicate(timeout=300)
        assert worker.returncode == 0, errors.decode()
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first["0.parametrizations.weight.original"].any()
    for name in ("0.parametrizations.weight.original", "0.bias"):
        assert torch.equal(first[name], second[name])


def test_repr_tells_what_is_stored():
    assert "in_features=12, out_features=8, bias=True, nnz=24, form=packed" in repr(linear())
    assert "kernel_size=(3, 3)" in repr(cs.torch.ComplementaryConv2d(4, 8, 3))


# --- sparse tensors ---------------------------------------------------------------------------------------------------

DENSE = np.array([[0, 2, 0, 1], [3, 0, 0, 0]], dtype=np.float32)


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int8, torch.bfloat16])
@pytest.mark.parametrize("layout", ["coo", "csr", "csc", "bsr"])
def test_matrices_of_sparse_tensors(layout, dtype):
    if dtype == torch.bfloat16:
        pytest.importorskip("ml_dtypes")
    dense = torch.from_numpy(DENSE).to(dtype)
    tensor = {
        "coo": dense.to_sparse,
        "csr": dense.to_sparse_csr,
        "csc": dense.to_sparse_csc,
        "bsr": lambda: dense.to_sparse_bsr((2, 2)),
    }[layout]()
    W = cs.ComplementaryMatrix(tensor)
    assert np.array_equal(W.toarray().astype(np.float32), DENSE)
    assert W.nnz == (8 if layout == "bsr" else 3)
    assert str(dtype) == f"torch.{W.dtype}"


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_triplets_are_summed_and_other_sparse_tensors_refused():
    twice = torch.sparse_coo_tensor([[0, 0], [1, 1]], [1.0, 1.0], (2, 4), check_invariants=True)
    assert cs.ComplementaryMatrix(twice).toarray().tolist() == [[0, 2, 0, 0], [0] * 4]
    with pytest.raises(ValueError, match=r"shape \(2, 4\) with 1 dense axes"):
        cs.ComplementaryMatrix(torch.from_numpy(DENSE).to_sparse(1))
    with pytest.raises(TypeError, match=r"layout torch\.sparse_bsc; use COO"):
        cs.ComplementaryMatrix(torch.from_numpy(DENSE).to_sparse_bsc((2, 2)))


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_sparse_csr_and_back():
    W = cs.random((20, 30), set_size=5, rng=0, dtype=np.float32)
    for matrix in (W, W.T, W.with_values(np.zeros(W.nnz, np.float32))):
        tensor = cs.torch.to_sparse_csr(matrix)
        assert np.array_equal(tensor.to_dense().numpy(), matrix.toarray())
        assert tensor._nnz() == matrix.nnz
        assert (cs.ComplementaryMatrix(tensor) != matrix).nnz == 0
    with pytest.raises(TypeError, match="not ndarray"):
        cs.torch.to_sparse_csr(DENSE)
