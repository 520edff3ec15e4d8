# SPDX-License-Identifier: BSD-3-Clause
"""The command line: what it prints, what it refuses and with which status."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mtx_oracle
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from command_line import refused

import complsparse as cs
from complsparse import _tables as tables
from complsparse._cli import dense_networks, examples, gsc, measure, rivals, sparsities
from complsparse._cli import main as commands
from complsparse._cli.main import main

PACKAGE_ROOT = Path(cs.__file__).parents[1]


def find_data():
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("COMPLSPARSE_DATA") or beside)
    return folder if folder.is_dir() else None


DATA = find_data()


def run(*words, **options):
    """The command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)}
    command = [sys.executable, "-m", "complsparse", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, **options)


def json_of(capsys, *words):
    assert main([*map(str, words), "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.fixture(autouse=True)
def no_folder(monkeypatch):
    monkeypatch.delenv("COMPLSPARSE_DATA", raising=False)


@pytest.fixture
def matrix():
    return scipy.sparse.random_array((40, 60), density=0.1, rng=np.random.default_rng(1), dtype=np.float32).tocsr()


@pytest.fixture
def file(tmp_path, matrix):
    path = tmp_path / "w.npz"
    scipy.sparse.save_npz(path, matrix)
    return path


@pytest.fixture
def tensors(tmp_path, matrix):
    path = tmp_path / "tensors.npz"
    np.savez(path, first=matrix.toarray(), second=np.eye(3))
    return path


# --- demo -------------------------------------------------------------------------------------------------------------


def test_demo_prints_a_table_of_checked_products(capsys):
    assert main(["demo", "--quick"]) == 0
    out = capsys.readouterr().out
    # Each matrix with every batch, and the complementary ones in three ways more: the two sparsities.
    n_products = len(examples.QUICK) * len(commands.BATCHES) + 3 * len(examples.COMPLEMENTARY)
    assert f"all {n_products} products are within the error bound" in out
    for word in ("bernoulli", "complementary (1, 1)", "complementary (16, 1)", "sets, fill", "GFLOP/s", "scipy"):
        assert word in out
    for word in ("W @ winners", "In short:", "called from Python"):
        assert word in out


def test_demo_json(capsys):
    document = json_of(capsys, "demo", "--quick", "--n", "1", "4")
    assert document["wrong"] == []
    assert document["threads"] == 1
    assert document["machine"]["complsparse"] == cs.__version__
    assert len(document["matrices"]) == len(examples.QUICK)
    for record in document["matrices"]:
        assert {"name", "shape", "nnz", "n_sets", "packing_efficiency", "pack_seconds"} <= record.keys()
        assert [product["n"] for product in record["products"]] == [1, 4]
        for product in record["products"]:
            assert product["correct"]
            assert set(product["ratios"]) == set(document["rivals"])
            assert all(ratio > 0 for ratio in product["ratios"].values())
    assert [mean["n"] for mean in document["means"]] == [1, 4]


def test_demo_of_two_sparsities(capsys):
    document = json_of(capsys, "demo", "--quick", "--n", "1")
    two = document["two_sparsities"]
    assert [record["name"].partition(" 9")[0] for record in two] == list(examples.COMPLEMENTARY)
    for record in two:
        assert record["correct"]
        assert record["winners"] == round(0.1 * record["shape"][1])
        dense = min(ns for name, ns in record["seconds"].items() if name in ("NumPy dense", "MKL dense"))
        for way, ratio in record["ratios_to_dense"].items():
            assert ratio == pytest.approx(dense / record["seconds"][way])
    packed = {record["name"]: record for record in document["matrices"]}
    for record in two:
        assert packed[record["name"]]["packing_efficiency"] == 1
        assert packed[record["name"]]["density"] == 1 / 16
    figure = two[-1]["ratios_to_dense"]["both, contest counted"]
    assert document["conclusion"].startswith("In short: beside the best dense product of one vector")
    assert tables.times(figure) in document["conclusion"]


def test_demo_says_that_a_product_with_winners_is_wrong(capsys, monkeypatch):
    def wrong(W, x, out):
        out[...] = 1.0

    monkeypatch.setattr(sparsities, "matmul", wrong)
    assert main(["demo", "--quick", "--n", "1", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [name.rpartition(" with ")[2] for name in document["wrong"]] == ["winners"] * len(examples.COMPLEMENTARY)


def test_demo_names_mkl_as_absent(capsys, monkeypatch):
    monkeypatch.setattr(rivals, "find_mkl", lambda: None)
    document = json_of(capsys, "demo", "--quick", "--n", "1")
    assert "not installed" in document["absent"]["MKL"]
    assert not any("MKL" in name for name in document["rivals"])
    assert main(["demo", "--quick", "--n", "1"]) == 0
    assert "not compared with MKL: not installed" in capsys.readouterr().out


def test_demo_without_rich(capsys, monkeypatch):
    monkeypatch.setattr(tables, "has", lambda module: False)
    assert main(["demo", "--quick", "--n", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert set(lines[1]) == {"-"}
    assert any(line.startswith("sets, fill, time to pack") for line in lines)


def test_demo_says_that_a_product_is_wrong(capsys, monkeypatch):
    def wrong(W, x, out):
        out[...] = 1.0

    monkeypatch.setattr(measure, "matmul", wrong)
    assert main(["demo", "--quick", "--n", "1"]) == 1
    n_products = len(examples.QUICK) + 3 * len(examples.COMPLEMENTARY)
    assert f"WRONG: {len(examples.QUICK)} of {n_products} products" in capsys.readouterr().out


def test_demo_draws_a_packing(capsys, tmp_path):
    path = tmp_path / "picture.png"
    assert main(["demo", "--quick", "--n", "1", "--plot", str(path)]) == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    assert str(path) in capsys.readouterr().out


def test_plot_without_matplotlib_says_what_to_install(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "has", lambda module: False)
    assert "pip install" in refused(capsys, "demo", "--plot", tmp_path / "picture.png")


def test_demo_reads_the_files_of_any_folder(capsys, file, tensors):
    document = json_of(capsys, "demo", "--quick", "--n", "1", "--data", file.parent)
    assert {"w", "first", "second"} <= {record["name"] for record in document["matrices"]}


def test_demo_takes_the_folder_from_the_environment(capsys, monkeypatch, file):
    monkeypatch.setenv("COMPLSPARSE_DATA", str(file.parent))
    document = json_of(capsys, "demo", "--quick", "--n", "1")
    assert "w" in {record["name"] for record in document["matrices"]}


@pytest.mark.data
def test_demo_on_real_matrices(capsys, data_folder):
    document = json_of(capsys, "demo", "--quick", "--n", "1", "--data", data_folder)
    assert {"generated", "dlmc", "lyra", "mediapipe", "mtx"} == {r["group"] for r in document["matrices"]}
    assert document["wrong"] == []


def test_progress_goes_to_the_terminal_on_stderr(capsys, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["demo", "--quick", "--n", "1"]) == 0
    assert "measuring" in terminal.getvalue()
    assert "measuring" not in capsys.readouterr().out


# --- gsc --------------------------------------------------------------------------------------------------------------

GSC = ("gsc", "--quick", "--threads", "1", "--n", "1")
PARAMETERS = {"dense": 2_522_128, "narrow": 112_309, "sparse": 127_696, "sparse_sparse": 127_696}


def test_gsc_times_all_networks(capsys):
    document = json_of(capsys, *GSC, "2", "--winners", "8", "6", "150")
    assert document["parameters"] == PARAMETERS
    assert [(record["threads"], record["n"]) for record in document["speeds"]] == [(1, 1), (1, 2)]
    for record in document["speeds"]:
        rows = {(row["network"], row["numbers"], row["runs_in"]): row for row in record["rows"]}
        assert {(kind, "float32", "complsparse") for kind in PARAMETERS} <= set(rows)
        assert {(kind, "int8", "complsparse") for kind in ("sparse", "sparse_sparse")} <= set(rows)
        assert {(kind, "float32", name) for kind in ("dense", "narrow") for name in document["rivals"]} <= set(rows)
        runtimes = {"ONNX Runtime", "OpenVINO"} & set(document["rivals"])
        runtimes = runtimes if "ONNX Runtime" in runtimes else set()  # whose tool it is
        assert {(kind, "int8", name) for kind in ("dense", "narrow") for name in runtimes} <= set(rows)
        best = {
            numbers: min((row["seconds"] for side, row in rows.items() if side[:2] == ("dense", numbers)), default=None)
            for numbers in ("float32", "int8")
        }
        for row in rows.values():
            assert row["words_per_second"] == pytest.approx(record["n"] / row["seconds"])
            assert row["over_dense"] == pytest.approx(best["float32"] / row["seconds"])
            assert row["over_dense_int8"] == pytest.approx(best["int8"] / row["seconds"] if runtimes else None)
    assert document["winners"] == [8, 6, 150]
    assert set(document["rivals"]) | set(document["absent"]) == {
        "ONNX Runtime", "OpenVINO", "torch", "torch channels_last",
    }  # fmt: skip
    for name in ("sparse_sparse", "sparse_sparse int8"):
        assert [row["layer"] for row in document["layers"][name]].count("KWinners") == 3
    assert document["wrong"] == []


def test_gsc_prints_tables_and_draws(capsys, tmp_path):
    path = tmp_path / "words.png"
    assert main([*GSC, "--masks", "fine", "--winners", "global", "--plot", str(path)]) == 0
    printed = capsys.readouterr().out
    assert all(
        word in printed for word in ("sparse-sparse", "words/s", "FPGA", "112 times", "checked: all", "QConv2d", "int8")
    )
    assert path.read_bytes().startswith(b"\x89PNG")


def test_gsc_without_rivals(capsys, monkeypatch):
    monkeypatch.setattr(dense_networks, "_NEEDED", {"torch": ("no_such_package",)})
    document = json_of(capsys, *GSC)
    assert document["rivals"] == {}
    assert document["absent"] == {"torch": "not installed (pip install no_such_package)"}
    assert {row["runs_in"] for row in document["speeds"][0]["rows"]} == {"complsparse"}


def test_gsc_says_that_a_network_is_wrong(capsys, monkeypatch):
    monkeypatch.setattr(gsc, "TOLERANCE", 0.0)
    assert main([*GSC]) == 1
    assert "WRONG: dense, narrow, sparse, sparse_sparse" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--winners", "6", "65", "150"], "(6, 65, 150)"),
        (["--winners", "6", "6"], "(6, 6)"),
        (["--winners", "some"], "global"),
        (["--masks", "coarse"], "coarse"),
        (["--order", "pool-first"], "pool_first"),
        (["--threads", "0"], "0"),
        (["--n", "0"], "0"),
        (["--plot", "/no/such/folder/words.png"], "/no/such/folder/words.png"),
    ],
)
def test_gsc_refuses(capsys, words, named):
    assert named in refused(capsys, "gsc", *words)


# --- info, pack, bench ------------------------------------------------------------------------------------------------


def test_info_describes_a_matrix(capsys, file):
    assert main(["info", str(file)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"w of {file}\n")
    for word in ("40 x 60", "sets", "lower bound", "micro-kernels", "strict", "split", "(chosen)"):
        assert word in out


def test_info_json(capsys, file, matrix):
    (found,) = json_of(capsys, "info", file)["matrices"]
    W = cs.from_scipy(matrix)
    assert found["shape"] == [40, 60]
    assert (found["nnz"], found["n_sets"], found["lower_bound"]) == (W.nnz, W.n_sets, W.lower_bound)
    assert found["packing_efficiency"] == W.packing_efficiency
    assert found["strategies"]["split"]["n_sets"] == W.lower_bound
    assert found["strategies"]["strict"]["n_sets"] >= W.lower_bound
    assert found["microkernels"][0]["n_first"] == 1
    # As rich as the text: its layouts, its winners, when packing pays off.
    assert found["with_winners"]["winners"] == 6
    assert found["with_winners"]["microkernels"][0]["n_first"] == 1
    assert found["layouts"]
    assert all(layout["bytes"] > 0 for layout in found["layouts"])
    assert "scipy's CSR" in found["pays_off"]
    assert found["pack_seconds"] > 0


def test_info_lists_the_matrices_of_a_file_or_shows_one(capsys, tensors):
    assert main(["info", str(tensors)]) == 0
    out = capsys.readouterr().out
    assert "2 matrices" in out
    assert "first" in out
    assert "second" in out
    assert [m["name"] for m in json_of(capsys, "info", tensors, "--tensor", "second")["matrices"]] == ["second"]


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.uint64, np.float16, np.longdouble])
def test_info_of_every_kind_of_dtype(capsys, tmp_path, dtype):
    path = tmp_path / "w.npz"
    cs.save(path, cs.from_dense(np.eye(4, dtype=dtype)))
    assert main(["info", str(path)]) == 0
    capsys.readouterr()
    assert json_of(capsys, "info", path)["matrices"][0]["dtype"] == str(np.dtype(dtype))


def test_info_draws_the_packing(tmp_path, file):
    path = tmp_path / "picture.svg"
    assert main(["info", str(file), "--plot", str(path)]) == 0
    assert b"<svg" in path.read_bytes()


@pytest.mark.parametrize("strategy", ["auto", "strict", "split"])
def test_pack_writes_what_load_reads(capsys, tmp_path, file, matrix, strategy):
    path = tmp_path / "packed.npz"
    document = json_of(capsys, "pack", file, "-o", path, "--strategy", strategy)
    W = cs.load(path)
    assert (W.tocsr() != matrix).nnz == 0
    assert (W.strategy, W.n_sets) == (document["strategy"], document["n_sets"])
    assert main(["pack", str(file), "-o", str(path)]) == 0
    assert "sets" in capsys.readouterr().out
    assert main(["info", str(path)]) == 0


@pytest.mark.parametrize("dtype", ["float64", "int8", "bfloat16"])
def test_pack_and_info_convert(capsys, tmp_path, dtype):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    (tmp_path / "m.mtx").write_text("%%MatrixMarket matrix coordinate real general\n1 2 2\n1 1 0.8\n1 2 3\n")
    found = json_of(capsys, "pack", tmp_path / "m.mtx", "-o", tmp_path / "w.npz", "--dtype", dtype)
    W = cs.load(tmp_path / "w.npz")
    assert found["dtype"] == str(W.dtype) == dtype
    # Not by way of the float32 that the file would be read as.
    assert W.toarray().tolist() == np.array([[0.8, 3.0]]).astype(W.dtype).astype(float).tolist()
    for file in ("m.mtx", "w.npz"):
        (info,) = json_of(capsys, "info", tmp_path / file, "--dtype", "float64")["matrices"]
        assert info["dtype"] == "float64"
    (info,) = json_of(capsys, "info", tmp_path / "m.mtx")["matrices"]
    assert info["dtype"] == "float32"


@pytest.mark.parametrize("dtype", ["complex64", "float33", "object", "m8[s]"])
def test_dtypes_that_are_refused(capsys, file, dtype):
    assert "is not a dtype of real numbers" in refused(capsys, "info", file, "--dtype", dtype)


def tensors_named(path, *names):
    entry = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    places = [{**entry, "data_offsets": [24 * i, 24 * i + 24]} for i in range(len(names))]
    text = json.dumps(dict(zip(names, places, strict=True))).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(24 * len(names)))


@pytest.mark.parametrize("rich", [True, False])
def test_names_in_files_do_nothing_to_the_terminal(capsys, monkeypatch, tmp_path, rich):
    if not rich:
        monkeypatch.setattr(tables, "has", lambda module: False)
    path = tmp_path / "t.safetensors"
    tensors_named(path, "\x1b[31mred\x1b]0;title\x07\n", "\u202egnp", "[bold]x", "\x85")
    assert main(["info", str(path)]) == 0
    shown = capsys.readouterr().out
    assert main(["bench", str(path), "--n", "1", "--rounds", "1"]) == 0
    shown += capsys.readouterr().out
    for words in (["--tensor", "x"], ["--plot", str(tmp_path / "p.png")]):
        shown += refused(capsys, "info", path, *words)
    assert r"\x1b[31mred\x1b]0;title\x07\n" in shown
    assert r"\u202egnp" in shown
    assert "[bold]x" in shown
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_pack_with_a_block(capsys, tmp_path):
    path = tmp_path / "blocks.mtx"
    scipy.io.mmwrite(path, scipy.sparse.coo_array(np.kron(np.eye(3), np.ones((4, 2)))))
    assert json_of(capsys, "pack", path, "-o", tmp_path / "out.npz", "--block", "4x1")["block"] == [4, 1]
    assert "blocks" in refused(capsys, "pack", path, "-o", tmp_path / "out.npz", "--block", "5x1")


@pytest.mark.parametrize("dtype", ["float32", "float64", None])
def test_bench(capsys, file, tensors, dtype):
    words = ["bench", file, tensors, "--n", "1", "3", "--rounds", "1", *(["--dtype", dtype] if dtype else [])]
    document = json_of(capsys, *words)
    assert [record["name"] for record in document["matrices"]] == ["w", "first", "second"]
    assert document["matrices"][0]["dtype"] == (dtype or "float32")
    assert main(list(map(str, words))) == 0
    assert "scipy" in capsys.readouterr().out


def test_bench_with_two_threads(capsys, file):
    assert json_of(capsys, "bench", file, "--n", "8", "--rounds", "1", "--threads", "2")["threads"] == 2


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (4, 4)])
def test_bench_of_nothing_stored(capsys, tmp_path, shape):
    cs.save(tmp_path / "none.npz", cs.ComplementaryMatrix(shape))
    assert json_of(capsys, "bench", tmp_path / "none.npz", "--rounds", "1")["wrong"] == []


