# SPDX-License-Identifier: BSD-3-Clause
"""The GSC speech network: parameters, patterns, every layer against NumPy, and other people's runtimes."""

import numpy as np
import pytest
from layer_reference import expected, filled

import complsparse as cs
from complsparse import nn
from complsparse._cli import dense_networks, quantized_networks
from complsparse.nn._compare import decibels

SPARSE = ("sparse", "sparse_sparse")
PARAMETERS = {"dense": 2_522_128, "narrow": 112_309, "sparse": 127_696, "sparse_sparse": 127_696}
WEIGHTS = {  # stored in the layers that have some
    "dense": (1_600, 102_400, 2_400_000, 18_000),
    "narrow": (750, 12_750, 96_050, 2_712),
    "sparse": (768, 12_800, 96_000, 18_000),
    "sparse_sparse": (768, 12_800, 96_000, 18_000),
}


def words(n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, 1, 32, 32), dtype=np.float32)


def products(net):
    return [layer for layer in net.layers if isinstance(layer, (nn.Conv2d, nn.Linear))]


def stored_numbers(layer):
    W, bias = layer.W, getattr(layer, "bias", None)
    weights = W.size if isinstance(W, np.ndarray) else np.count_nonzero(W.toarray())
    return weights, 0 if bias is None else bias.size


@pytest.mark.parametrize("masks", ["speed", "fine", "quads"])
@pytest.mark.parametrize("kind", PARAMETERS)
def test_parameters(kind, masks):
    net = nn.gsc_network(kind, masks=masks, rng=1)
    counted = [stored_numbers(layer) for layer in products(net)]
    assert tuple(weights for weights, _ in counted) == WEIGHTS[kind]
    assert sum(map(sum, counted)) == PARAMETERS[kind]
    assert sum(layer.parameters for layer in net.layers) == PARAMETERS[kind]
    assert all(layer.W.dtype == np.float32 for layer in products(net))


def test_the_narrow_network_multiplies_as_often():
    narrow, sparse = (products(nn.gsc_network(kind, rng=0)) for kind in ("narrow", "sparse"))
    for few, many in zip(narrow[:3], sparse[:3], strict=True):
        assert few.multiplications == pytest.approx(many.multiplications, rel=0.03)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("masks", "blocks"), [("speed", (4, 8, 4)), ("fine", (1, 1, 1)), ("quads", (4, 8, 4))])
def test_sets_have_no_gap(masks, blocks, seed):
    conv1, conv2, linear = (layer.W for layer in products(nn.gsc_network("sparse", masks=masks, rng=seed))[:3])
    assert [W.n_sets for W in (conv1, conv2, linear)] == [32, 8, 60]
    assert [W.packing_efficiency for W in (conv1, conv2, linear)] == [24 / 25, 1, 1]
    assert [W.block for W in (conv1, conv2, linear)] == [(rows, 1) for rows in blocks]
    for W, count in ((conv1, 12), (conv2, 200), (linear, 64)):
        pattern = W.toarray() != 0
        assert (pattern.sum(axis=1) == count).all()
        for rows in np.split(pattern, [*range(W.block[0], len(pattern), W.block[0])]):
            assert (rows == rows[0]).all()


def test_every_tap_of_the_first_convolution_is_used():
    for masks in ("speed", "quads"):
        used = nn.gsc_network("sparse", masks=masks, rng=0).layers[0].W.toarray() != 0
        assert (used.sum(axis=0) > 0).all()


def test_quads_are_taken_together():
    """Four channels of a tap of the second convolution; of the first one four taps of a row, or the last of them."""
    conv1, conv2 = (layer.W.toarray() != 0 for layer in products(nn.gsc_network("sparse", masks="quads", rng=0))[:2])
    fours = conv2.reshape(64, 16, 4, 25)
    assert (fours == fours[:, :, :1]).all()
    rows = conv1.reshape(64, 5, 5)
    assert (rows[..., :4] == rows[..., :1]).all()
    quads = rows.any(axis=2, where=np.arange(5) < 4).sum(axis=1) + rows[..., 4].sum(axis=1)
    assert sorted(set(quads)) == [3, 6]


def test_fine_filters_are_balanced_over_the_channels_of_each_tap():
    W = products(nn.gsc_network("sparse", masks="fine", rng=0))[1].W
    pattern = W.toarray().reshape(64, 4, 16, 25) != 0
    assert (pattern.sum(axis=2) == 2).all()


@pytest.mark.parametrize("order", ["pool_first", "published"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("dense", {}),
        ("narrow", {}),
        *(("sparse", {"masks": masks}) for masks in ("speed", "fine", "quads")),
        *(
            ("sparse_sparse", {"masks": masks, "winners": winners})
            for masks in ("speed", "fine", "quads")
            for winners in ((6, 6, 150), (8, 8, 100), "global")
        ),
    ],
)
def test_layers_against_numpy(kind, options, order):
    net = nn.gsc_network(kind, order=order, rng=3, **options)
    x = words(2)
    y = x
    for layer in net.layers:
        given, y = filled(y), layer(y)
        wanted = expected(layer, given)
        tolerance = 2e-6 * np.abs(wanted).max() if layer.multiplications else 0
        np.testing.assert_allclose(filled(y), wanted, rtol=0, atol=tolerance)
    got = net(x)
    assert got.shape == (2, 12)
    if kind in SPARSE:  # dense layers run on BLAS in a network
        np.testing.assert_array_equal(got, y)
    else:
        np.testing.assert_allclose(got, y, rtol=0, atol=1e-5 * np.abs(y).max())


