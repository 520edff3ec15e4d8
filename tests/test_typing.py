# SPDX-License-Identifier: BSD-3-Clause
"""What a type checker sees: a small typed program, and the names that arguments may have."""

import importlib.util
import inspect
import os
import pathlib
import subprocess
import sys
import typing

import pytest

import complsparse as cs
from complsparse import _core, _typing
from complsparse._conv.layouts import _CHANNEL_AXES
from complsparse._matrix.packing import STRATEGIES

FOLDER = pathlib.Path(cs.__file__).resolve().parents[1]

PROGRAM = """
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import complsparse as cs

x = np.ones((4, 8), dtype=np.float32)
W = cs.random((16, 8), set_size=4, rng=0)
assert_type(W, cs.ComplementaryMatrix)
assert_type(cs.from_dense(x, strategy="split", block=(1, 1)), cs.ComplementaryMatrix)
assert_type(cs.linear(x, W, activation="relu"), NDArray[Any])
assert_type(cs.matmul(W, x.T, bias=[0.0] * 16), NDArray[Any])
assert_type(W @ x.T, NDArray[Any])
assert_type(x @ W.T, NDArray[Any])
assert_type(W.T, cs.ComplementaryMatrix)
assert_type(2 * W, cs.ComplementaryMatrix)
assert_type(-W / 0.5, cs.ComplementaryMatrix)
assert_type(W.toarray(), NDArray[Any])
w = cs.kwta(x, 0.5)
assert_type(w, cs.Winners)
assert_type(cs.linear(w, W), NDArray[Any])
assert_type(W @ cs.kwta(x.T, 2, axis=0), NDArray[Any])
plan = W.plan(4, batch_major=True, activation="gelu")
assert_type(plan(x), NDArray[Any])
assert_type(W.astype(np.float64), cs.ComplementaryMatrix)
assert_type(W.with_values(np.ones(W.nnz)), cs.ComplementaryMatrix)
pruned, report = cs.prune(np.ones((16, 16)), set_size=4, method="greedy")
assert_type(pruned, cs.ComplementaryMatrix)
assert_type(report, cs.PruneReport)
assert_type(report.mask, NDArray[np.bool_])
assert_type(W.shape, tuple[int, int])
assert_type(W.nnz, int)
assert_type(cs.load("w.npz"), cs.ComplementaryMatrix)
assert_type(cs.isa_levels(), list[str])
assert_type(cs.linear(x, W, winners=3), cs.Winners)
assert_type(cs.linear(w, W, [0.0] * 16, activation="relu", winners=0.1), cs.Winners)
assert_type(cs.linear(x, W, winners=None), NDArray[Any])
F = cs.from_filters(np.ones((4, 2, 3, 3), dtype=np.float32))
images = np.ones((1, 2, 8, 8), dtype=np.float32)
assert_type(cs.conv2d(images, F, activation="relu", layout="NCHW"), NDArray[Any])
assert_type(cs.max_pool2d(images, 2, layout="NHWC"), NDArray[Any])
assert_type(F.plan_conv2d((1, 2, 8, 8), layout="NCHW", activation="gelu"), cs.ConvPlan)
reveal_type(W.tocsr())
reveal_type(W.tocsc())
reveal_type(W.tocoo())
reveal_type(W @ W.T)
"""

MISTAKES = """
import numpy as np

import complsparse as cs

x = np.ones((4, 8), dtype=np.float32)
W = cs.random((16, 8), set_size=4, rng=0)
cs.linear(x, W, activation="rleu")
cs.from_dense(x, strategy="best")
cs.from_dense(x, block="large")
W.plan(4, activation="softmax")
cs.prune(x, set_size=4, method="fast")
cs.linear(x, x)
cs.linear(x, W, winners=2, out=x)
cs.conv2d(x, W, layout="NWHC")
cs.conv1d(x, W, layout="NCHW")
cs.max_pool2d(x, 2, layout="HWC")
cs.avg_pool2d(x, 2, layout="CHW")
W.plan_conv2d((1, 1, 1, 8), layout="NCL")
W.plan_conv2d((1, 1, 1, 8), activation="softmax")
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What mypy has learnt of NumPy, for all programs."""
    return tmp_path_factory.mktemp("mypy")


def checked(tmp_path, cache, text):
    """The lines of mypy, strictly, of a program that uses the package."""
    pytest.importorskip("mypy", reason="not run: mypy is not installed")
    program = tmp_path / "program.py"
    program.write_text(text)
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nstrict = True\nshow_error_codes = True\n[mypy-scipy.*]\nignore_missing_imports = True\n")
    environment = dict(os.environ)
    if not any(part in ("site-packages", "dist-packages") for part in FOLDER.parts):
        environment["MYPYPATH"] = str(FOLDER)  # a checkout: mypy does not follow the hooks of an editable install
    command = [sys.executable, "-m", "mypy", f"--config-file={config}", f"--cache-dir={cache}", program]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, cwd=tmp_path)
    return [line for line in done.stdout.splitlines() if line.startswith("program.py")]


@pytest.mark.slow
def test_a_typed_program_is_typed(tmp_path, cache):
    found = checked(tmp_path, cache, PROGRAM)
    assert [line for line in found if "error" in line] == []
    revealed = [line.partition("Revealed type is ")[2].strip('"') for line in found if "Revealed" in line]
    # Without stubs of SciPy its classes are Any; with them they have names.
    stubs = importlib.util.find_spec("scipy-stubs") is not None
    assert len(revealed) == 4
    for name, kind in zip(("csr_array", "csc_array", "coo_array", "csr_array"), revealed):
        assert name in kind if stubs else kind == "Any"


@pytest.mark.slow
def test_a_type_checker_finds_mistakes(tmp_path, cache):
    found = checked(tmp_path, cache, MISTAKES)
    lines = {int(line.split(":")[1]) for line in found if "error" in line}
    first = MISTAKES[: MISTAKES.index("cs.linear")].count("\n") + 1
    assert lines == set(range(first, first + 13)), found


def test_activations_are_those_of_the_kernels():
    assert typing.get_args(_typing.Activation) == tuple(_core.activations())


def test_strategies_are_those_of_packings():
    assert sorted(typing.get_args(_typing.Strategy)) == sorted(STRATEGIES)


def test_layouts_are_those_of_images_and_signals():
    known = (*typing.get_args(_typing.ImageLayout), *typing.get_args(_typing.SignalLayout))
    assert sorted(known) == sorted(_CHANNEL_AXES)


def test_methods_are_those_of_prune():
    for method in typing.get_args(_typing.Method):
        assert cs.prune([[1.0, 2.0]], set_size=2, method=method)[1].method == method
    with pytest.raises(ValueError, match="method"):
        cs.prune([[1.0, 2.0]], set_size=2, method="none of them")


@pytest.mark.parametrize("wrong", ["plotroofline", "from_sicpy", "rando"])
def test_misspelt_names_get_a_suggestion(wrong):
    code = f"import complsparse\ncomplsparse.{wrong}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Did you mean: '" in done.stderr


@pytest.mark.parametrize("name", [name for name in cs.__all__ if inspect.isfunction(getattr(cs, name))])
def test_public_functions_are_annotated(name):
    signature = inspect.signature(getattr(cs, name))
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())


def test_the_package_says_that_it_is_typed():
    assert (FOLDER / "complsparse" / "py.typed").is_file()