def test_bench_of_values_that_are_not_finite(capsys, tmp_path):
    dense = np.array([[np.nan, 0, 1], [0, np.inf, 0], [2, 0, 3e38]], dtype=np.float32)
    np.save(tmp_path / "odd.npy", dense)
    assert json_of(capsys, "bench", tmp_path / "odd.npy", "--rounds", "1")["wrong"] == []


# --- the reference ----------------------------------------------------------------------------------------------------


def test_reference_tells_right_from_wrong(matrix):
    x = np.random.default_rng(3).uniform(-1, 1, (60, 2)).astype(np.float32)
    reference = rivals.Reference(matrix, x)
    y = matrix @ x
    assert reference.agrees(y)
    row = int(np.argmax(np.diff(matrix.indptr)))
    y[row, 1] *= 1 + 1e-3
    assert not reference.agrees(y)
    y[row, 1] = np.nan
    assert not reference.agrees(y)


@pytest.mark.skipif(rivals.find_mkl() is None, reason="MKL is not installed")
@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mkl_is_called_rightly(matrix, n, dtype):
    csr = matrix.astype(dtype)
    x = np.random.default_rng(4).uniform(-1, 1, (60,) if n == 1 else (60, n)).astype(dtype)
    sides = rivals.Rivals(1)
    calls, without = sides.calls(csr, x, rivals.Reference(csr, x))
    assert {"MKL dense", "MKL sparse"} <= calls.keys()
    assert not without


