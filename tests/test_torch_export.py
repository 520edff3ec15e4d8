# SPDX-License-Identifier: BSD-3-Clause
"""Modules of torch as networks of complsparse.nn."""

import functools

import numpy as np
import pytest

import complsparse as cs

torch = pytest.importorskip("torch", reason="not run: torch is not installed")
nn, F = torch.nn, torch.nn.functional


def batch(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Does(nn.Module):
    """A function as a module; others as its children."""

    def __init__(self, function, **children):
        super().__init__()
        self.function = function
        for name, child in children.items():
            setattr(self, name, child)

    def forward(self, *xs):
        return self.function(self, *xs)


def randomised(model, seed=0):
    """Statistics and factors of batch norms that change something, all weights in float64."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            if module.affine:
                nn.init.normal_(module.weight, generator=generator)
                nn.init.normal_(module.bias, generator=generator)
    return model.double().eval()


def check(model, *shapes, example=2, sparsity=0.7, tolerance=1e-12):
    """The network gives what the model does, for a batch of another size than the example."""
    model = randomised(model)
    net = cs.torch.to_complsparse(model, tuple(batch(example, *shape) for shape in shapes), sparsity=sparsity)
    for n in (1, 5):
        xs = [batch(n, *shape, seed=n) for shape in shapes]
        with torch.no_grad():
            expected = model(*xs)
        found = net(*(x.numpy() for x in xs))
        if not isinstance(expected, tuple):
            expected, found = (expected,), (found,)
        assert len(expected) == len(found)
        for theirs, ours in zip(expected, found, strict=True):
            ours = ours.toarray() if isinstance(ours, cs.Winners) else ours
            assert ours.shape == tuple(theirs.shape)
            assert ours.dtype == np.float64
            scale = theirs.abs().max().item()
            assert np.abs(ours - theirs.numpy()).max() <= tolerance * scale
    return net


IMAGE, VECTOR, SIGNAL = (4, 8, 8), (12,), (4, 10)


def conv(*args, **kwargs):
    torch.manual_seed(1)
    return nn.Conv2d(*args, **kwargs)


class Attention(nn.Module):
    """Of sequences, with heads."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.read, self.write = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, length, width = x.shape
        q, k, v = (t.view(n, length, self.heads, -1).transpose(1, 2) for t in self.read(x).chunk(3, dim=-1))
        return self.write(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, length, width))


