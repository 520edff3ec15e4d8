# SPDX-License-Identifier: BSD-3-Clause
"""Convolutions and pools against patches built in NumPy, with small integers, whose sums are exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from sliding import Sliding, patches

import complsparse as cs
from fuzz.registry import target

DTYPES = ("f4", "f4", "f8", "i8")
# fmt: off
ODD = (
    None, 0, -1, 1.5, 2**31, 2**62, "3", "full", (), (1,), (1, 2, 3), ((1, 2), (3,)), ((0, 2**31), (0, 0)), (2, -1),
    True, np.int8(2), 1j, np.array(2), np.ones(2), object(), "NCL", "NHWC",
)
# fmt: on


def _pair(rng: np.random.Generator, *values: int) -> tuple[int, int]:
    return int(rng.choice(values)), int(rng.choice(values))


def _sliding(rng: np.random.Generator) -> Sliding:
    padding = tuple((int(a), int(b)) for a, b in rng.choice([0, 0, 1, 2, 4], (2, 2)))
    return Sliding(_pair(rng, 1, 1, 2, 3, 3, 5), _pair(rng, 1, 1, 1, 2, 3), _pair(rng, 1, 1, 2, 3), padding)


def _filters(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Of a random density; runs of neighbours share their pattern, as some ways want it."""
    height = int(rng.choice([1, 1, 4, 8, 16]))
    alive = (rng.random((-(-shape[0] // height), *shape[1:])) < rng.random()).repeat(height, axis=0)[: shape[0]]
    return (rng.integers(-4, 5, shape) * alive).astype(dtype)


def _images(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return (rng.integers(-4, 5, shape) * (rng.random(shape) < rng.random())).astype(dtype)


def _convolved(weight: np.ndarray, x: np.ndarray, sliding: Sliding, groups: int, bias: np.ndarray | None) -> np.ndarray:
    """Patches of each group, multiplied with its filters."""
    windows = patches(x, sliding)
    n, channels, taps, pixels = windows.shape
    windows = windows.reshape(n, groups, channels // groups * taps, pixels)
    y = np.matmul(weight.reshape(groups, -1, windows.shape[2]), windows).reshape(
        n, len(weight), *sliding.out(x.shape[2:])
    )
    return y if bias is None else y + bias[:, None, None]


def _with_layout(rng: np.random.Generator, x: np.ndarray) -> tuple[str, np.ndarray]:
    """The same images in one of the layouts, some of them as a view."""
    if rng.random() < 0.5:
        return "NCHW", np.asfortranarray(x) if rng.random() < 0.2 else x
    last = x.transpose(0, 2, 3, 1)
    return "NHWC", np.ascontiguousarray(last) if rng.random() < 0.7 else last


@target(megabytes=256)
def convolutions(rng: np.random.Generator) -> str:
    """Dense images and winners, planned or not: what patches give, or refused where the kernel reaches too far."""
    dtype = str(rng.choice(DTYPES))
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    each = int(rng.choice([1, 2, 3, 8, 16, 17]))
    sliding = _sliding(rng)
    weight = _filters(rng, (groups * int(rng.choice([1, 3, 8, 16, 17])), each, *sliding.kernel), dtype)
    image = tuple(int(size) for size in rng.integers(1, 12, 2))
    x = _images(rng, (int(rng.integers(0, 4)), groups * each, *image), dtype)
    bias = rng.integers(-4, 5, len(weight)).astype(dtype) if rng.random() < 0.5 else None
    W = cs.from_filters(weight)
    layout, images = _with_layout(rng, x)
    windows: dict[str, Any] = {
        "stride": sliding.stride, "padding": sliding.padding, "dilation": sliding.dilation, "groups": groups,
        "bias": bias, "layout": layout,
    }  # fmt: skip
    form = str(rng.choice(["images", "winners of pixels", "winners of images"]))
    planned = rng.random() < 0.4
    expected: dict[str, Any] = {}
    if form.startswith("winners"):
        axis = (1, 2, 3) if form.endswith("images") else 1 if layout == "NCHW" else 3
        images = cs.Winners.from_dense(images, axis=axis)
        expected = {"winners": int(rng.choice([0, 1, 3, 10**6])), "axis": axis}
    try:
        y = W.plan_conv2d(images.shape, **windows, **expected)(images) if planned else cs.conv2d(images, W, **windows)
    except ValueError:
        assert min(sliding.out(image)) < 0, "windows that fit were refused"
        return "refused"
    assert min(sliding.out(image)) >= 0, "a kernel that reaches beyond the padded image was not refused"
    wanted = _convolved(weight, x, sliding, groups, bias)
    found = y if layout == "NCHW" else y.transpose(0, 3, 1, 2)
    form += ", planned" if planned else ""
    assert found.dtype == wanted.dtype
    assert np.array_equal(found, wanted), f"{form}, {layout}: {np.count_nonzero(found != wanted)} values differ"
    return form


@target(megabytes=128)
def pools(rng: np.random.Generator) -> str:
    """The largest, and means, under windows of any geometry."""
    dtype = str(rng.choice(["f4", "f8", "i1", "u1", "i4"]))
    sliding = _sliding(rng)
    x = rng.integers(0, 100, (int(rng.integers(0, 3)), int(rng.choice([1, 3, 16])), *rng.integers(1, 12, 2)))
    x = x.astype(dtype)
    layout, images = _with_layout(rng, x)
    mean = rng.random() < 0.5
    if mean:
        sliding = sliding._replace(dilation=(1, 1))
    if rng.random() < 0.8:
        few = [tuple(min(p, k // 2) for p in pad) for pad, k in zip(sliding.padding, sliding.kernel, strict=True)]
        sliding = sliding._replace(padding=tuple(few))
    windows: dict[str, Any] = {"stride": sliding.stride, "padding": sliding.padding, "layout": layout}
    largest_padding = max(2 * max(pad) - k for pad, k in zip(sliding.padding, sliding.kernel, strict=True))
    fits = min(sliding.out(x.shape[2:])) >= 0 and largest_padding <= 0
    if fits:  # no window may lie in padding alone
        meeting = patches(np.zeros((1, 1, *x.shape[2:])), sliding, fill=-np.inf).max(axis=2, initial=-np.inf)
        fits = bool(np.isfinite(meeting).all())
    try:
        if mean:
            y = cs.avg_pool2d(images, sliding.kernel, **windows)
        else:
            y = cs.max_pool2d(images, sliding.kernel, dilation=sliding.dilation, **windows)
    except ValueError:
        assert not fits, "windows that fit were refused"
        return "refused"
    assert fits, "windows that do not fit were not refused"
    found = y if layout == "NCHW" else y.transpose(0, 3, 1, 2)
    wide = x.astype("f8")
    under = patches(wide, sliding) if mean else patches(wide, sliding, fill=-np.inf)
    expected = (under.mean(axis=2) if mean else under.max(axis=2)).reshape(found.shape)
    assert np.allclose(found, expected, rtol=1e-6, atol=0), f"{'means' if mean else 'the largest'} differ, {layout}"
    return "means" if mean else "largest"


@target(megabytes=256)
def windows_of_all_kinds(rng: np.random.Generator) -> str:
    """One option of convolutions and pools is anything at all: an answer, or words."""
    odd = ODD[int(rng.integers(len(ODD)))]
    x = np.ones((1, 2, 5, 5), dtype="f4")
    W = cs.from_filters(np.ones((2, 2, 3, 3), dtype="f4"))
    name = str(rng.choice(["kernel_size", "stride", "padding", "dilation", "groups", "bias", "layout", "out", "dtype"]))
    calls = (
        lambda: cs.conv2d(x, W, **{name: odd}),
        lambda: cs.conv1d(x[0], W, **{name: odd}),
        lambda: W.plan_conv2d(x.shape, **({name: odd} if name != "out" else {})),
        lambda: cs.max_pool2d(x, **{"kernel_size": 2, name: odd}),
        lambda: cs.from_filters(x, order=odd),
        lambda: cs.conv2d(odd, W),
        lambda: W.plan_conv2d(odd),
    )
    which = int(rng.integers(len(calls)))
    if which == 3 and name in ("groups", "bias", "dtype"):
        name = "ceil_mode"
    try:
        calls[which]()
    except (ValueError, TypeError):
        return "refused"
    return "answered"
