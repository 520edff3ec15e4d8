# SPDX-License-Identifier: BSD-3-Clause
"""Exported folders: what they hold, what their C simulation accepts and rejects, what is refused unwritten."""

import dataclasses
import json
import os
import pathlib
import re

import numpy as np
import pytest
from hls_folders import DESIGNS, MATRICES, MUTANTS, changed, listed, make, options
from hls_speech import speech_network
from hls_tools import INTEGERS, clang, integers, tool
from test_data import read_lyra

import complsparse as cs
from complsparse._cli.main import main
from complsparse.hls import folder as folders


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("design", DESIGNS)
def test_c_simulation_equals_the_library(matrix, design, tmp_path):
    tool("g++"), tool("make")
    W = MATRICES[matrix]()
    cs.hls.export(W, tmp_path / "layer", vectors=40, **options(design, W))
    done = make(tmp_path / "layer", "csim", "CXXFLAGS=-O0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"C simulation: 40 vectors, {40 * W.shape[0]} outputs, 0 wrong" in done.stdout


@pytest.mark.parametrize("design", ["dense", "selected, run time", "winners in parallel"])
@pytest.mark.parametrize("kind", INTEGERS)
def test_c_simulation_with_every_kind_of_integer(kind, design, tmp_path):
    compiler, flags = integers(kind)
    tool("make")
    W = MATRICES["not balanced"]()
    cs.hls.export(W, tmp_path / "layer", vectors=40, **options(design, W))
    done = make(tmp_path / "layer", "csim", f"CXX={compiler}", f"CXXFLAGS=-O1 -Wshadow {' '.join(flags)}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_clang_compiles_without_warnings(tmp_path):
    compiler = clang()
    W = MATRICES["blocks"]()
    cs.hls.export(W, tmp_path / "layer", vectors=40)
    done = make(tmp_path / "layer", "csim", f"CXX={compiler}")
    assert done.returncode == 0, done.stdout + done.stderr


COMPILERS = {"g++": lambda: tool("g++"), "clang": clang}


@pytest.mark.data
@pytest.mark.parametrize("design", ["dense", "winners in parallel"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_layer_of_a_speech_vocoder(compiler, design, data_folder, tmp_path):
    """In blocks of 4 x 4. Quantised here, with one scale for all of it: the circuit knows no scale."""
    tool("make")
    weights, _ = read_lyra(data_folder / "lyra_wavegru" / "raw" / "lyra_16khz_proj_weights.raw.gz")
    W = cs.from_dense(np.rint(weights * (127 / np.abs(weights).max())).astype(np.int8))
    assert W.nnz > 1000
    cs.hls.export(W, tmp_path / "layer", vectors=64, **options(design, W))
    done = make(tmp_path / "layer", "csim", f"CXX={COMPILERS[compiler]()}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("layer", "winners"), [("0", None), ("3", 150), ("7", 150), ("9", 150)])
def test_layers_of_the_speech_network(layer, winners, compiler, tmp_path):
    tool("make")
    net, _ = speech_network("sparse_sparse")
    W = next(node.layer.W for node in net._nodes if node.name == layer)
    cs.hls.export(W, tmp_path / "layer", vectors=20, winners=winners, activations="uint8")
    done = make(tmp_path / "layer", "csim", f"CXX={COMPILERS[compiler]()}", "CXXFLAGS=-O0")
    assert done.returncode == 0, done.stdout + done.stderr


# --- simulations that must fail ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mutant", MUTANTS)
@pytest.mark.parametrize("design", ["dense", "selected", "winners in parallel", "winners, run time"])
def test_c_simulation_rejects(mutant, design, tmp_path):
    tool("g++"), tool("make")
    W = MATRICES["balanced"]()
    cs.hls.export(W, tmp_path / "layer", vectors=40, **options(design, W))
    changed(tmp_path / "layer" / "tables.hpp", *MUTANTS[mutant])
    done = make(tmp_path / "layer", "csim", "CXXFLAGS=-O0")
    assert done.returncode != 0
    assert re.search(r"vector \d+, row \d+: -?\d+, not -?\d+", done.stdout)


def test_c_simulation_rejects_vectors_that_end_early(tmp_path):
    tool("g++"), tool("make")
    cs.hls.export(MATRICES["balanced"](), tmp_path / "layer", vectors=10)
    path = tmp_path / "layer" / "golden" / "vectors.txt"
    text = path.read_text()
    for broken in (text[:-20], "0\n", ""):
        path.write_text(broken)
        assert make(tmp_path / "layer", "csim", "CXXFLAGS=-O0").returncode != 0


# --- what is written --------------------------------------------------------------------------------------------------


def test_the_golden_sums_are_the_products(tmp_path):
    """In 64 bits, from the file alone."""
    for name, design in (("not balanced", "dense"), ("blocks", "winners in parallel")):
        W = MATRICES[name]()
        chosen = options(design, W)
        cs.hls.export(W, tmp_path / "layer", vectors=30, **chosen)
        count, *lines = (tmp_path / "layer" / "golden" / "vectors.txt").read_text().splitlines()
        numbers = np.array([line.split() for line in lines], dtype=np.int64)
        assert int(count) == len(numbers) == 30
        inputs, sums = numbers[:, : -W.shape[0]], numbers[:, -W.shape[0] :]
        if "winners" in chosen:
            values, places = np.hsplit(inputs, 2)
            inputs = np.zeros((30, W.shape[1]), dtype=np.int64)
            np.put_along_axis(inputs, places, values, axis=1)
        np.testing.assert_array_equal(sums, inputs @ W.toarray().T.astype(np.int64))
        assert len(np.unique(inputs)) > 100


@pytest.mark.parametrize("design", DESIGNS)
def test_the_estimate_counts_the_schedule(design):
    W = MATRICES["not balanced"]()
    chosen = options(design, W)
    found = cs.hls.estimate(W, clock_ns=5, **chosen)
    strict = cs.ComplementaryMatrix(W, strategy="strict")
    per_clock = chosen["parallel_winners"] if chosen.get("winners", 0) > 1 else 1 if "winners" in chosen else None
    per_clock = per_clock or min(chosen["lanes"], 37)
    work = chosen.get("winners", 37)
    assert found.cycles_per_vector == -(-work // per_clock)
    assert found.latency_cycles == found.cycles_per_vector + 1
    assert found.vectors_per_second == pytest.approx(2e8 / found.cycles_per_vector)
    selected = chosen.get("route") == "activations"
    owned = np.add.reduceat(W.toarray() != 0, np.arange(0, 37, per_clock), axis=1)  # slots of a row in a group
    factor = strict.set_size * owned.max() if selected else per_clock
    assert found.multipliers == strict.n_sets * factor
    assert found.sums == strict.n_sets * strict.set_size
    assert found.fill == pytest.approx(W.nnz / (37 * strict.n_sets))
    fullest = np.diff(W.tocsr().indptr).max()
    assert 2 ** (found.sum_bits - 1) > fullest * 128 * 255 >= 2 ** (found.sum_bits - 2) - 128 * 255 * fullest


def test_sums_grow_with_winners_and_not_with_columns():
    W = cs.random((64, 1024), density=1 / 16, dtype=np.int8, rng=0)
    cycles = [cs.hls.estimate(W, winners=k, parallel_winners=4).cycles_per_vector for k in (4, 64, 128, 1024)]
    assert cycles == [1, 16, 32, 256]
    assert cs.hls.estimate(W, lanes=4).cycles_per_vector == 256


def test_a_folder_can_be_exported_again(tmp_path):
    W = MATRICES["balanced"]()
    first = cs.hls.export(W, tmp_path / "layer", lanes=8)
    (tmp_path / "layer" / "build").mkdir()
    second = cs.hls.export(W, str(tmp_path / "layer"), lanes=16)
    assert (first.cycles_per_vector, second.cycles_per_vector) == (8, 4)
    assert json.loads((tmp_path / "layer" / "complsparse.json").read_text())["cycles_per_vector"] == 4
    assert os.listdir(tmp_path) == ["layer"]


def test_a_folder_holds_what_its_page_lists(tmp_path):
    cs.hls.export(MATRICES["balanced"](), tmp_path / "layer", clock_ns=3.3)
    assert listed(tmp_path / "layer")
    assert "## Not run here" in (tmp_path / "layer" / "README.md").read_text()
    for path in (tmp_path / "layer" / "vitis").iterdir():
        text = path.read_text()
        assert text.splitlines()[1].startswith("# Not run here")
        assert "3.3" in text
        assert "@" not in text
    include = pathlib.Path(cs.hls.get_include())
    for path in include.rglob("*.hpp"):
        assert (tmp_path / "layer" / "include" / path.relative_to(include)).read_text() == path.read_text()


# --- what is refused --------------------------------------------------------------------------------------------------

W8 = cs.random((16, 32), density=1 / 4, dtype=np.int8, rng=0)


@pytest.mark.parametrize(
    ("W", "wrong", "error", "words"),
    [
        (W8.astype(np.float32), {}, TypeError, "int8 weights, and W has float32"),
        (W8.toarray(), {}, TypeError, "not of ndarray"),
        (cs.from_dense(np.zeros((0, 4), dtype=np.int8)), {}, ValueError, r"the shape \(0, 4\)"),
        (W8, {"lanes": 0}, ValueError, "lanes=0 is not a number from 1 on"),
        (W8, {"lanes": True}, ValueError, "lanes=True"),
        (W8, {"lanes": 2.0}, TypeError, "lanes is a whole number, not 2.0"),
        (W8, {"parallel_winners": 2}, ValueError, "parallel_winners=2 without winners"),
        (W8, {"winners": 33}, ValueError, "winners=33 is more than the 32 columns"),
        (W8, {"winners": 3, "parallel_winners": 4}, ValueError, "parallel_winners=4 is more than winners=3"),
        (W8, {"winners": 0}, ValueError, "winners=0"),
        (W8, {"winners": 3, "lanes": 4}, ValueError, "lanes=4 with winners: parallel_winners says how many"),
        (W8, {"ids": "dynamic"}, ValueError, "ids='dynamic' is neither"),
        (W8, {"clock_ns": 0}, ValueError, "clock_ns=0 is not between"),
        (W8, {"clock_ns": float("nan")}, ValueError, "clock_ns=nan"),
        (W8, {"clock_ns": "fast"}, TypeError, "clock_ns is a number of nanoseconds, not 'fast'"),
        (W8, {"activations": "int16"}, ValueError, "activations='int16'"),
        (W8, {"route": "weights"}, ValueError, "route='weights' is neither"),
        (W8, {"route": "activations", "winners": 3}, ValueError, "route='activations' with winners"),
        (W8, {"vectors": 0}, ValueError, "vectors=0"),
    ],
)
def test_what_cannot_work_is_refused_before_a_file_is_written(W, wrong, error, words, tmp_path):
    with pytest.raises(error, match=words):
        cs.hls.export(W, tmp_path / "layer", **wrong)
    assert os.listdir(tmp_path) == []
    if "vectors" not in wrong:
        with pytest.raises(error, match=words):
            cs.hls.estimate(W, **wrong)


def test_too_many_multipliers_are_refused():
    W = cs.from_dense(np.ones((70, 1000), dtype=np.int8))
    with pytest.raises(ValueError, match="70 sets with 1000 lanes need 70000 multipliers"):
        cs.hls.estimate(W, lanes=1000)


def test_tables_that_no_folder_holds_are_refused():
    W = cs.from_coo(np.ones(9, dtype=np.int8), (np.arange(9), np.zeros(9, dtype=int)), (9, 2_000_000))
    with pytest.raises(ValueError, match="9 sets of 2000000 columns are 18000000 slots, more than the 16777216"):
        cs.hls.estimate(W)


def test_foreign_files_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds 'notes\.txt', which no export wrote"):
        cs.hls.export(W8, tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        cs.hls.export(W8, tmp_path / "notes.txt")
    cs.hls.export(W8, tmp_path / "layer")
    (tmp_path / "layer" / "mine.cpp").write_text("int mine;")
    with pytest.raises(ValueError, match=r"holds 'mine\.cpp'"):
        cs.hls.export(W8, tmp_path / "layer", lanes=2)
    assert (tmp_path / "layer" / "mine.cpp").read_text() == "int mine;"


def test_an_error_while_writing_leaves_what_was_there(tmp_path, monkeypatch):
    cs.hls.export(W8, tmp_path / "layer", lanes=4)
    before = {path: path.read_bytes() for path in (tmp_path / "layer").rglob("*") if path.is_file()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders, "_move", full)
    with pytest.raises(OSError, match="No space left"):
        cs.hls.export(W8, tmp_path / "layer", lanes=8)
    assert {path: path.read_bytes() for path in (tmp_path / "layer").rglob("*") if path.is_file()} == before
    assert os.listdir(tmp_path) == ["layer"]


def test_a_folder_that_cannot_be_moved_in_leaves_the_old_one(tmp_path, monkeypatch):
    cs.hls.export(W8, tmp_path / "layer", lanes=4)
    rename, names = os.rename, []

    def second_fails(old, new):
        names.append(new)
        if len(names) == 2:
            raise OSError(13, "Permission denied")
        rename(old, new)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(OSError, match="Permission denied"):
        cs.hls.export(W8, tmp_path / "layer", lanes=8)
    assert json.loads((tmp_path / "layer" / "complsparse.json").read_text())["cycles_per_vector"] == 8
    assert os.listdir(tmp_path) == ["layer"]


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_writes_the_same_folder(tmp_path, capsys):
    W = MATRICES["balanced"]()
    cs.save(tmp_path / "w.npz", W)
    words = ["hls", str(tmp_path / "w.npz"), "-o", str(tmp_path / "by command"), "--winners", "6"]
    assert main([*words, "--parallel-winners", "2", "--ids", "runtime", "--clock", "5", "--activations", "uint8"]) == 0
    assert "3 clocks a vector, 8 multipliers, 32 sums of 19 bits" in capsys.readouterr().out
    cs.hls.export(
        W, tmp_path / "by call", winners=6, parallel_winners=2, ids="runtime", clock_ns=5, activations="uint8"
    )
    one, other = (
        {p.relative_to(tmp_path / name): p.read_text() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("by command", "by call")
    )
    assert one == other


def test_the_command_prints_json(tmp_path, capsys):
    W = MATRICES["balanced"]()
    cs.save(tmp_path / "w.npz", W)
    assert main(["hls", str(tmp_path / "w.npz"), "-o", str(tmp_path / "layer"), "--lanes", "4", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cycles_per_vector"] == 16
    assert dataclasses.asdict(cs.hls.estimate(W, lanes=4)).items() <= document.items()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--winners", "65"], "winners=65 is more than the 64 columns of W"),
        (["--winners", "6", "--lanes", "4"], "lanes=4 with winners: parallel_winners says how many a clock takes"),
        (["-o", "/dev/null/layer"], "error: /dev/null/layer is to be in /dev/null, which is no folder"),
        (["-o", "/proc/layer"], "error: /proc/layer: No such file or directory"),
        (["--clock", "0"], "clock_ns=0.0 is not between 0.1 and 1000 nanoseconds"),
        (["--lanes", "0"], "'0' is not a number from 1 to 65536"),
        (["--lane", "3"], "did you mean '--lanes'"),
        (["--ids", "fixed"], "invalid choice: 'fixed'"),
    ],
)
def test_the_command_refuses_in_one_line(words, message, tmp_path, capsys):
    cs.save(tmp_path / "w.npz", MATRICES["balanced"]())
    assert main(["hls", str(tmp_path / "w.npz"), "-o", str(tmp_path / "layer"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "layer").exists()


def test_the_command_wants_one_matrix(tmp_path, capsys):
    np.savez(tmp_path / "two.npz", a=np.eye(3, dtype=np.int8), b=np.eye(4, dtype=np.int8))
    assert main(["hls", str(tmp_path / "two.npz"), "-o", str(tmp_path / "layer")]) == 2
    assert "holds 2 matrices: choose one with --tensor NAME" in capsys.readouterr().err
    assert main(["hls", str(tmp_path / "two.npz"), "-o", str(tmp_path / "layer"), "--tensor", "b"]) == 0