# --- what is refused --------------------------------------------------------------------------------------------------


def test_no_file(capsys, tmp_path):
    assert "No such file" in refused(capsys, "info", tmp_path / "missing.npz")


def test_folder_instead_of_file(capsys, tmp_path):
    assert "is a folder" in refused(capsys, "info", tmp_path)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".mtx", ".smtx", ".safetensors", ".npz.gz", ".mtx.gz"])
@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"%%MatrixMarket matrix", b"PK\x03\x04"])
def test_bytes_that_are_no_matrix(capsys, tmp_path, suffix, content):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    for command in ("info", "bench"):
        assert path.name in refused(capsys, command, path)
    assert path.name in refused(capsys, "pack", path, "-o", tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_complex_matrix(capsys, tmp_path):
    path = tmp_path / "complex.mtx"
    scipy.io.mmwrite(path, scipy.sparse.coo_array(np.eye(2) * 1j))
    assert "complex128" in refused(capsys, "info", path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_to_read(capsys, file):
    file.chmod(0)
    assert "Permission denied" in refused(capsys, "info", file)


def test_no_permission_to_write(capsys, file, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "cannot be written" in refused(capsys, "pack", file, "-o", file.with_name("out.npz"))


def test_pack_needs_one_matrix_and_a_name_for_it(capsys, tmp_path, file, tensors):
    assert "--tensor" in refused(capsys, "pack", tensors, "-o", tmp_path / "out.npz")
    assert "no matrix 'third'" in refused(capsys, "pack", tensors, "--tensor", "third", "-o", tmp_path / "out.npz")
    assert ".npz" in refused(capsys, "pack", file, "-o", tmp_path / "out.txt")
    assert "cannot be written" in refused(capsys, "pack", file, "-o", tmp_path / "none" / "out.npz")
    assert "-o" in refused(capsys, "pack", file)


@pytest.mark.parametrize(
    "words",
    [
        ["unknown"],
        ["demo", "--n", "0"],
        ["demo", "--n", "x"],
        ["demo", "--threads", "-1"],
        ["demo", "--dtype", "int8"],
        ["demo", "--data", "/no/such/folder"],
        ["demo", "--data", os.devnull],
        ["demo", "--plot", "/no/such/folder/picture.png"],
        ["demo", "--plot", "picture.txt"],
        ["info"],
        ["bench"],
        ["pack", "w.npz", "-o", "out.npz", "--block", "4"],
        ["pack", "w.npz", "-o", "out.npz", "--block", "0x4"],
        ["pack", "w.npz", "-o", "out.npz", "--strategy", "best"],
    ],
)
def test_wrong_arguments(capsys, words):
    refused(capsys, *words)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["inof", "w.npz"], "info"),
        (["demos"], "demo"),
        (["info", "w.npz", "--jsno"], "--json"),
        (["bench", "w.npz", "--thread=2"], "--threads"),
        (["demo", "--dtype", "float23"], "float32"),
        (["pack", "w.npz", "-o", "out.npz", "--strategy", "spilt"], "split"),
        (["--verison"], "--version"),
        (["--completion", "bsh"], "bash"),
    ],
)
def test_misspelt_words_get_a_suggestion(capsys, words, meant):
    assert f"did you mean {meant!r}?" in refused(capsys, *words)


