# SPDX-License-Identifier: BSD-3-Clause
"""Exported networks: every layer in C simulation against the quantised network, clocks against the estimate.

`COMPLSPARSE_HLS_CLIPS` says how many clips of real speech the GSC network hears.
"""

import itertools
import os
import re

import numpy as np
import pytest
from hls_folders import changed, listed, make
from hls_networks import NETWORKS, images, quantised
from hls_tools import INTEGERS, integers, tool
from networks import nn, sparse_weights

import complsparse as cs
from complsparse._cli.main import main

CLIPS = int(os.environ.get("COMPLSPARSE_HLS_CLIPS", "5"))
LINE = re.compile(r"^(\S+): ([a-z ]+?) +(\d+) clocks +(\d+) values, (\d+) wrong$", re.MULTILINE)


def simulated(folder, estimate, *variables):
    """The values that every block compared; all are right, and clocks are those of the estimate."""
    done = make(folder, "csim", *variables)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = LINE.findall(done.stdout)
    assert [(layer, kind, int(clocks)) for layer, kind, clocks, _, _ in lines] == [
        (block.layer, block.kind, block.cycles) for block in estimate.blocks
    ]
    assert estimate.cycles_per_sample == max(int(clocks) for _, _, clocks, _, _ in lines)
    return [int(values) for _, _, _, values, _ in lines]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_equals_the_library(name, tmp_path):
    tool("g++"), tool("make")
    net, x, cycles = quantised(name)
    estimate = cs.hls.export(net, tmp_path / "net", samples=x, cycles=cycles)
    assert estimate == cs.hls.estimate(net, shape=x.shape[1:], cycles=cycles)
    assert estimate.cycles_per_sample <= cycles
    values = simulated(tmp_path / "net", estimate, "CXXFLAGS=-O0")
    sizes = [
        np.asarray(v.toarray() if isinstance(v, cs.Winners) else v).size
        for node, v in zip(net._nodes, net._values(x), strict=True)
        if node.layer is not None and not isinstance(node.layer, (nn.Quantize, nn.Flatten))
    ]
    assert sorted(v for v in values if v) == sorted(sizes)


@pytest.mark.parametrize("kind", INTEGERS)
def test_every_kind_of_integer(kind, tmp_path):
    compiler, flags = integers(kind)
    net, x, cycles = quantised("sparse-sparse")
    estimate = cs.hls.export(net, tmp_path / "net", samples=x, cycles=cycles)
    simulated(tmp_path / "net", estimate, f"CXX={compiler}", f"CXXFLAGS=-O1 {' '.join(flags)}")


def test_the_golden_results_are_the_networks(tmp_path):
    """The integers of the last line, times their scales, are the network's real numbers."""
    net, x, cycles = quantised("sparse-sparse")
    cs.hls.export(net, tmp_path / "net", samples=x, cycles=cycles)
    count, *lines = (tmp_path / "net" / "golden" / "samples.txt").read_text().splitlines()
    last = np.array([line.split()[-5:] for line in lines], dtype=np.float64)
    assert int(count) == len(last) == 6
    np.testing.assert_array_equal((last * net.layers[-1].ending.units).astype(np.float32), net(x))


def test_a_folder_holds_what_its_page_lists(tmp_path):
    net, x, cycles = quantised("sparse-sparse")
    cs.hls.export(net, tmp_path / "net", samples=x, cycles=cycles)
    assert listed(tmp_path / "net")
    assert "## Not run here" in (tmp_path / "net" / "README.md").read_text()


def test_wider_blocks_take_fewer_clocks():
    net, x, _ = quantised("sparse-sparse")
    found = [cs.hls.estimate(net, shape=x.shape[1:], cycles=cycles) for cycles in (3000, 1000, 330)]
    for slow, fast in itertools.pairwise(found):
        assert slow.cycles_per_sample > fast.cycles_per_sample
        assert slow.multipliers < fast.multipliers


@pytest.mark.parametrize("name", ["weights", "ids", "bias"])
def test_simulation_rejects(name, tmp_path):
    tool("g++"), tool("make")
    net, x, cycles = quantised("sparse-sparse")
    cs.hls.export(net, tmp_path / "net", samples=x, cycles=cycles)

    def other(numbers):
        numbers[np.flatnonzero(numbers)[0]] ^= 64 if name == "weights" else 1 if name == "ids" else 2**12
        return numbers

    changed(tmp_path / "net" / "blocks.hpp", name, other)
    done = make(tmp_path / "net", "csim", "CXXFLAGS=-O0")
    assert done.returncode != 0
    assert re.search(r"value \d+ is -?\d+, not -?\d+", done.stdout)


