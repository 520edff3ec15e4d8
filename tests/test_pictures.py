# SPDX-License-Identifier: BSD-3-Clause
"""Pictures: what they show is counted, not looked at."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
import scipy.sparse
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

import complsparse as cs
from complsparse._cli import examples
from complsparse._pictures import packing, roofline

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def squares(axes):
    """The numbers of squares that were drawn, by layer and colour: cells of rows, of others, of sets."""
    return [len(c.get_paths()) for c in axes.collections if isinstance(c, PolyCollection)]


def words(axes):
    return [text.get_text() for text in axes.texts]


# --- packings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["strict", "split"])
def test_plot_shows_every_entry_twice(strategy):
    A = scipy.sparse.random_array((12, 20), density=0.2, rng=np.random.default_rng(3))
    W = cs.from_scipy(A, strategy=strategy)
    axes = W.plot()
    rows, sets, entries, others, slots = squares(axes)
    assert (rows, sets) == (12 * 20, W.n_sets * 20)
    assert (entries, others, slots) == (W.nnz, 0, W.nnz)
    numbers = sorted(int(word) for word in words(axes) if word.isdecimal())
    assert numbers == sorted(W.kernel_ids[W.kernel_ids != cs.no_kernel].tolist())
    assert f"{W.nnz} non-zeros of 12 rows" in words(axes)[-5]
    assert f"{100 * W.packing_efficiency:.0f}% full" in words(axes)[-5]
    assert W.T.plot().get_xlim() == axes.get_xlim()  # the packing is one


def test_plot_of_a_large_matrix_tells_others_slots_from_empty_ones():
    rows = np.random.default_rng(1).permutation(128)
    W = cs.from_scipy(cs.random((128, 128), set_size=16, rng=0).tocsr()[rows])
    axes = W.plot()
    _, _, entries, others, slots = squares(axes)
    sets = sorted({int(word.removeprefix("set ")) for word in words(axes) if re.fullmatch(r"set \d+", word)})
    assert entries == slots == W.tocsr()[:64, :64].nnz
    assert slots + others == np.count_nonzero(W.kernel_ids[sets, :64] != cs.no_kernel)
    assert others > 0
    assert any("not shown" in word for word in words(axes))


def test_plot_draws_where_it_is_told():
    W = cs.random((16, 16), set_size=4, rng=0)
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots(1, 2)
    assert W.plot(ax=axes[1]) is axes[1]
    assert squares(axes[0]) == []
    assert len(squares(axes[1])) == 5
    sizes = [text.get_size() for text in axes[1].texts]
    assert max(sizes) < 10  # scaled with the axes
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes, not Figure"):
        W.plot(figure)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (3, 4)])
def test_picture_of_nothing(tmp_path, shape):
    packing.save(cs.ComplementaryMatrix(shape), str(tmp_path / "empty.png"))
    assert squares(cs.ComplementaryMatrix(shape).plot())[2] == 0


@pytest.mark.parametrize("strategy", ["strict", "split"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (100, 100)])
def test_picture_of_any_size(tmp_path, shape, strategy):
    matrix = scipy.sparse.random_array(shape, density=0.3, rng=np.random.default_rng(0))
    path = tmp_path / "picture.svg"
    packing.save(cs.from_scipy(matrix, strategy=strategy), str(path))
    assert "<svg" in path.read_text()


def test_the_example_picture_shows_full_sets():
    W = examples.packed_picture()
    assert W.strategy == "strict"
    assert W.packing_efficiency > 0.9


# --- rooflines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_roofline_places_a_point_for_each_batch(dtype, monkeypatch):
    monkeypatch.setattr(roofline, "SECONDS", 1e-4)
    monkeypatch.setattr(roofline, "FROM_MEMORY", 2**16)
    W = cs.random((48, 96), set_size=16, dtype=dtype, rng=0)
    axes = cs.plot_roofline(W, [1, 4])
    (points,) = [line for line in axes.lines if line.get_marker() == "o"]
    moved = W.nnz * (W.dtype.itemsize + 4) + 4 * 49
    expected = [2 * W.nnz * n / (moved + (48 + 96) * n * W.dtype.itemsize) for n in (1, 4)]
    np.testing.assert_allclose(points.get_xdata(), expected)
    assert (np.asarray(points.get_ydata()) > 0).all()
    assert [text.get_text() for text in axes.texts][1:] == ["N = 1", "N = 4"]
    # Each slope ends where it meets the ceiling.
    ceiling, *slopes = (line for line in axes.lines if line is not points)
    for line in slopes:
        (x0, x1), (y0, y1) = line.get_data()
        assert y1 == pytest.approx(ceiling.get_ydata()[0])
        assert y0 / x0 == pytest.approx(y1 / x1)
    (point,) = [line for line in cs.plot_roofline(W, 4).lines if line.get_marker() == "o"]
    np.testing.assert_allclose(point.get_xdata(), expected[1:])
    other = Figure().add_subplot()
    assert cs.plot_roofline(W, [1], ax=other) is other


@pytest.mark.parametrize(
    ("W", "batches", "error", "text"),
    [
        (np.eye(3), [1], TypeError, "a ComplementaryMatrix, not ndarray"),
        (cs.from_dense(np.eye(3, dtype=np.int8)), [1], TypeError, "int8"),
        (cs.ComplementaryMatrix((3, 4)), [1], ValueError, r"\(3, 4\) without entries"),
        (cs.from_dense(np.eye(3)), [], ValueError, r"batches=\[\]"),
        (cs.from_dense(np.eye(3)), [4, 0], ValueError, r"batches=\[4, 0\]"),
        (cs.from_dense(np.eye(3)), [1.5], TypeError, "float"),
        (cs.from_dense(np.eye(3)), "16", TypeError, "str"),
    ],
)
def test_roofline_of_what_cannot_be_drawn(W, batches, error, text):
    with pytest.raises(error, match=text):
        cs.plot_roofline(W, batches)


# --- without Matplotlib -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["W.plot()", "cs.plot_roofline(W)"])
def test_matplotlib_is_named_where_it_is_missing(call, monkeypatch):
    W = cs.from_dense(np.eye(3))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs matplotlib: pip install 'complsparse\[plot\]'"):
        eval(call, {"W": W, "cs": cs})


def test_importing_the_package_imports_no_matplotlib():
    code = "import complsparse, sys; assert 'matplotlib' not in sys.modules; complsparse.plot_roofline; "
    subprocess.run([sys.executable, "-c", code + "assert 'matplotlib' not in sys.modules"], check=True)


# --- notebooks --------------------------------------------------------------------------------------------------------


def picture_of(W):
    """The cells of each line, and the caption, of what a notebook shows."""
    figure = re.search(r"<figure.*</figure>", W._repr_html_(), re.DOTALL)[0]
    root = ET.fromstring(figure)
    svg = root.find("svg")
    cells = [rect for rect in svg.findall("rect") if rect.get("x") is not None]
    lines = np.zeros(int(svg.get("height")) // 9, dtype=int)
    for rect in cells:
        lines[int(rect.get("y")) // 9] += 1
    return lines, root.find("figcaption").text


def test_the_notebook_picture_tells_full_from_half_full():
    full = cs.random((256, 256), set_size=16, rng=0)
    lines, caption = picture_of(full)
    assert (lines == 64).all()
    assert "100% of all slots are full" in caption
    rng = np.random.default_rng(0)
    loose = cs.from_scipy(scipy.sparse.random_array((256, 256), density=1 / 16, rng=rng), strategy="split")
    lines, caption = picture_of(loose)
    assert f"{100 * loose.packing_efficiency:.0f}% of all slots are full" in caption
    assert f"16 of {loose.n_sets} sets" in caption
    assert "64 of 256 columns" in caption
    assert lines[0] == 64  # a split packing has its full sets first
    assert lines.sum() / (64 * 16) == pytest.approx(loose.packing_efficiency, abs=0.08)


def test_the_notebook_picture_of_a_small_matrix_is_all_of_it():
    W = cs.from_dense(np.eye(5))
    lines, caption = picture_of(W)
    assert lines.tolist() == [5]
    assert "Shown: the set, one a line; all 5 columns." in caption


def test_the_notebook_shows_no_picture_of_nothing():
    assert "<svg" not in cs.ComplementaryMatrix((3, 4))._repr_html_()