def test_no_suggestion_for_a_word_that_is_like_none(capsys):
    assert "did you mean" not in refused(capsys, "quux")


def test_no_arguments_print_the_help(capsys):
    assert main([]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("usage: complsparse")
    assert all(command in captured.out for command in ("demo", "info", "pack", "bench", "gsc"))
    assert captured.err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_of_a_shell(capsys, shell):
    pytest.importorskip("shtab", reason="not run: shtab is not installed")
    assert main(["--completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("demo", "info", "--tensor", "--threads", "float32"):
        assert word in script
    if shell == "bash" and shutil.which("bash"):
        ask = "COMP_WORDS=(complsparse in); COMP_CWORD=1; _shtab_complsparse; echo ${COMPREPLY[@]}"
        found = subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True)
        assert found.stdout.split() == ["info"]


def test_completion_without_shtab_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert "complsparse[completion]" in refused(capsys, "--completion", "bash")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("COMPLSPARSE_ISA", "sse9"), ("COMPLSPARSE_NUM_THREADS", "0"), ("COMPLSPARSE_DETERMINISTIC", "maybe")],
)
def test_a_bad_variable_of_the_environment_is_one_line(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    found = run("--version")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(f"complsparse: error: {variable}={value!r} is not valid; use ")
    assert found.stderr.count("\n") == 1
    imported = subprocess.run([sys.executable, "-c", "import complsparse"], capture_output=True, text=True)
    assert imported.returncode == 1
    assert imported.stderr.rstrip().splitlines()[-1].startswith(f"ValueError: {variable}={value!r}")


def test_control_characters_of_names_do_not_reach_the_terminal(capsys, tmp_path):
    name = "layer\x1b[2J\r1"
    path = tmp_path / "\x1b[31mw.npz"
    np.savez(path, **{name: np.eye(3), "other": np.eye(2)})
    for words in (["info", path], ["info", path, "--tensor", name], ["bench", path, "--n", "1", "--rounds", "1"]):
        assert main([str(word) for word in words]) == 0
        out = capsys.readouterr().out
        assert "layer\\x1b[2J\\r1" in out
        assert "\x1b[2J" not in out
        assert "\x1b[31m" not in out
    assert "\x1b" not in refused(capsys, "info", path, "--tensor", "\x1b[2Jnone")


def test_folder_without_matrices(capsys, tmp_path):
    assert "no matrices" in refused(capsys, "demo", "--data", tmp_path)


def test_a_plot_that_cannot_be_drawn_is_refused_before_the_work(capsys, tensors, tmp_path):
    assert "--tensor" in refused(capsys, "info", tensors, "--plot", tmp_path / "picture.png")


# --- the process ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["-V"], *([c, "--help"] for c in ("demo", "info", "pack", "bench", "gsc"))]
)
def test_help_and_version(capsys, words):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert cs.__version__ in out if words in (["--version"], ["-V"]) else "usage: complsparse" in out


