# SPDX-License-Identifier: BSD-3-Clause
"""What earlier versions wrote can still be read: pickles and saved files, and the names of modules in them."""

import importlib.util
import pathlib
import pickle

import numpy as np
import pytest

import complsparse as cs

FOLDER = pathlib.Path(__file__).resolve().parent / "data" / "0.1.0"


@pytest.fixture(scope="module")
def made():
    """The program that made the files."""
    pytest.importorskip("ml_dtypes", reason="not run: some of the files are bfloat16")
    spec = importlib.util.spec_from_file_location("made_by_0_1_0", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_matrix(W, dense, strategy):
    assert type(W) is cs.ComplementaryMatrix
    assert W.dtype == dense.dtype
    assert W.strategy == strategy
    assert W.toarray().tobytes() == np.ascontiguousarray(dense).tobytes()
    x = np.linspace(-1, 1, W.shape[1])
    np.testing.assert_allclose(W @ x, dense.astype(np.float64) @ x, rtol=1e-13, atol=1e-13)


def check_winners(w, dense):
    assert type(w) is cs.Winners
    assert w.dtype == dense.dtype
    np.testing.assert_array_equal(w.toarray(), dense)


@pytest.mark.parametrize("suffix", ["pickle", "npz"])
def test_matrices_of_0_1_0(made, suffix):
    read = cs.load if suffix == "npz" else lambda path: pickle.loads(path.read_bytes())
    for name, (W, dense, strategy) in made.matrices(cs).items():
        old = read(FOLDER / f"{name}.{suffix}")
        check_matrix(old, dense, strategy)
        np.testing.assert_array_equal(old.row_order, W.row_order)
        assert (old.block, old.shape) == (W.block, W.shape)


def test_winners_of_0_1_0(made):
    for name, (w, dense) in made.winners(cs).items():
        old = pickle.loads((FOLDER / f"{name}.pickle").read_bytes())
        check_winners(old, dense)
        assert (old.axis, old.indices.tolist()) == (w.axis, w.indices.tolist())


def test_a_pickle_of_several_objects_of_0_1_0(made):
    """A report, a class and what refers to them."""
    old = pickle.loads((FOLDER / "together.pickle").read_bytes())
    W, report = cs.prune(made.dense(np.float32)[:, :8] + 1, set_size=4)
    check_matrix(old["matrix"], W.toarray(), W.strategy)
    assert type(old["report"]) is cs.PruneReport
    assert str(old["report"]) == str(report)
    with pytest.raises(AttributeError, match=r"W\.mask"):
        old["report"].mask  # noqa: B018
    assert old["class"] is cs.ComplementaryMatrix
    check_winners(old["winners"], made.winners(cs)["winners_i8"][1])
