# SPDX-License-Identifier: BSD-3-Clause
"""Operators of complsparse.torch: values and gradients of the dense operation, compiled, exported and in eager mode."""

import gc

import numpy as np
import pytest

import complsparse as cs

torch = pytest.importorskip("torch", reason="not run: torch is not installed")
F = torch.nn.functional

PATTERNS = {
    "complementary": lambda shape: cs.complementary_mask(shape, set_size=4, rng=0),
    "blocks of 4 x 1": lambda shape: cs.complementary_mask(shape, set_size=3, block=(4, 1), rng=0),
    "blocks of 4 x 4": lambda shape: cs.complementary_mask(shape, set_size=3, block=(4, 4), rng=0),
    "unbalanced": lambda shape: np.random.default_rng(0).random(shape) < 0.2,
    "empty": lambda shape: np.zeros(shape, bool),
    "full": lambda shape: np.ones(shape, bool),
}
every_pattern = pytest.mark.parametrize("mask", [make((8, 12)) for make in PATTERNS.values()], ids=list(PATTERNS))

GEOMETRIES = {
    "plain": {},
    "strides": {"stride": (2, 1), "padding": 1},
    "dilation": {"dilation": (1, 2), "padding": (0, 2)},
    "groups": {"groups": 2, "padding": 1},
}


def leaf(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).requires_grad_()


def problem(mask, dtype=torch.float64):
    """(x, values, positions, bias) and the dense weight, which has the values in it."""
    positions = cs.torch.positions_of(mask)
    values = leaf(len(positions), seed=1, dtype=dtype)
    return leaf(5, 12, dtype=dtype), values, positions, leaf(8, seed=2, dtype=dtype)


def dense(values, positions, shape):
    weight = torch.zeros(int(np.prod(shape)), dtype=values.dtype)
    return weight.scatter(0, positions, values).reshape(shape)


def gradients(y, *leaves):
    return torch.autograd.grad((y * torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape)).sum(), leaves)


def test_positions():
    mask = cs.complementary_mask((6, 10), set_size=5, rng=0)
    expected = np.flatnonzero(mask)
    for pattern in (mask, torch.from_numpy(mask), mask.tolist(), cs.from_dense(mask)):
        assert cs.torch.positions_of(pattern).tolist() == expected.tolist()
    weight = torch.zeros(2, 1, 3, 3)
    weight[1, 0, 2, 1] = -1
    assert cs.torch.positions_of(weight).tolist() == [16]