def test_status_of_a_process(file, tmp_path):
    good = run("info", file, "--json")
    assert (good.returncode, good.stderr) == (0, "")
    assert json.loads(good.stdout)["file"] == str(file)
    bad = run("info", tmp_path / "missing.mtx")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.count("\n") == 1


def test_interrupt(capsys, monkeypatch):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "_demo", interrupted)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_interrupt_of_a_process():
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)}
    # A process started in the background of a shell ignores the signal, and so do its children unless told otherwise.
    program = (
        "import complsparse._cli.main as c, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "print(flush=True); sys.exit(c.main())"
    )
    many = map(str, range(1, 4000))
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", program, "demo", "--n", *many], stdout=pipe, stderr=pipe, text=True, env=environment
    ) as process:
        try:
            process.stdout.readline()
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, err) == (130, "interrupted\n")


def test_reader_that_goes_away(file):
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)}
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "complsparse", "info", str(file)]
    process = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=environment, timeout=60)
    os.close(writing)
    assert process.stderr == b""
    assert process.returncode == 1


@pytest.mark.parametrize("n", [1, 2, 16])
def test_values_that_overflow_are_measured_in_silence(capsys, tmp_path, n):
    """NumPy warns of them, in products on some CPUs only; the suite would fail on a warning."""
    path = tmp_path / "huge.npz"
    huge = np.array([[1e308, -1e308, np.nan], [np.inf, -np.inf, 1e308], [1e308, 1e308, 1e308]])
    scipy.sparse.save_npz(path, scipy.sparse.csr_array(huge))
    assert json_of(capsys, "bench", path, "--rounds", "1", "--n", str(n))["wrong"] == []


def test_timed_calls_do_not_warn():
    huge = np.full(4, 1e308)
    calls = {"overflow": lambda: huge * huge, "invalid": lambda: np.inf * (huge - huge)}
    assert rivals.interleaved_medians(calls, 1).keys() == calls.keys()


# --- odd files --------------------------------------------------------------------------------------------------------

ODD = {path.stem: path for path in sorted(DATA.glob("mtx/odd/*.mtx"))} if DATA else {}


@pytest.mark.data
@pytest.mark.parametrize("name", ODD or ["all"])
def test_odd_files(capsys, data_folder, name):
    path = ODD[name]
    try:
        accepted = mtx_oracle.read(path.read_bytes()) is not None
    except mtx_oracle.TooLarge:
        accepted = True
    if not accepted:
        refused(capsys, "info", path)
        return
    assert len(json_of(capsys, "info", path)["matrices"]) == 1
    assert main(["bench", str(path), "--rounds", "1", "--n", "2"]) == 0


@pytest.mark.data
@pytest.mark.parametrize("command", ["info", "bench"])
def test_young1c_is_complex(capsys, command, data_folder):
    assert "complex128" in refused(capsys, command, data_folder / "mtx" / "young1c.mtx")