OPERATIONS = {
    "linear": (nn.Linear(12, 5), VECTOR),
    "linear without bias": (nn.Linear(12, 5, bias=False), VECTOR),
    "linear of sequences": (nn.Linear(10, 5), SIGNAL),
    "addmm": (Does(lambda m, x: torch.addmm(m.of.bias, x, m.of.weight.T), of=nn.Linear(12, 5)), VECTOR),
    "matmul": (Does(lambda m, x: x @ m.of.weight.T, of=nn.Linear(12, 5)), VECTOR),
    "mm": (Does(lambda m, x: torch.mm(x, m.of.weight.T), of=nn.Linear(12, 5)), VECTOR),
    "conv2d": (conv(4, 6, 3), IMAGE),
    "conv2d of everything": (conv(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2), IMAGE),
    "conv2d with as much around it": (conv(4, 6, 3, padding="same", bias=False), IMAGE),
    "conv2d of even size": (conv(4, 6, (2, 4), padding="same"), IMAGE),
    "conv2d of each channel": (conv(4, 4, 3, groups=4), IMAGE),
    "conv1d": (nn.Conv1d(4, 6, 3, stride=2, padding=1), SIGNAL),
    "conv1d with as much around it": (nn.Conv1d(4, 6, 3, padding="same"), SIGNAL),
    "batch norm of images": (nn.BatchNorm2d(4), IMAGE),
    "batch norm of vectors": (nn.BatchNorm1d(12, affine=False), VECTOR),
    "batch norm of signals": (nn.BatchNorm1d(4), SIGNAL),
    "relu": (nn.ReLU(), VECTOR),
    "relu in place": (nn.Sequential(nn.ReLU(inplace=True)), VECTOR),
    "relu6": (nn.ReLU6(), VECTOR),
    "relu6 of a function": (Does(lambda m, x: F.relu6(x)), VECTOR),
    "hardtanh": (nn.Hardtanh(0.0, 6.0), VECTOR),
    "clamp": (Does(lambda m, x: x.clamp(0, 6)), VECTOR),
    "clamp_min": (Does(lambda m, x: torch.clamp_min(x, 0)), VECTOR),
    "leaky relu": (nn.LeakyReLU(), VECTOR),
    "hard swish": (nn.Hardswish(), VECTOR),
    "silu": (nn.SiLU(), VECTOR),
    "gelu": (nn.GELU(), VECTOR),
    "softmax": (nn.Softmax(dim=-1), VECTOR),
    "softmax of channels": (nn.Softmax(dim=1), IMAGE),
    "max pool": (nn.MaxPool2d(3, stride=2, padding=1), IMAGE),
    "max pool of everything": (nn.MaxPool2d((2, 3), (1, 2), dilation=(2, 1), ceil_mode=True), IMAGE),
    "mean pool": (nn.AvgPool2d(2), IMAGE),
    "mean pool without its padding": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGE),
    "mean of images": (nn.AdaptiveAvgPool2d(1), IMAGE),
    "mean of quarters": (nn.AdaptiveAvgPool2d(4), IMAGE),
    "mean over pixels": (Does(lambda m, x: x.mean((2, 3))), IMAGE),
    "mean over pixels that stay": (Does(lambda m, x: x.mean((-1, -2), keepdim=True)), IMAGE),
    "add": (Does(lambda m, x: x + F.relu(x)), VECTOR),
    "mul": (Does(lambda m, x: x * F.relu(x)), VECTOR),
    "a number added": (Does(lambda m, x: 3 + x), VECTOR),
    "a number subtracted": (Does(lambda m, x: x - 3), IMAGE),
    "subtracted from a number": (Does(lambda m, x: 3 - x), VECTOR),
    "scaled": (Does(lambda m, x: x * 0.5 / 3), IMAGE),
    "channels scaled": (Does(lambda m, x: torch.arange(4.0).reshape(4, 1, 1) * x), IMAGE),
    "features moved": (Does(lambda m, x: x - torch.arange(12.0)), VECTOR),
    "cat": (Does(lambda m, x: torch.cat([x, x.relu()], 1)), IMAGE),
    "flatten": (nn.Flatten(), IMAGE),
    "view": (Does(lambda m, x: F.avg_pool2d(x, 8).view(x.size(0), -1)), IMAGE),
    "squeeze": (Does(lambda m, x: F.avg_pool2d(x, 8).squeeze((2, 3))), IMAGE),
    "squeeze of an axis": (Does(lambda m, x: m.of(x).squeeze(2), of=nn.Linear(10, 1)), SIGNAL),
    "dropout": (nn.Sequential(nn.Dropout(0.5), nn.ReLU()), VECTOR),
    "dtype that stays": (Does(lambda m, x: x.to(torch.float64).contiguous().relu()), VECTOR),
    "hard sigmoid": (nn.Hardsigmoid(), VECTOR),
    "sigmoid": (nn.Sigmoid(), VECTOR),
    "tanh": (nn.Tanh(), VECTOR),
    "exp, sin, cos": (Does(lambda m, x: x.exp() + x.sin() * x.cos()), VECTOR),
    "log, sqrt, reciprocal": (Does(lambda m, x: (x.abs() + 1).log() + (x.abs() + 1).sqrt().reciprocal()), VECTOR),
    "erf, floor, ceil": (Does(lambda m, x: x.erf() + x.floor() + (-x).ceil()), VECTOR),
    "leaky relu of another slope": (nn.LeakyReLU(0.25), VECTOR),
    "slopes of channels": (nn.PReLU(4), IMAGE),
    "elu": (nn.ELU(0.5), VECTOR),
    "bounds": (nn.Hardtanh(-1.0, 2.0), VECTOR),
    "one bound": (Does(lambda m, x: x.clamp(max=0.5)), VECTOR),
    "channels weighted by what they hold": (
        Does(lambda m, x: x * m.of(x.mean((2, 3), keepdim=True)).sigmoid(), of=conv(4, 4, 1)), IMAGE),
    "difference": (Does(lambda m, x: x - x.relu()), VECTOR),
    "quotient": (Does(lambda m, x: x / (x.relu() + 1)), VECTOR),
    "one over": (Does(lambda m, x: 1 / (x.relu() + 1)), VECTOR),
    "places added": (Does(lambda m, x: x + torch.arange(40.0).reshape(4, 10)), SIGNAL),
    "places weighted": (Does(lambda m, x: torch.arange(40.0).reshape(4, 10) * x), SIGNAL),
    "a constant that is wider": (Does(lambda m, x: x[:, :1] + torch.arange(10.0)), SIGNAL),
    "reshape": (Does(lambda m, x: x.reshape(-1, 2, 2, 10)), SIGNAL),
    "unsqueeze": (Does(lambda m, x: x.unsqueeze(1).unsqueeze(3)), VECTOR),
    "permute": (Does(lambda m, x: x.permute(0, 2, 3, 1)), IMAGE),
    "transpose": (Does(lambda m, x: x.transpose(-1, 1)), IMAGE),
    "slices": (Does(lambda m, x: x[:, 1:3, ::2, -3:]), IMAGE),
    "select": (Does(lambda m, x: x[:, -1] + x[:, 1]), SIGNAL),
    "chunks": (Does(lambda m, x: torch.cat(x.chunk(3, 1)[::-1], 1)), VECTOR),
    "split": (Does(lambda m, x: x.split([1, 3], dim=1)[1]), SIGNAL),
    "pad of mirrored pixels": (Does(lambda m, x: F.pad(x, (1, 2, 0, 3), mode="reflect")), IMAGE),
    "pad": (Does(lambda m, x: F.pad(x, (1, 2, 0, 3), value=0.5)), IMAGE),
    "mean along an axis": (Does(lambda m, x: x.mean(1)), SIGNAL),
    "sum": (Does(lambda m, x: x.sum((1, 2), keepdim=True)), SIGNAL),
    "greatest": (Does(lambda m, x: x.amax(-1)), SIGNAL),
    "layer norm": (nn.LayerNorm(10), SIGNAL),
    "layer norm of two axes": (nn.LayerNorm((4, 10), elementwise_affine=False), SIGNAL),
    "product of two values": (Does(lambda m, x: x @ x.transpose(1, 2)), SIGNAL),
    "batch of products": (Does(lambda m, x: torch.bmm(x, x.transpose(1, 2))), SIGNAL),
    "attention": (Attention(10, 2), SIGNAL),
    "attention with another scale": (Does(lambda m, x: F.scaled_dot_product_attention(x, x, x, scale=0.3)), SIGNAL),
    "causal attention": (Does(lambda m, x: F.scaled_dot_product_attention(x, x, x, is_causal=True)), SIGNAL),
    "attention with a mask": (
        Does(lambda m, x: F.scaled_dot_product_attention(x, x, x, attn_mask=torch.ones(4, 4).tril().bool())), SIGNAL
    ),
    "attention with summands": (
        Does(lambda m, x: F.scaled_dot_product_attention(
            x[:, None], x[:, None], x[:, None], attn_mask=torch.arange(16.0).reshape(4, 4) / 8)), SIGNAL
    ),
    "gelu by the hyperbolic tangent": (nn.GELU(approximate="tanh"), IMAGE),
    "round, sign": (Does(lambda m, x: (3 * x).round() + x.sign()), VECTOR),
    "softplus": (nn.Softplus(), VECTOR),
    "greater of two": (Does(lambda m, x: torch.maximum(x, -2 * x) + torch.minimum(x, torch.arange(12.0))), VECTOR),
    "powers": (Does(lambda m, x: x**3 + x.abs() ** x.cos()), VECTOR),
    "where": (Does(lambda m, x: torch.where(x > 0.5, x, -x) + torch.where(x < x.flip(1), 1.0, x)
        + torch.where(x < x.cos(), x, 2.0)), VECTOR),
    "conditions": (
        Does(lambda m, x: torch.where(
            ((x > 0) & (x <= 1) & (x >= -x.abs())).logical_not().logical_xor(x >= 0.5).logical_or(x == 2).logical_and(
                x.isnan() | (x < 3)), x, 2 * x)), VECTOR),
    "conditions of either": (
        Does(lambda m, x: torch.where((x > 1) ^ (x > x.cos()) ^ (x <= x.sin()), x, 2 * x)), VECTOR),
    "conditions in words": (
        Does(lambda m, x: torch.where(
            torch.bitwise_and(x > 1, x == x.relu()).bitwise_or(x < 0).bitwise_xor(x == 0), x, 2 * x)), VECTOR),
    "masked": (Does(lambda m, x: x.masked_fill(x < 0, -3)), VECTOR),
    "least": (Does(lambda m, x: x.amin(1, keepdim=True)), SIGNAL),
    "root mean square norm": (nn.RMSNorm(10), SIGNAL),
    "max pool of signals": (nn.MaxPool1d(3, 2, 1), SIGNAL),
    "transposed convolution": (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), IMAGE),
    "transposed convolution of signals": (nn.ConvTranspose1d(4, 6, 3, dilation=2, bias=False), SIGNAL),
    "nearest pixels": (nn.Upsample(scale_factor=2), IMAGE),
    "between pixels": (nn.Upsample(size=(12, 5), mode="bilinear"), IMAGE),
    "between pixels from corner to corner": (nn.UpsamplingBilinear2d(scale_factor=2), IMAGE),
    "heads": (Does(lambda m, x: m.of(x, x, x)[0], of=nn.MultiheadAttention(10, 2, batch_first=True)), SIGNAL),
    "heads, and what they see": (
        Does(lambda m, x: m.of(x, x[:, :3], x[:, :3]), of=nn.MultiheadAttention(10, 2, batch_first=True)), SIGNAL),
    "heads of other widths": (
        Does(lambda m, x: m.of(x, x[:, :, :3], x, need_weights=False, attn_mask=torch.ones(4, 4).triu(1).bool())[0],
             of=nn.MultiheadAttention(10, 5, bias=False, kdim=3, batch_first=True)), SIGNAL),
    "heads that leave out what is negative": (
        Does(lambda m, x: m.of(x, x, x, key_padding_mask=x[:, :, 0] < x.amax((1, 2))[:, None] - 2)[0],
             of=nn.MultiheadAttention(10, 2, batch_first=True)), SIGNAL),
    "encoder layer": (nn.TransformerEncoderLayer(10, 2, 16, batch_first=True), SIGNAL),
    "encoder": (
        nn.TransformerEncoder(
            nn.TransformerEncoderLayer(10, 2, 16, activation="gelu", norm_first=True, batch_first=True), 2,
            enable_nested_tensor=False), SIGNAL),
    "gated recurrent units": (Does(lambda m, x: m.of(x)[0], of=nn.GRU(10, 6, batch_first=True)), SIGNAL),
    "last states of gated recurrent units": (
        Does(lambda m, x: m.of(x)[1][-1], of=nn.GRU(10, 6, 2, bias=False, bidirectional=True, batch_first=True)),
        SIGNAL),
    "states that are handed on": (
        Does(lambda m, x: m.b(x, m.a(x)[1])[0], a=nn.LSTM(10, 6, 2, batch_first=True),
             b=nn.LSTM(10, 6, 2, batch_first=True)), SIGNAL),
    "long short-term memory": (
        Does(lambda m, x: (lambda y, s: (y, s[0][0], s[1][-1]))(*m.of(x)),
             of=nn.LSTM(10, 6, 2, bidirectional=True, batch_first=True)), SIGNAL),
    "stacked": (Does(lambda m, x: torch.stack([x, x.relu()], 2)), SIGNAL),
    "two outputs": (Does(lambda m, x: (x.relu(), x.relu() + x)), VECTOR),
    "sparse linear": (cs.torch.ComplementaryLinear(12, 6, set_size=6, rng=0), VECTOR),
    "masked linear": (cs.torch.ComplementaryLinear(12, 6, set_size=6, rng=0, form="masked"), VECTOR),
    "sparse conv2d": (cs.torch.ComplementaryConv2d(4, 8, 3, 2, padding=1, set_size=6, rng=0), IMAGE),
    "sparse conv2d of groups": (cs.torch.ComplementaryConv2d(4, 8, 3, groups=2, set_size=3, rng=0), IMAGE),
    "masked conv2d": (cs.torch.ComplementaryConv2d(4, 8, 3, padding="same", set_size=6, rng=0, form="masked"), IMAGE),
    "winners": (cs.torch.KWinners(12, 3, boost_strength=0), VECTOR),
    "winners of pixels": (cs.torch.KWinners2d(4, 2, boost_strength=0, local=True), IMAGE),
    "winners of images": (cs.torch.KWinners2d(4, 0.1, boost_strength=0, k_inference_factor=1.5), IMAGE),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name):
    model, shape = OPERATIONS[name]
    check(model, shape)