@every_pattern
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear_is_the_dense_layer(mask, dtype):
    x, values, positions, bias = problem(mask, dtype)
    for shape in ((5, 12), (12,), (2, 3, 12), (0, 12)):
        x = leaf(*shape, dtype=dtype)
        y = cs.torch.sparse_linear(x, values, positions, (8, 12), bias)
        expected = F.linear(x, dense(values, positions, (8, 12)), bias)
        torch.testing.assert_close(y, expected)
        for ours, theirs in zip(gradients(y, x, values, bias), gradients(expected, x, values, bias), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


@every_pattern
def test_gradients_of_linear(mask):
    x, values, positions, bias = problem(mask)

    def f(x, values, bias):
        return cs.torch.sparse_linear(x, values, positions, (8, 12), bias)

    assert torch.autograd.gradcheck(f, (x, values, bias))
    assert torch.autograd.gradgradcheck(f, (x, values, bias))


@pytest.mark.parametrize("options", GEOMETRIES.values(), ids=list(GEOMETRIES))
@pytest.mark.parametrize("pattern", PATTERNS)
def test_convolution_is_the_dense_one(pattern, options):
    shape = (8, 4 // options.get("groups", 1), 3, 3)
    positions = cs.torch.positions_of(PATTERNS[pattern]((8, shape[1] * 9)))
    x, values, bias = leaf(2, 4, 7, 6), leaf(len(positions), seed=1), leaf(8, seed=2)
    y = cs.torch.sparse_conv2d(x, values, positions, shape, bias, **options)
    expected = F.conv2d(x, dense(values, positions, shape), bias, **options)
    torch.testing.assert_close(y, expected)
    for ours, theirs in zip(gradients(y, x, values, bias), gradients(expected, x, values, bias), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("options", GEOMETRIES.values(), ids=list(GEOMETRIES))
def test_gradients_of_convolution(options):
    shape = (4, 2 // options.get("groups", 1), 2, 3)
    positions = cs.torch.positions_of(cs.complementary_mask((4, shape[1] * 6), set_size=3, rng=0))
    x, values, bias = leaf(2, 2, 4, 5), leaf(len(positions), seed=1), leaf(4, seed=2)

    def f(x, values, bias):
        return cs.torch.sparse_conv2d(x, values, positions, shape, bias, **options)

    assert torch.autograd.gradcheck(f, (x, values, bias))
    assert torch.autograd.gradgradcheck(f, (x, values, bias))


# --- winners ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("boosted", [False, True])
@pytest.mark.parametrize("dim", [-1, 1, (1, 2), (-1, 0)])
def test_winners_are_those_of_a_stable_sort(dim, boosted):
    x = leaf(3, 4, 5).detach().round(decimals=1).requires_grad_()  # with equals
    axes = sorted(axis % 3 for axis in ((dim,) if isinstance(dim, int) else dim))
    others = [axis for axis in range(3) if axis not in axes]
    size = [x.shape[axis] for axis in axes]
    boost = leaf(*size, seed=3).detach().exp() if boosted else None
    y = cs.torch.kwinners(x, 3, dim=dim, boost=boost)
    vectors = x.detach().permute(*others, *axes).flatten(len(others)).flatten(0, len(others) - 1)
    ranked = vectors if boost is None else vectors * boost.flatten()
    places = ranked.sort(dim=-1, descending=True, stable=True).indices[:, :3]
    won = torch.zeros_like(vectors, dtype=torch.bool).scatter(-1, places, True)
    assert (won.sum(-1) == 3).all()
    permuted = [x.shape[axis] for axis in [*others, *axes]]
    mask = won.reshape(permuted).permute(*np.argsort([*others, *axes]).tolist())
    assert torch.equal(y, torch.where(mask, x, 0))
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, mask.to(gradient.dtype))


def test_gradients_of_winners():
    x = leaf(4, 9)
    assert torch.autograd.gradcheck(lambda x: cs.torch.kwinners(x, 0.3, boost=torch.linspace(0.5, 2, 9)), (x,))


def test_counts_of_winners():
    x = leaf(3, 8)
    for k, count in ((0, 0), (0.25, 2), (1.0, 8), (8, 8), (100, 8)):
        assert (cs.torch.kwinners(x, k) != 0).sum(-1).tolist() == [count] * 3
    for k in (-1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="neither a count"):
            cs.torch.kwinners(x, k)
    for k in (True, "3"):
        with pytest.raises(TypeError, match="k must be an int"):
            cs.torch.kwinners(x, k)
    with pytest.raises(ValueError, match=r"dim=2 does not name axes of x, whose shape is \(3, 8\)"):
        cs.torch.kwinners(x, 1, dim=2)
    with pytest.raises(TypeError, match=r"tensor of floats, not torch\.int64"):
        cs.torch.kwinners(torch.arange(3), 1)


# --- what PyTorch does with operators ---------------------------------------------------------------------------------


def samples():
    operators = torch.ops.complsparse
    x, values, positions, bias = problem(PATTERNS["complementary"]((8, 12)))
    dy = leaf(5, 8)
    yield operators.sparse_linear, (x, values, positions, [8, 12], bias)
    yield (
        operators.sparse_linear,
        (x.detach().float(), values.detach().half(), positions, [8, 12], None),
    )
    yield operators.sparse_linear_to_input, (dy, values, positions, [8, 12], [5, 12])
    yield operators.sparse_linear_to_values, (dy, x, positions, [8, 12])
    geometry = [4, 2, 2, 3, 2, 1, 1, 0, 1, 1, 1]
    positions = cs.torch.positions_of(cs.complementary_mask((4, 12), set_size=3, rng=0))
    image, values = leaf(2, 2, 5, 6), leaf(len(positions))
    dy = leaf(2, 4, 3, 4)
    yield operators.sparse_conv2d, (image, values, positions, geometry, leaf(4))
    yield operators.sparse_conv2d_to_input, (dy, values, positions, geometry, list(image.shape))
    yield operators.sparse_conv2d_to_values, (dy, image, positions, geometry)
    yield operators.kwinners, (x, 3, [1], None)
    yield operators.kwinners, (image, 5, [1, 2, 3], torch.rand(2, 1, 1, dtype=torch.float64) + 0.5)


@pytest.mark.parametrize(("operator", "arguments"), list(samples()), ids=lambda s: getattr(s, "__name__", ""))
def test_opcheck(operator, arguments):
    assert set(torch.library.opcheck(operator.default, arguments).values()) == {"SUCCESS"}


def test_calls_have_the_bits_of_operators():
    """Calls that nobody follows go past the operators: results and gradients are the same."""
    x, values, positions, bias = problem(PATTERNS["complementary"]((8, 12)), torch.float32)
    geometry = [4, 2, 2, 3, 2, 1, 1, 0, 1, 1, 1]
    filters = cs.torch.positions_of(cs.complementary_mask((4, 12), set_size=3, rng=0))
    image, of_filters = (leaf(*shape, dtype=torch.float32) for shape in ((2, 2, 5, 6), (len(filters),)))
    operators = torch.ops.complsparse
    for leaves, call, operator in (
        (
            (x, values, bias),
            lambda: cs.torch.sparse_linear(x, values, positions, (8, 12), bias),
            lambda: operators.sparse_linear(x, values, positions, [8, 12], bias),
        ),
        (
            (image, of_filters),
            lambda: cs.torch.sparse_conv2d(image, of_filters, filters, (4, 2, 2, 3), stride=(2, 1), padding=(1, 0)),
            lambda: operators.sparse_conv2d(image, of_filters, filters, geometry, None),
        ),
    ):
        y, expected = call(), operator()
        assert type(y.grad_fn) is not type(expected.grad_fn)
        assert torch.equal(y, expected)
        for ours, theirs in zip(gradients(y, *leaves), gradients(expected, *leaves), strict=True):
            assert torch.equal(ours, theirs)


def test_who_follows_operators_sees_them():
    from torch.fx.experimental.proxy_tensor import make_fx

    x, values, positions, bias = (t.detach() for t in problem(PATTERNS["complementary"]((8, 12)), torch.float32))

    def f(x, values):
        return cs.torch.sparse_linear(x, values, positions, (8, 12), bias)

    for mode in ("real", "fake", "symbolic"):
        program = make_fx(f, tracing_mode=mode, _allow_non_fake_inputs=True)(x, values)
        assert any(node.target is torch.ops.complsparse.sparse_linear.default for node in program.graph.nodes)
        torch.testing.assert_close(program(2 * x, values), f(2 * x, values))


def network(x, image, values, positions, bias, filters, of_filters):
    y = cs.torch.sparse_linear(x, values, positions, (8, 12), bias)
    z = cs.torch.sparse_conv2d(image, filters, of_filters, (4, 2, 2, 3), padding=1)
    return cs.torch.kwinners(torch.relu(y), 3).sum() + z.square().sum()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_code_is_one_graph_with_the_same_gradients():
    of_filters = cs.torch.positions_of(cs.complementary_mask((4, 12), set_size=3, rng=0))
    x, values, positions, bias = problem(PATTERNS["complementary"]((8, 12)))
    image, filters = leaf(2, 2, 4, 5), leaf(len(of_filters), seed=4)
    leaves = (x, image, values, bias, filters)
    arguments = (x, image, values, positions, bias, filters, of_filters)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    expected = network(*arguments)
    torch.testing.assert_close(compiled(*arguments), expected)
    ours = torch.autograd.grad(compiled(*arguments), leaves)
    for one, other in zip(ours, torch.autograd.grad(expected, leaves), strict=True):
        torch.testing.assert_close(one, other)


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        _, values, positions, bias = problem(PATTERNS["complementary"]((8, 12)))
        self.values, self.bias = torch.nn.Parameter(values), torch.nn.Parameter(bias)
        self.register_buffer("positions", positions)

    def forward(self, x):
        return cs.torch.kwinners(cs.torch.sparse_linear(x, self.values, self.positions, (8, 12), self.bias), 2)


def test_exported_programs_keep_the_operators_and_take_any_batch(tmp_path):
    layer, x = Layer(), leaf(5, 12).detach()
    program = torch.export.export(layer, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    names = {str(node.target) for node in program.graph.nodes}
    assert {"complsparse.sparse_linear.default", "complsparse.kwinners.default"} <= names
    torch.export.save(program, tmp_path / "layer.pt2")
    loaded = torch.export.load(tmp_path / "layer.pt2").module()
    for n in (2, 5, 9):
        x = leaf(n, 12).detach()
        torch.testing.assert_close(loaded(x), layer(x))


def test_vmap_is_refused_in_words():
    x, values, positions, _ = problem(PATTERNS["complementary"]((8, 12)))
    with pytest.raises(RuntimeError, match=r"sparse_linear has no rule for torch\.vmap"):
        torch.vmap(lambda x: cs.torch.sparse_linear(x, values, positions, (8, 12)))(x)
    positions = positions[:1].clone()
    with pytest.raises(RuntimeError, match=r"sparse_conv2d has no rule for torch\.vmap"):
        torch.vmap(lambda x: cs.torch.sparse_conv2d(x, values[:1], positions, (1, 1, 2, 2)))(torch.ones(3, 1, 1, 4, 4))
    with pytest.raises(RuntimeError, match=r"kwinners has no rule for torch\.vmap"):
        torch.vmap(lambda x: cs.torch.kwinners(x, 1))(x)


def test_autocast_computes_as_a_linear_layer_would():
    x, values, positions, bias = problem(PATTERNS["complementary"]((8, 12)), torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = cs.torch.sparse_linear(x, values, positions, (8, 12), bias)
        expected = F.linear(x, dense(values, positions, (8, 12)), bias)
    assert y.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(y, expected)
    for leaf_, gradient in zip((x, values), torch.autograd.grad(y.sum(), (x, values)), strict=True):
        assert gradient.dtype == leaf_.dtype


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_floats_are_rounded_once(dtype):
    x, values, positions, bias = (t.detach() for t in problem(PATTERNS["complementary"]((8, 12)), torch.float32))
    narrow = [t.to(dtype) for t in (x, values, bias)]
    y = cs.torch.sparse_linear(narrow[0], narrow[1], positions, (8, 12), narrow[2])
    wide = [t.float() for t in narrow]
    assert torch.equal(y, cs.torch.sparse_linear(wide[0], wide[1], positions, (8, 12), wide[2]).to(dtype))
    assert cs.torch.kwinners(narrow[0], 2).dtype == dtype


# --- one packing ------------------------------------------------------------------------------------------------------


@pytest.fixture
def packings(monkeypatch):
    """How often a pattern was packed."""
    from complsparse.torch import _patterns

    counted = []
    make = _patterns.as_matrix
    monkeypatch.setattr(_patterns, "as_matrix", lambda *given: counted.append(given[1]) or make(*given))
    return counted


def test_a_pattern_is_packed_once(packings):
    x, values, positions, _ = problem(PATTERNS["complementary"]((8, 12)))
    optimiser = torch.optim.SGD([values], lr=0.1)
    for _ in range(5):
        y = cs.torch.sparse_linear(x, values, positions, (8, 12))
        torch.testing.assert_close(y, F.linear(x, dense(values, positions, (8, 12))))
        y.square().sum().backward()
        optimiser.step()
    values.data.mul_(2)  # leaves no trace in the tensor's version
    y = cs.torch.sparse_linear(x, values, positions, (8, 12))
    torch.testing.assert_close(y, F.linear(x, dense(values, positions, (8, 12))))
    assert packings == [(8, 12)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_code_packs_a_pattern_once(packings):
    layer = Layer()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for _ in range(3):
        compiled(leaf(5, 12)).sum().backward()
    assert packings == [(8, 12)]


def test_positions_that_are_written_to_are_packed_again(packings):
    x, values, positions, _ = problem(PATTERNS["complementary"]((8, 12)))
    cs.torch.sparse_linear(x, values, positions, (8, 12))
    positions.copy_(cs.torch.positions_of(cs.complementary_mask((8, 12), set_size=4, rng=1)))
    y = cs.torch.sparse_linear(x, values, positions, (8, 12))
    torch.testing.assert_close(y, F.linear(x, dense(values, positions, (8, 12))))
    assert len(packings) == 2


def test_a_pattern_goes_with_its_positions():
    from complsparse.torch import _patterns

    gc.collect()
    before = len(_patterns._kept)
    x, values, positions, _ = problem(PATTERNS["complementary"]((8, 12)))
    cs.torch.sparse_linear(x, values, positions, (8, 12))
    assert len(_patterns._kept) == before + 1
    del positions
    gc.collect()
    assert len(_patterns._kept) == before


# --- what is refused --------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_with_the_numbers():
    x, values, positions, bias = problem(PATTERNS["complementary"]((8, 12)))
    linear, conv2d = cs.torch.sparse_linear, cs.torch.sparse_conv2d
    image = leaf(1, 2, 4, 4)
    for call, words in (
        (lambda: linear(x[:, :5], values, positions, (8, 12)), r"\(5, 5\) does not end with the 12 columns"),
        (lambda: linear(x, values[1:], positions, (8, 12)), r"\(23,\), positions \(24,\)"),
        (lambda: linear(x, values, positions, (8, 12), bias[1:]), r"bias has shape \(7,\).*\(8,\)"),
        (lambda: linear(x, values, positions.flip(0), (8, 12)), "positions must ascend, from 0 to below 8"),
        (lambda: linear(x, values, positions + 80, (8, 12)), "below 8 [*] 12 = 96"),
        (lambda: linear(x, values, positions.int(), (8, 12)), "dtype int32; use a vector of int64"),
        (lambda: conv2d(x, values, positions, (8, 3, 2, 2)), "both need 4 axes"),
        (lambda: conv2d(image, values, positions, (8, 3, 2, 2)), "x has 2 channels; .* need 3"),
        (lambda: conv2d(image, values, positions, (8, 2, 2, 3), stride=0), "stride=0: use an integer of at least 1"),
        (lambda: conv2d(image, values, positions, (8, 2, 2, 3), bias[1:]), "one entry per filter"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    for call, words in (
        (lambda: linear(x.detach().numpy(), values, positions, (8, 12)), "x is a ndarray"),
        (lambda: linear(x.long(), values, positions, (8, 12)), "x has dtype torch.int64"),
    ):
        with pytest.raises(TypeError, match=words):
            call()


def test_other_devices_are_refused_by_name():
    class Elsewhere(torch.Tensor):
        device = torch.device("cuda", 1)

    x, values, positions, _ = problem(PATTERNS["complementary"]((8, 12)))
    with pytest.raises(TypeError, match="x lies on cuda:1; sparse_linear runs on the CPU"):
        cs.torch.sparse_linear(x.detach().as_subclass(Elsewhere), values, positions, (8, 12))