def test_simulation_rejects_a_schedule_that_is_not_kept(tmp_path):
    tool("g++"), tool("make")
    net, x, cycles = quantised("sparse-dense")
    cs.hls.export(net, tmp_path / "net", samples=x, cycles=cycles)
    path = tmp_path / "net" / "include" / "complsparse" / "hls" / "pool.hpp"
    path.write_text(path.read_text().replace("tick();", "tick(), tick();"))
    done = make(tmp_path / "net", "csim", "CXXFLAGS=-O0")
    assert done.returncode != 0
    assert "C simulation: 6 samples, 1 wrong" in done.stdout


@pytest.mark.parametrize(
    ("layers", "wrong", "words"),
    [
        ([], {"lanes": 4}, "lanes=4 is for a layer"),
        ([], {"samples": None}, "samples are missing"),
        (
            [],
            {"cycles": 63},
            "layer '0': the convolution takes 64 clocks for a sample however wide it is, and cycles=63",
        ),
        ([nn.AvgPool2d(2)], {}, "results of real numbers stand at the end"),
        ([nn.KWinners(3, axis=(1, 2, 3))], {}, "a contest of a circuit is among the channels of a pixel"),
        ([nn.KWinners(3, axis=1), nn.MaxPool2d(2)], {}, "a pool of a circuit stands before the contest"),
        ([nn.MaxPool2d(3, stride=2)], {}, "squares that do not overlap"),
    ],
)
def test_what_has_no_circuit_is_refused(layers, wrong, words, tmp_path):
    rng = np.random.default_rng(0)
    x = images(rng, 4, (2, 8, 8))
    first = nn.Conv2d(sparse_weights(rng, (8, 2, 3, 3)))
    last = nn.Conv2d(sparse_weights(rng, (8, 8, 1, 1)))
    net = nn.Sequential([first, *layers, last]).quantize(x)
    with pytest.raises(ValueError, match=words):
        cs.hls.export(net, tmp_path / "net", **{"samples": x, **wrong})
    assert os.listdir(tmp_path) == []


def test_networks_of_real_numbers_and_options_of_the_other_kind_are_refused():
    rng = np.random.default_rng(0)
    net = nn.Sequential([nn.Linear(sparse_weights(rng, (3, 9)))])
    with pytest.raises(ValueError, match="a quantised network"):
        cs.hls.estimate(net, shape=(9,))
    with pytest.raises(ValueError, match="samples and cycles are for networks"):
        cs.hls.export(cs.random((8, 8), density=1 / 4, dtype=np.int8, rng=0), "nowhere", cycles=5)


# --- the command ------------------------------------------------------------------------------------------------------


def saved(tmp_path):
    net, x, cycles = quantised("sparse-sparse")
    net.save(tmp_path / "net.npz")
    np.save(tmp_path / "x.npy", x)
    return [str(tmp_path / "net.npz"), "-o", str(tmp_path / "by command")], net, x, cycles


