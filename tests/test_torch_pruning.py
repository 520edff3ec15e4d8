# SPDX-License-Identifier: BSD-3-Clause
"""Modules of k winners, and the way of dense models onto patterns."""

import numpy as np
import pytest

import complsparse as cs

torch = pytest.importorskip("torch", reason="not run: torch is not installed")
nn = torch.nn

Config = cs.torch.ComplementarySparsityConfig


def batch(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- k winners --------------------------------------------------------------------------------------------------------


def greatest(x, k):
    """The k greatest of each row, by NumPy; no equals."""
    places = np.argsort(-x, axis=-1)[..., :k]
    y = np.zeros_like(x)
    np.put_along_axis(y, places, np.take_along_axis(x, places, -1), -1)
    return y


def test_winners_of_vectors():
    x = batch(4, 10)
    layer = cs.torch.KWinners(10, 0.3, boost_strength=0)
    assert np.array_equal(layer(x).numpy(), greatest(x.numpy(), 3))
    assert torch.equal(layer(x[None])[0], layer(x))


def test_winners_of_images():
    x = batch(2, 6, 3, 4)
    y = cs.torch.KWinners2d(6, 10, boost_strength=0)(x)
    assert np.array_equal(y.flatten(1).numpy(), greatest(x.flatten(1).numpy(), 10))
    y = cs.torch.KWinners2d(6, 2, boost_strength=0, local=True)(x)
    assert np.array_equal(y.movedim(1, -1).numpy(), greatest(x.movedim(1, -1).numpy(), 2))


def test_duty_cycles_are_shares_of_the_last_vectors():
    layer = cs.torch.KWinners(6, 2, period=8)
    expected = np.zeros(6)
    for step in range(10):
        x = batch(3, 6, seed=step)
        won = layer(x).numpy() != 0
        expected = (expected * (8 - 3) + won.sum(0)) / 8
    np.testing.assert_allclose(layer.duty_cycle.numpy(), expected, rtol=1e-5)
    assert layer.duty_cycle.sum().item() == pytest.approx(2, rel=0.05)
    layer(batch(20, 6))  # more than a period: only these
    before = layer.duty_cycle.clone()
    assert before.sum().item() == pytest.approx(2)
    layer.eval()(batch(3, 6))
    assert torch.equal(layer.duty_cycle, before)


def test_duty_cycles_of_channels():
    layer = cs.torch.KWinners2d(3, 0.5, period=4)
    y = layer(batch(2, 3, 2, 5))
    np.testing.assert_allclose(layer.duty_cycle.numpy(), (y != 0).double().mean((0, 2, 3)) * 2 / 4, rtol=1e-5)


@pytest.mark.parametrize("local", [None, True, False])
def test_boosted_units_win_by_the_published_rule(local):
    size = (5, 8) if local is None else (2, 8, 3, 3)
    layer = cs.torch.KWinners(8, 2) if local is None else cs.torch.KWinners2d(8, 2, local=local)
    layer.duty_cycle.copy_(torch.linspace(0, 1, 8))
    layer.eval()
    x = batch(*size).abs() + 0.5
    factors = torch.exp(-1.5 * layer.duty_cycle)  # as any factor times these
    ranked = x * factors.reshape(-1, *[1] * (x.ndim - 2))
    vectors = (lambda t: t.movedim(1, -1)) if local is not False else (lambda t: t.flatten(1))
    won = greatest(vectors(ranked).numpy(), 2) != 0
    assert np.array_equal(vectors(layer(x)).numpy(), np.where(won, vectors(x).numpy(), 0))
    assert not np.array_equal(won, greatest(vectors(x).numpy(), 2) != 0)


def test_a_unit_that_always_wins_gives_way():
    layer = cs.torch.KWinners(4, 1, period=10)
    x = torch.tensor([[1.0, 0.9, 0.1, 0.1]])
    winners = [int(layer(x).argmax()) for _ in range(30)]
    assert winners[0] == 0
    assert 1 in winners


def test_factors_for_inference_and_annealing():
    layer = cs.torch.KWinners(100, 0.1, k_inference_factor=1.5)
    assert layer.winners(100) == 10
    assert layer.eval().winners(100) == 15
    model = nn.Sequential(layer, cs.torch.KWinners2d(4, 2, local=True))
    counts = []
    for progress in (0.0, 0.5, 0.9, 1.0):
        cs.torch.anneal_(model, progress)
        counts.append((layer.train().winners(100), layer.eval().winners(100), model[1].winners(4)))
    assert counts == [(100, 100, 4), (round(10 + 90 / 8), round(1.5 * (10 + 90 / 8)), 2), (10, 15, 2), (10, 15, 2)]
    with pytest.raises(ValueError, match=r"progress=1\.5"):
        cs.torch.anneal_(model, 1.5)


def test_the_strength_of_boosting_decays_and_is_saved():
    layer = cs.torch.KWinners(4, 1, boost_strength=2.0, boost_decay=0.5)
    cs.torch.decay_boost_(nn.Sequential(layer))
    cs.torch.decay_boost_(layer)
    other = cs.torch.KWinners(4, 1)
    other.load_state_dict(layer.state_dict())
    assert layer.boost_strength.item() == other.boost_strength.item() == 0.5


def test_contests_that_do_not_exist_are_refused():
    for make, words in (
        (lambda: cs.torch.KWinners(4, -1), "neither a count"),
        (lambda: cs.torch.KWinners(4, 1, boost_strength=-1), "boost_strength=-1 must be at least 0"),
        (lambda: cs.torch.KWinners(4, 1, period=0), "period=0 at least 1"),
        (lambda: cs.torch.KWinners(4, 1)(torch.ones(2, 5)), "does not end with the 4 features"),
        (lambda: cs.torch.KWinners2d(4, 1)(torch.ones(2, 5, 1, 1)), r"have \(N, 4, H, W\)"),
    ):
        with pytest.raises(ValueError, match=words):
            make()


# --- models onto patterns ---------------------------------------------------------------------------------------------


def dense_model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Sequential(nn.Linear(128, 16), nn.Linear(16, 4))
    )