def test_two_inputs():
    check(Does(lambda m, x, y: m.of(x) + y, of=nn.Linear(12, 5)), (12,), (5,))


def test_numbers_of_words():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(20, 6), nn.Linear(6, 3)).double()
    words = torch.arange(12).reshape(3, 4)
    net = cs.torch.to_complsparse(model, words)
    np.testing.assert_allclose(net(words.numpy() + 5), model(words + 5).detach().numpy(), rtol=1e-12)


def test_an_example_of_one():
    check(nn.Sequential(nn.Conv2d(4, 2, 3), nn.Flatten(), nn.Linear(72, 3)), IMAGE, example=1)


class Residual(nn.Module):
    """Of blocks as in residual networks, with weights in all forms."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.act = nn.ReLU(inplace=True)
        self.inner = nn.Sequential(
            cs.torch.ComplementaryConv2d(16, 16, 3, padding=1, set_size=8, rng=0, bias=False),
            nn.BatchNorm2d(16),
            nn.Hardswish(),
            cs.torch.ComplementaryConv2d(16, 16, 1, set_size=4, rng=1, form="masked"),
        )
        self.drop = nn.Dropout()
        self.last = nn.Linear(16 * 4, 7)

    def forward(self, x):
        y = self.act(self.norm(self.stem(x)))
        y = F.relu(self.inner(y) + y)
        return self.last(self.drop(F.adaptive_avg_pool2d(y, 2).flatten(1)))


def test_a_residual_network():
    torch.manual_seed(0)
    model = Residual()
    net = check(model, (3, 8, 8))
    kinds = {name: type(layer.W).__name__ for name, layer in zip(net.names, net.layers) if layer.multiplications}
    assert kinds == {
        "stem": "ndarray",
        "inner.0": "ComplementaryMatrix",
        "inner.3": "ComplementaryMatrix",
        "last": "ndarray",
    }


def test_the_network_survives_its_file(tmp_path):
    torch.manual_seed(0)
    net = cs.torch.to_complsparse(randomised(Residual()), batch(2, 3, 8, 8))
    net.save(tmp_path / "net.npz")
    x = batch(3, 3, 8, 8).numpy()
    assert np.array_equal(cs.nn.load(tmp_path / "net.npz")(x), net(x))


def test_float32_is_within_its_rounding():
    torch.manual_seed(0)
    model = randomised(Residual())
    with torch.no_grad():
        exact = model(batch(4, 3, 8, 8)).numpy()
        model = model.float()
        theirs = model(batch(4, 3, 8, 8).float()).numpy()
    net = cs.torch.to_complsparse(model, batch(2, 3, 8, 8).float())
    ours = net(batch(4, 3, 8, 8).float().numpy())
    assert ours.dtype == np.float32
    assert np.abs(ours - exact).max() <= max(4 * np.abs(theirs - exact).max(), 1e-6 * np.abs(exact).max())


def test_in_integers():
    """Calibrated, the network decides nearly as it does."""
    torch.manual_seed(0)
    model = randomised(Residual()).float()
    images = batch(64, 3, 8, 8).float()
    net = cs.torch.to_complsparse(model, images[:2])
    exact = net(images.numpy())
    found = net.quantize(images.numpy())(images.numpy())
    assert np.abs(found - exact).max() < 0.1 * np.abs(exact).max()
    assert (found.argmax(1) == exact.argmax(1)).mean() > 0.9


# --- weights ----------------------------------------------------------------------------------------------------------


def pruned_linear(how):
    """A linear layer with the 25% greatest of its weights, in one of the forms that others leave."""
    from torch.nn.utils import parametrize, prune

    torch.manual_seed(3)
    layer = nn.Linear(32, 16)
    mask = torch.zeros(16 * 32)
    mask[layer.weight.detach().flatten().abs().topk(128).indices] = 1
    mask = mask.reshape(16, 32)
    if how == "zeros":
        with torch.no_grad():
            layer.weight.mul_(mask)
    elif how == "weight_mask":
        prune.custom_from_mask(layer, "weight", mask)
    elif how == "parametrized":
        from torch.ao.pruning import FakeSparsity

        parametrize.register_parametrization(layer, "weight", FakeSparsity(mask))
    else:
        layer = cs.torch.ComplementaryLinear.from_dense(layer, pattern=mask, form=how)
    return layer


@pytest.mark.parametrize("how", ["zeros", "weight_mask", "parametrized", "packed", "masked"])
def test_pruned_weights_are_one_matrix(how):
    plain = cs.torch.to_complsparse(pruned_linear("zeros"), torch.ones(2, 32)).layers[0]
    net = cs.torch.to_complsparse(pruned_linear(how), torch.ones(2, 32))
    (layer,) = net.layers
    assert isinstance(layer.W, cs.ComplementaryMatrix)
    assert layer.W.nnz == 128
    assert (layer.W != plain.W).nnz == 0
    assert np.array_equal(layer.bias, plain.bias)
    check(nn.Sequential(pruned_linear(how)), (32,))


def test_sparsity_says_what_stays_dense():
    layer = pruned_linear("zeros")
    for sparsity, kind in ((0.75, cs.ComplementaryMatrix), (0.76, np.ndarray)):
        (found,) = cs.torch.to_complsparse(layer, torch.ones(2, 32), sparsity=sparsity).layers
        assert isinstance(found.W, kind)
    (found,) = cs.torch.to_complsparse(nn.Linear(4, 3), torch.ones(2, 4), sparsity=0.0).layers
    assert isinstance(found.W, np.ndarray)  # it has no zeros at all


def test_a_pattern_keeps_its_zeros():
    layer = cs.torch.ComplementaryLinear(16, 8, set_size=4, rng=0, form="masked")
    with torch.no_grad():
        layer.values[:3] = 0
    (found,) = cs.torch.to_complsparse(layer, torch.ones(2, 16)).layers
    assert found.W.nnz == 32
    assert found.W.packing_efficiency == 1.0


def test_bfloat16_weights_are_read_as_float32():
    model = nn.Linear(12, 5).bfloat16()
    net = cs.torch.to_complsparse(model, torch.ones(2, 12, dtype=torch.bfloat16))
    assert net.layers[0].W.dtype == np.float32
    assert np.array_equal(net.layers[0].W, model.weight.detach().float().numpy())


# --- contests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("local", [False, True])
def test_boosted_contests_have_the_same_winners(local):
    contest = cs.torch.KWinners2d(4, 0.25, boost_strength=2.0, local=local)
    contest.duty_cycle.copy_(torch.tensor([0.9, 0.5, 0.1, 0.0]))
    net = check(nn.Sequential(nn.Conv2d(4, 4, 3), contest), IMAGE)
    assert [type(layer).__name__ for layer in net.layers] == ["Conv2d", "BatchNorm", "KWinners", "BatchNorm"]
    contest.boost_strength.zero_()
    net = check(nn.Sequential(nn.Conv2d(4, 4, 3), contest), IMAGE)
    assert [type(layer).__name__ for layer in net.layers] == ["Conv2d", "KWinners"]


def test_winners_go_on_to_the_layers_behind_them():
    model = nn.Sequential(
        cs.torch.KWinners2d(8, 2, boost_strength=0, local=True),
        nn.Flatten(),
        cs.torch.ComplementaryLinear(8 * 16, 64, set_size=16, rng=0),
        cs.torch.KWinners(64, 8, boost_strength=0),
        cs.torch.ComplementaryLinear(64, 10, pattern=torch.ones(10, 64)),
    )
    net = check(model, (8, 4, 4))
    described = net.plan((1, 8, 4, 4)).describe()
    assert "expand" not in described


# --- what is refused, and what stays ----------------------------------------------------------------------------------


class Deep(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(12, 12), inner)

    def forward(self, x):
        return self.block(x)


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (
            Does(lambda m, x: torch.cumsum(x, 1)),
            r"block\.1 \(Does\): aten\.cumsum\.default is an operation that no layer",
        ),
        (nn.SELU(), r"block\.1 \(SELU\): aten\.selu"),
        (Does(lambda m, x: torch.ops.aten.elu(x, 1.0, 2.0)), r"block\.1 \(Does\): aten\.elu.* scale=2\.0"),
        (Does(lambda m, x: x.sum(0)), r"block\.1 \(Does\): aten\.sum.*batch axis"),
        (Does(lambda m, x: x[1:]), r"block\.1 \(Does\): aten\.slice.*batch axis"),
        (Does(lambda m, x: x[0]), r"block\.1 \(Does\): aten\.select.*batch axis"),
        (Does(lambda m, x: x.reshape(-1, 6)), r"block\.1 \(Does\): aten\.\w+.*batch axis"),
        (nn.Softplus(beta=2), r"block\.1 \(Softplus\): aten\.softplus.* beta=2"),
        (
            Does(lambda m, x: m.of(x.unsqueeze(1))[0].squeeze(1), of=nn.RNN(12, 12, batch_first=True)),
            r"block\.1\.of \(RNN\): aten\.zeros.* batch's size",
        ),
        (nn.Softmax(dim=0), r"block\.1 \(Softmax\): .*batch axis"),
        (Does(lambda m, x: x.T), r"block\.1 \(Does\): aten"),
        (Does(lambda m, x: x.float()), r"block\.1 \(Does\): aten\._to_copy"),
        (nn.BatchNorm1d(12, track_running_stats=False), r"block\.1 \(BatchNorm1d\)"),
    ],
)
def test_the_first_operation_without_a_layer_is_named(inner, words):
    with pytest.raises(ValueError, match=words):
        cs.torch.to_complsparse(Deep(inner).double(), batch(3, 12))


def test_bad_arguments():
    model = nn.Linear(4, 3)
    with pytest.raises(TypeError, match="Module is expected, not a function"):
        cs.torch.to_complsparse(lambda x: x, torch.ones(2, 4))
    with pytest.raises(ValueError, match=r"sparsity=1\.5"):
        cs.torch.to_complsparse(model, torch.ones(2, 4), sparsity=1.5)
    with pytest.raises(ValueError, match="batch axis"):
        cs.torch.to_complsparse(model, torch.tensor(1.0))
    with pytest.raises(ValueError, match="does not depend on the inputs"):
        cs.torch.to_complsparse(Does(lambda m, x: (x.relu(), torch.ones(3))), torch.ones(2, 4))


@pytest.mark.parametrize(
    "module",
    [
        nn.GRU(6, 8, 2, bidirectional=True, batch_first=True),
        nn.LSTM(6, 8, 2, bias=False, bidirectional=True, batch_first=True),
        nn.MultiheadAttention(6, 2, batch_first=True),
        nn.MultiheadAttention(6, 3, vdim=4, batch_first=True),
    ],
    ids=["GRU", "LSTM", "shared", "apart"],
)
def test_forms_that_are_traced_compute_what_modules_do(module):
    """And leave nothing behind."""
    from complsparse.torch._forms import traceable

    module = module.double().eval()
    x = batch(3, 5, 6)
    if isinstance(module, nn.MultiheadAttention):
        hidden = torch.tensor([[False] * 5, [True] + [False] * 4, [False] * 3 + [True] * 2])
        arguments = (x, x, x[:, :, : module.vdim], hidden)
    else:
        arguments = (x,)
    with torch.no_grad():
        expected = module(*arguments)
        with traceable(module):
            assert "forward" in module.__dict__
            found = module(*arguments)
    assert "forward" not in module.__dict__
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_recurrent_layers_pass_opcheck():
    from complsparse.torch._forms import recurrent

    gru, lstm = nn.GRU(6, 8, batch_first=True), nn.LSTM(6, 8, bias=False, batch_first=True)
    x, h = torch.randn(3, 5, 6), torch.randn(3, 8)
    torch.library.opcheck(recurrent, (x, [h], [w.detach() for w in gru.all_weights[0]], True))
    torch.library.opcheck(recurrent, (x, [], [w.detach() for w in lstm.all_weights[0]], False))


def test_pruned_recurrent_weights_are_sparse():
    from torch.nn.utils import prune

    torch.manual_seed(0)
    gru = nn.GRU(16, 32, batch_first=True).double()
    prune.l1_unstructured(gru, "weight_hh_l0", 0.9)
    net = check(Does(lambda m, x: m.of(x)[0], of=gru), (4, 16))
    assert isinstance(net.layers[0].R, cs.ComplementaryMatrix)
    assert net.layers[0].R.nnz == round(0.1 * 3 * 32 * 32)


def test_the_model_stays_as_it_was():
    model = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.BatchNorm1d(3), nn.Dropout()))
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    cs.torch.to_complsparse(model, torch.ones(2, 4))
    assert [module.training for module in model.modules()] == [True, True, False, False, False]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.slow
def test_every_rule_is_used():
    """By an operation of this file."""
    from complsparse.torch import _export, _translation

    seen = set()

    def watched(name, function, *args, **kwargs):
        seen.add(name)
        return function(*args, **kwargs)

    rules = dict(_translation.RULES)
    try:
        for name, function in rules.items():
            _translation.RULES[name] = functools.partial(watched, name, function)
        for model, shape in OPERATIONS.values():
            _export.to_complsparse(model.double(), batch(2, *shape))
        _export.to_complsparse(nn.Embedding(20, 6), torch.ones(2, 4, dtype=torch.int64))
    finally:
        _translation.RULES.update(rules)
    assert set(rules) == seen