def test_the_command_writes_the_same_folder(tmp_path, capsys):
    words, net, x, cycles = saved(tmp_path)
    assert main(["hls", *words, "--samples", str(tmp_path / "x.npy"), "--cycles", str(cycles), "--clock", "5"]) == 0
    estimate = cs.hls.export(net, tmp_path / "by call", samples=x, cycles=cycles, clock_ns=5)
    printed = capsys.readouterr().out
    assert f"{estimate.cycles_per_sample} clocks a sample, 12 blocks, {estimate.multipliers} multipliers" in printed
    one, other = (
        {p.relative_to(tmp_path / name): p.read_text() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("by command", "by call")
    )
    assert one == other


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--samples is missing"),
        (["--lanes", "4"], "--lanes is for a matrix, and"),
        (["--samples", "nowhere.npy"], "nowhere.npy: No such file"),
        (["--samples", __file__], "is no .npy file of numbers"),
        (["--tensor", "a"], "--tensor is for files of matrices"),
        (["--samples", "x.npy", "--cycles", "63"], "the convolution takes 100 clocks for a sample however wide it is"),
        (["--samples", "flat.npy"], "x has shape (1, 5); QConv2d"),
    ],
)
def test_the_command_refuses_in_one_line(words, message, tmp_path, capsys, monkeypatch):
    start, *_ = saved(tmp_path)
    np.save(tmp_path / "flat.npy", np.zeros((6, 5)))
    monkeypatch.chdir(tmp_path)
    assert main(["hls", *start, *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "by command").exists()


def test_options_of_networks_are_refused_for_a_matrix(tmp_path, capsys):
    cs.save(tmp_path / "w.npz", cs.random((8, 8), density=1 / 4, dtype=np.int8, rng=0))
    assert main(["hls", str(tmp_path / "w.npz"), "-o", str(tmp_path / "layer"), "--cycles", "9"]) == 2
    assert "--cycles is for a network, and" in capsys.readouterr().err


# --- the speech network -----------------------------------------------------------------------------------------------


def gsc(kind, calibration):
    return nn.gsc_network(kind, rng=0).quantize(calibration)


def test_cycles_of_the_speech_network():
    """Multipliers and clocks of the circuits that docs/hls tells of."""
    noise = images(np.random.default_rng(0), 8, (1, 32, 32))
    found = {
        kind: cs.hls.estimate(gsc(kind, noise), shape=(1, 32, 32), cycles=2400) for kind in ("sparse", "sparse_sparse")
    }
    assert found["sparse_sparse"].cycles_per_sample == 2296
    assert found["sparse_sparse"].multipliers == 544
    assert found["sparse_sparse"].buffer_bits == 3_254_080
    assert found["sparse"].cycles_per_sample <= 2400
    assert found["sparse"].multipliers > found["sparse_sparse"].multipliers


def test_the_dense_pipeline_of_equal_multipliers():
    """Why the sparse-sparse network is not 30 times as fast at equal multipliers: what docs/hls counts."""
    noise = images(np.random.default_rng(0), 8, (1, 32, 32))
    ours = cs.hls.estimate(gsc("sparse_sparse", noise), shape=(1, 32, 32), cycles=2400)
    products = [784 * 64 * 25, 100 * 64 * 1600, 1600 * 1500, 1500 * 12]  # of the dense layers
    slots = [784 * 32 * 25, 100 * 8 * 150, 60 * 150, 12 * 150]  # of the sparse-sparse ones: sets times what they read
    by_layer = [block for block in ours.blocks if block.multipliers]
    assert all(b.cycles * b.multipliers >= n for b, n in zip(by_layer, slots, strict=True))
    assert sum(products) == 13_912_400
    assert sum(slots) == 758_000
    assert round(sum(products) / ours.multipliers) == 25_574
    assert round(sum(products) / sum(slots), 1) == 18.4  # at best, with every multiplier at work in every clock
    assert round(sum(products[1:]) / sum(slots[1:])) == 97  # behind the first layer
    dense = cs.hls.estimate(gsc("dense", noise), shape=(1, 32, 32), cycles=10**9)  # as narrow as an export can be
    assert (dense.cycles_per_sample, dense.multipliers) == (160_096, 1640)


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ({"winners": "global"}, "layer '2': a contest of a circuit is among the channels of a pixel, or of a vector"),
        ({"order": "published"}, "layer '2': a pool of a circuit stands before the contest"),
    ],
)
def test_the_published_contests_are_refused(variant, words):
    noise = images(np.random.default_rng(0), 8, (1, 32, 32))
    net = nn.gsc_network("sparse_sparse", rng=0, **variant).quantize(noise)
    with pytest.raises(ValueError, match=words):
        cs.hls.estimate(net, shape=(1, 32, 32))


@pytest.mark.data
def test_the_speech_network_on_real_speech(data_folder, tmp_path):
    """Log-mel of 32 bands from 60 to 8,000 Hz, windows of 64 ms every 32 ms; clips spread over the speakers' folds."""
    pytest.importorskip("torch", reason="not run: torch is not installed")
    pytest.importorskip("soundfile", reason="not run: soundfile is not installed")
    tool("g++"), tool("make")
    from complsparse.torch import speech

    clips = speech.read_clips(data_folder / "speech", every=max(2, 4890 // CLIPS))
    assert len(np.unique(clips.folds)) == 5 or CLIPS < 50
    x = speech.Images(clips).plain().numpy()[:CLIPS]
    net = gsc("sparse_sparse", x)
    estimate = cs.hls.export(net, tmp_path / "net", samples=x, cycles=2400)
    values = simulated(tmp_path / "net", estimate)
    assert sum(values) == len(x) * (64 * 784 + 2 * 64 * 196 + 64 * 100 + 2 * 1600 + 2 * 1500 + 12)