def test_layers_are_replaced_in_place():
    model, dense = dense_model(), dense_model()
    assert cs.torch.sparsify_(model, Config(set_size=4)) is model
    kinds = [type(m).__bases__[0] for m in (model[0], model[3][0], model[3][1])]
    assert kinds == [cs.torch.ComplementaryConv2d, cs.torch.ComplementaryLinear, cs.torch.ComplementaryLinear]
    W, _ = cs.prune(dense[3][0].weight.detach().numpy(), set_size=4)
    assert np.array_equal(model[3][0].weight.detach().numpy(), W.toarray())
    before = model[0]
    assert cs.torch.sparsify_(model, Config(set_size=4))[0] is before  # layers on patterns stay
    assert model(batch(2, 2, 4, 4)).shape == (2, 4)


def test_filters_see_names_and_choose():
    names = []
    model = cs.torch.sparsify_(dense_model(), None, lambda module, name: names.append(name) or name == "3.0")
    assert "3.1" in names
    assert "0" in names
    assert type(model[3][1]) is nn.Linear
    assert model[3][0].values.numel() == 16 * 6 + 8  # 128 columns in groups of 20: 6 each, and 8 columns left
    with pytest.raises(TypeError, match="1 is a ReLU"):
        cs.torch.sparsify_(dense_model(), None, lambda module, name: name == "1")


def test_a_model_that_is_a_layer_is_returned_anew():
    layer = cs.torch.sparsify_(nn.Linear(16, 8), Config(set_size=4, form="masked", pattern="random", rng=0))
    assert np.array_equal(layer.mask.numpy(), cs.complementary_mask((8, 16), set_size=4, rng=0))
    assert layer.form == "masked"


def plain_zeros(layer, mask):
    with torch.no_grad():
        layer.weight.mul_(mask)


def pruned(layer, mask):
    from torch.nn.utils import prune

    prune.custom_from_mask(layer, "weight", mask)
    with torch.no_grad():
        layer.weight_orig.mul_(2)  # as an optimiser's step: `weight` is not yet what the layer will multiply with


def parametrized(layer, mask):
    from torch.ao.pruning import FakeSparsity

    torch.nn.utils.parametrize.register_parametrization(layer, "weight", FakeSparsity(mask.float()))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("way", [plain_zeros, pruned, parametrized])
@pytest.mark.parametrize("kind", ["linear", "conv2d"])
def test_layers_pruned_by_others_are_understood(way, kind):
    torch.manual_seed(0)
    layer = nn.Linear(18, 6) if kind == "linear" else nn.Conv2d(2, 6, 3)
    mask = batch(*layer.weight.shape) > 0.5
    expected = layer.weight.detach() * mask * (2 if way is pruned else 1)
    way(layer, mask)
    x = batch(3, 18) if kind == "linear" else batch(3, 2, 4, 4)
    y = layer(x).detach()
    made = cs.torch.sparsify_(nn.Sequential(layer), Config(pattern="stored"))[0]
    assert torch.equal(made.mask, mask)
    assert torch.equal(made.weight.detach(), expected)
    assert made.kept_energy == 1.0
    torch.testing.assert_close(made(x).detach(), y)
    on_pattern = cs.torch.sparsify_(layer, Config(set_size=3))
    W, _ = cs.prune(expected.flatten(1).numpy(), set_size=3)
    assert np.array_equal(on_pattern.weight.detach().flatten(1).numpy(), W.toarray())


def test_unknown_patterns_are_refused():
    with pytest.raises(ValueError, match="pattern='magic' is not known"):
        Config(pattern="magic")
    with pytest.raises(ValueError, match="density=2"):
        cs.torch.sparsify_(dense_model(), Config(density=2))


# --- reports ----------------------------------------------------------------------------------------------------------


