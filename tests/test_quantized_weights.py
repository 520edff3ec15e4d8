# SPDX-License-Identifier: BSD-3-Clause
"""Real pruned weights in 8 bits: what they lose, in the table of docs/guide/quantization.md, and bounds of products."""

import pathlib
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from quantized import linear_sums
from test_data import files, read_lyra

import complsparse as cs

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "guide" / "quantization.md"


def vocoder(folder):
    """The pruned layers."""
    for path in files(folder / "lyra_wavegru" / "raw", "*_weights.raw.gz"):
        dense, _ = read_lyra(path)
        if np.count_nonzero(dense) < 0.1 * dense.size:
            yield path.name.removeprefix("lyra_16khz_").removesuffix("_weights.raw.gz"), dense


def filters(folder, network):
    """A row for each output channel, which of depthwise filters is the last axis."""
    path = folder / "mediapipe_sparse" / f"{network}_decoded.npz"
    if not path.exists():
        pytest.skip(f"not run: {path} is absent")
    with np.load(path) as tensors:
        for name in tensors.files:
            tensor = tensors[name].astype(np.float32)
            if len(tensor) == 1 and tensor.ndim == 4:
                tensor = np.moveaxis(tensor, -1, 0)
            yield name, tensor.reshape(len(tensor), -1)


def decibels(signal, found):
    return 10 * np.log10(np.sum(signal**2) / np.sum((signal - found) ** 2))


def measured(dense, rng):
    """Signal-to-noise ratios: of weights with a scale for each row, with one scale, of a product. Checks the bounds."""
    D = dense.astype(np.float64)
    Wq = cs.quantize(cs.from_dense(dense))
    integers, scale = Wq.toarray().astype(np.float64), Wq.scale.astype(np.float64)[:, None]
    of_weight = 0.5 * scale * (1 + 1e-6) + 1e-6 * np.abs(D)
    of_weight[D == 0] = 0
    assert (np.abs(integers * scale - D) <= of_weight).all()
    one = np.abs(D).max() / 127
    x = rng.standard_normal((16, D.shape[1]))
    xq, x_scale, zero_point = cs.quantize_activations(x)
    y = cs.qlinear(xq, Wq, x_scale=x_scale, x_zero_point=zero_point)
    assert_array_equal(y, (linear_sums(xq, Wq, zero_point) * (x_scale * scale.T)).astype(np.float32))
    # |x W - x' W'| <= |x| |W - W'| + |x - x'| |W'|, and a rounding to float32.
    of_activation = np.full(D.shape[1], 0.5 * x_scale * (1 + 1e-6))
    bound = np.abs(x) @ of_weight.T + of_activation @ np.abs(integers * scale).T
    exact = x @ D.T
    assert (np.abs(y - exact) <= bound + 1e-6 * np.abs(y)).all()
    return decibels(D, integers * scale), decibels(D, np.rint(D / one) * one), decibels(exact, y)


def table():
    """By name, the numbers of each row of the page."""
    rows = re.findall(r"^\| ([\w, ]+) \| (\d+\.\d) \| (\d+\.\d) \| (\d+\.\d) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: tuple(map(float, numbers)) for name, *numbers in rows}


def test_a_speech_vocoder(data_folder):
    rng = np.random.default_rng(0)
    found = {f"Lyra {name}": measured(dense, rng) for name, dense in vocoder(data_folder)}
    assert len(found) == 11
    for name, numbers in found.items():
        assert table()[name] == pytest.approx(numbers, abs=0.06), name


@pytest.mark.parametrize(
    ("network", "title", "count"),
    [
        ("hand_landmark_sparse", "MediaPipe hand landmarks", 37),
        ("face_detection_full_range_sparse", "MediaPipe face detection", 46),
    ],
)
def test_pruned_convolutions(data_folder, network, title, count):
    rng = np.random.default_rng(0)
    found = np.array([measured(dense, rng) for _, dense in filters(data_folder, network)])
    assert len(found) == count
    for what, numbers in (("median", np.median(found, axis=0)), ("least", found.min(axis=0))):
        assert table()[f"{title}, {what} of {count}"] == pytest.approx(tuple(numbers), abs=0.06), what