@pytest.mark.parametrize(
    ("order", "winners", "alive"),
    [
        ("pool_first", (6, 6, 150), [196 * 6, 25 * 6, 150]),
        ("pool_first", (8, 7, 20), [196 * 8, 25 * 7, 20]),
        ("published", (6, 6, 150), [784 * 6, 100 * 6, 150]),
        ("pool_first", "global", [round(0.095 * 12_544), 200, 150]),
        ("published", "global", [round(0.095 * 50_176), 800, 150]),
    ],
)
def test_winners(order, winners, alive):
    net = nn.gsc_network("sparse_sparse", order=order, winners=winners, rng=0)
    found = []
    y = words(1)
    for layer in net.layers:
        y = layer(y)
        if isinstance(layer, nn.KWinners):
            found.append(int(y.nnz))
    assert found == alive


@pytest.mark.parametrize("kind", SPARSE)
def test_words_do_not_see_each_other(kind):
    net = nn.gsc_network(kind, rng=0)
    x = words(5)
    together = net(x)
    assert net(x[:0]).shape == (0, 12)
    for i in range(5):
        np.testing.assert_allclose(net(x[i : i + 1])[0], together[i], rtol=0, atol=1e-5 * np.abs(together).max())


@pytest.mark.parametrize("kind", PARAMETERS)
def test_seeds(kind):
    first, again, other = (products(nn.gsc_network(kind, rng=seed)) for seed in (5, 5, 6))
    for a, b, c in zip(first, again, other, strict=True):
        a, b, c = (layer.W if isinstance(layer.W, np.ndarray) else layer.W.toarray() for layer in (a, b, c))
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_workspace_of_one_word():
    for kind in SPARSE:
        assert nn.gsc_network(kind, rng=0).plan((1, 1, 32, 32)).workspace_bytes < 2**20


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "wide"}, ["kind='wide'", "'narrow'"]),
        ({"masks": "coarse"}, ["masks='coarse'", "'fine'"]),
        ({"order": "last"}, ["order='last'", "'published'"]),
        ({"winners": (6, 65, 150)}, ["(6, 65, 150)", "(64, 64, 1500)"]),
        ({"winners": (0, 6, 150)}, ["(0, 6, 150)"]),
        ({"winners": (6, 6)}, ["(6, 6)", "three"]),
    ],
)
def test_arguments_that_are_refused(arguments, words):
    with pytest.raises(ValueError) as caught:
        nn.gsc_network(**{"kind": "sparse_sparse", **arguments})
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("winners", [6, (6, 6, 0.1), "local", None])
def test_winners_that_are_no_integers(winners):
    with pytest.raises((TypeError, ValueError), match="winners="):
        nn.gsc_network("sparse_sparse", winners=winners)


# --- what it is compared with -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dense", "narrow", "sparse"])
@pytest.mark.parametrize("name", ["ONNX Runtime", "OpenVINO", "torch", "torch channels_last"])
def test_rivals_run_the_same_network(name, kind):
    if name not in dense_networks.present():
        pytest.skip(f"{name}: {dense_networks.absent()[name]}")
    net, x = nn.gsc_network(kind, rng=0), words(3)
    runner = dict(dense_networks.runners(net, x, 1))[name]
    runner.call()
    y = net(x)
    np.testing.assert_allclose(runner.result(), y, rtol=0, atol=1e-5 * np.abs(y).max())


@pytest.mark.parametrize("name", ["ONNX Runtime", "OpenVINO"])
def test_rivals_in_integers(name):
    for needed in ("ONNX Runtime", name):  # whose tool it is
        if needed not in dense_networks.present():
            pytest.skip(f"{needed}: {dense_networks.absent()[needed]}")
    net, x = nn.gsc_network("dense", rng=0), words(3)
    runner = dict(quantized_networks.runners(net, x, words(64), 1))[name]
    runner.call()
    assert 25 < decibels(net(x), runner.result()) < 60


def test_rivals_have_no_winners():
    net = nn.gsc_network("sparse_sparse", rng=0)
    if not dense_networks.present():
        pytest.skip("no rival is installed")
    with pytest.raises(TypeError, match="KWinners"):
        dict(dense_networks.runners(net, words(1), 1))


def test_dense_twin_of_a_sparse_network():
    net = nn.gsc_network("sparse", rng=0)
    twin = net.to_dense()
    assert not any(cs.iscompl(layer.W) for layer in products(twin))
    x = words(2)
    y = net(x)
    np.testing.assert_allclose(twin(x), y, rtol=0, atol=1e-5 * np.abs(y).max())