def test_reports_tell_what_is_stored():
    model = cs.torch.sparsify_(dense_model(), Config(set_size=8), lambda module, name: name in ("0", "3.0"))
    conv, first, last = cs.torch.report(model)
    assert (conv.name, conv.kind, conv.shape) == ("0", "ComplementaryConv2d", (8, 18))
    assert (first.name, first.shape, first.nnz, first.density) == ("3.0", (16, 128), 256, 1 / 8)
    assert (first.n_sets, first.packing_efficiency, first.unread) == (2, 1.0, 0)
    _, of = cs.prune(dense_model()[3][0].weight.detach().numpy(), set_size=8)
    assert first.kept_energy == pytest.approx(of.kept.square)
    assert (last.kind, last.density, last.n_sets, last.kept_energy) == ("Linear", 1.0, 4, None)
    table = str(cs.torch.report(model)).splitlines()
    assert len(table) == 4
    assert "12.5%" in table[2]
    assert "1/8.0" in table[2]


def test_reports_warn_of_inputs_that_nothing_reads():
    layer = cs.torch.ComplementaryLinear(32, 4, set_size=16, rng=0)
    with pytest.warns(UserWarning, match="nothing reads 24 of the 32 inputs of its 4 rows at a density of 6.2%"):
        (of,) = cs.torch.report(layer)
    assert of.unread == 24
    assert of.packing_efficiency == 0.25
    empty = cs.torch.ComplementaryLinear(4, 4, pattern=np.zeros((4, 4), bool), form="masked")
    with pytest.warns(UserWarning, match="nothing reads 4 of the 4"):
        assert "none" in str(cs.torch.report(empty))


# --- schedules --------------------------------------------------------------------------------------------------------


def trained(config, steps=12, **options):
    model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
    schedule = cs.torch.PruningSchedule(config, **options)
    schedule.prepare(model, lambda module, name: name == "0")
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    densities = []
    for step in range(steps):
        optimiser.zero_grad()
        (model(batch(8, 16, seed=step)) - 1).square().sum().backward()
        optimiser.step()
        schedule.step()
        densities.append((model[0].weight != 0).float().mean().item())
    return model, schedule, densities


def test_masks_close_as_a_cubic_and_end_on_the_pattern():
    torch.manual_seed(0)
    model, schedule, densities = trained(Config(set_size=4), begin=2, end=10, interval=2)
    expected = [1.0] * 2 + [0.25 + 0.75 * (1 - t / 8) ** 3 for t in (0, 2, 4, 6, 8) for _ in (0, 1)]
    np.testing.assert_allclose(densities, expected, atol=0.5 / 128)
    original = model[0].parametrizations.weight.original.detach().clone()
    mask, bias = model[0].parametrizations.weight[0].mask.clone(), model[0].bias.detach().clone()
    assert cs.from_dense(mask.numpy()).packing_efficiency == 1.0
    assert schedule.squash_mask() is model
    layer = model[0]
    assert torch.equal(layer.mask, mask)
    assert torch.equal(layer.weight.detach(), original * mask)
    assert torch.equal(layer.bias, bias)
    assert layer.kept_energy == pytest.approx(((original * mask) ** 2).sum().item() / (original**2).sum().item())
    assert type(model[2]) is nn.Linear


def test_magnitude_masks_stay_those_of_the_greatest():
    torch.manual_seed(0)
    config = Config(density=0.25, pattern="stored", form="masked")
    model, schedule, densities = trained(config, begin=0, end=6, interval=3)
    original = model[0].parametrizations.weight.original.detach()
    assert densities[-1] == 0.25
    model = schedule.squash_mask()
    kept, dropped = original[model[0].mask].abs(), original[~model[0].mask].abs()
    assert len(kept) == 32
    # Chosen six steps ago, since when both sides moved by at most the learning rate each step.
    assert kept.min() > dropped.max() - 6 * 2 * 0.01
    assert model[0].form == "masked"


def test_patterns_are_chosen_until_they_freeze():
    torch.manual_seed(0)
    seen = []

    class Schedule(cs.torch.PruningSchedule):
        def _choose(self, module, step):
            super()._choose(module, step)
            seen.append(
                (step, cs.from_dense(module.parametrizations.weight[-1].mask.numpy()).packing_efficiency == 1.0)
            )

    schedule = Schedule(Config(set_size=4), begin=0, end=4, freeze=9, interval=2)
    model = nn.Linear(16, 8)
    schedule.prepare(model)
    for _ in range(20):
        schedule.step()
    assert [step for step, _ in seen] == [0, 2, 4, 6, 8, 9]
    assert [strict for step, strict in seen if step >= 4] == [True] * 4
    assert isinstance(schedule.squash_mask(), cs.torch.ComplementaryLinear)


def test_schedules_refuse_what_makes_no_sense():
    with pytest.raises(ValueError, match="begin=5, end=3 and freeze=3 must ascend"):
        cs.torch.PruningSchedule(Config(), begin=5, end=3)
    with pytest.raises(ValueError, match="nothing to prune towards"):
        cs.torch.PruningSchedule(Config(pattern="random"), begin=0, end=1)
    schedule = cs.torch.PruningSchedule(Config(set_size=4), begin=0, end=3)
    schedule.prepare(dense_model())
    with pytest.raises(RuntimeError, match="has a model already"):
        schedule.prepare(dense_model())
    schedule.step()
    with pytest.raises(RuntimeError, match="after step 3; 1 steps have been taken"):
        schedule.squash_mask()
