# SPDX-License-Identifier: BSD-3-Clause
"""Pools against NumPy's folding of patches, over geometries, layouts, dtypes and ISA levels."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal
from oracle import cases, draw
from sliding import Sliding, channels_last, patches
from strategies import seeds, unaligned

import complsparse as cs

every_layout = pytest.mark.parametrize("layout", ["NCHW", "NHWC"])


def ceil_padding(n, kernel, stride, dilation, pad):
    """Zeros behind that floor mode needs for the windows of ceil mode; those that meet no pixel are dropped."""
    reach = (kernel - 1) * dilation + 1
    out = -(-(n + 2 * pad - reach) // stride) + 1
    if (out - 1) * stride >= n + pad:
        out -= 1
    return max(0, (out - 1) * stride + reach - n - pad)


def expected_pool(x, sliding, kind, padded_after=None):
    """Of images (N, C, H, W). `padded_after`: rows and columns behind that count for the mean; the rest do not."""
    n, c = x.shape[:2]
    rows, cols = sliding.out(x.shape[2:])
    if kind == "max":
        lowest = -np.inf if x.dtype.kind == "f" else False if x.dtype.kind == "b" else np.iinfo(x.dtype).min
        return patches(x, sliding, lowest).max(axis=2).reshape(n, c, rows, cols)
    wide = x.astype(np.longdouble)
    counted = np.ones_like(x, dtype=np.longdouble)
    if padded_after is not None:  # everything up to there counts
        (top, _), (left, _) = sliding.padding
        after = [min(a, b) for a, b in zip(padded_after, (sliding.padding[0][1], sliding.padding[1][1]), strict=True)]
        inside = np.pad(counted, ((0, 0), (0, 0), (top, after[0]), (left, after[1])), constant_values=1)
        rest = ((0, sliding.padding[0][1] - after[0]), (0, sliding.padding[1][1] - after[1]))
        counts = patches(inside, sliding._replace(padding=rest)).sum(axis=2)
    else:
        counts = patches(counted, sliding).sum(axis=2)
    return (patches(wide, sliding).sum(axis=2) / counts).reshape(n, c, rows, cols)


@st.composite
def problems(draw_from):
    rng = np.random.default_rng(draw_from(seeds))
    kernel = tuple(int(n) for n in rng.integers(1, 5, 2))
    stride = tuple(int(n) for n in rng.integers(1, 4, 2))
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    dilation = tuple(int(n) for n in rng.choice([1, 1, 2], 2))
    shape = (draw_from(st.integers(0, 3)), int(rng.choice([1, 2, 7, 16, 17, 33])), *map(int, rng.integers(1, 50, 2)))
    x = draw(rng, shape, draw_from(st.sampled_from(["f4", "f8", "f2", "i1", "u1", "i2", "i4", "i8", "?"])))
    if x.size and x.dtype.kind == "f" and rng.random() < 0.3:
        x.ravel()[rng.integers(0, x.size, 2)] = np.nan, -np.inf
    return x, kernel, stride, padding, dilation, draw_from(st.booleans()), draw_from(st.booleans())


@cases(150)
@given(problems())
def test_pools(isa, problem):
    x, kernel, stride, padding, dilation, ceil_mode, include = problem
    for kind in ("max", "avg"):
        d = dilation if kind == "max" else (1, 1)
        after = tuple(
            ceil_padding(n, k, s, dd, p) if ceil_mode else p
            for n, k, s, dd, p in zip(x.shape[2:], kernel, stride, d, padding, strict=True)
        )
        sliding = Sliding(kernel, stride, d, tuple(zip(padding, after, strict=True)))
        floor = Sliding(kernel, stride, d, tuple(zip(padding, padding, strict=True)))
        if min(floor.out(x.shape[2:])) < 1:  # the kernel reaches beyond the image
            continue
        options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
        for layout in ("NCHW", "NHWC"):
            images = x if layout == "NCHW" else channels_last(x)
            if kind == "max":
                y = cs.max_pool2d(images, kernel, dilation=dilation, layout=layout, **options)
                found = y if layout == "NCHW" else y.transpose(0, 3, 1, 2)
                assert y.dtype == x.dtype
                with np.errstate(invalid="ignore"):
                    assert_array_equal(found, expected_pool(x, sliding, kind))
            else:
                y = cs.avg_pool2d(images, kernel, count_include_pad=include, layout=layout, **options)
                found = y if layout == "NCHW" else y.transpose(0, 3, 1, 2)
                assert y.dtype == (x.dtype if x.dtype.kind == "f" else np.float64)
                with np.errstate(invalid="ignore"):
                    wanted = expected_pool(x, sliding, kind, padding if include else None)
                    size = expected_pool(np.abs(x.astype(np.longdouble)), sliding, kind, padding if include else None)
                assert found.shape == wanted.shape
                eps = np.finfo(y.dtype).eps
                with np.errstate(invalid="ignore"):  # infinity less infinity
                    close = np.abs(found - wanted) <= (size * (kernel[0] * kernel[1] + 1) * max(eps, 2.0**-50))
                assert (close | (found == wanted) | (np.isnan(found) & np.isnan(wanted))).all()


@every_layout
def test_any_memory_order_and_out(layout):
    rng = np.random.default_rng(0)
    x = draw(rng, (2, 5, 9, 8), "f4")
    images = x if layout == "NCHW" else channels_last(x)
    wanted = cs.max_pool2d(images, 2, layout=layout)
    for given_ in (np.asfortranarray(images), unaligned(images), images.astype(">f4"),
                   np.repeat(images, 2, axis=1)[:, ::2], np.flip(np.flip(images, 1).copy(), 1)):  # fmt: skip
        assert_array_equal(cs.max_pool2d(given_, 2, layout=layout), wanted)
    for out in (np.empty_like(wanted), np.empty(wanted.shape[::-1], "f4").T,
                np.empty((*wanted.shape[:-1], 2 * wanted.shape[-1]), "f4")[..., ::2]):  # fmt: skip
        assert cs.max_pool2d(images, 2, layout=layout, out=out) is out
        assert_array_equal(out, wanted)


@pytest.mark.alone
@every_layout
def test_the_same_bits_for_every_number_of_threads(threads, layout):
    x = draw(np.random.default_rng(1), (4, 32, 64, 64), "f4")
    results = []
    for n in (1, 2, 4):
        with threads(n):
            results.append(cs.avg_pool2d(x, 3, stride=2, padding=1, layout=layout))
    assert_array_equal(results[0], results[1])
    assert_array_equal(results[0], results[2])


X = np.ones((1, 2, 6, 6), "f4")


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (ValueError, "padding 2 is more than half of the kernel's 3", lambda: cs.max_pool2d(X, 3, padding=2)),
        (ValueError, "reaches over 13 pixels; the image has 6", lambda: cs.max_pool2d(X, 13, stride=1)),
        (
            ValueError,
            "2 pixels, 2 apart, lies in the padding alone: the image has 1",
            lambda: cs.max_pool2d(X[..., :1], (1, 2), dilation=2, stride=1, padding=(0, 1)),
        ),
        (ValueError, "the image has 0, with 1 and 1", lambda: cs.avg_pool2d(X[:, :, :0], 2, padding=1)),
        (ValueError, "kernel_size=0", lambda: cs.max_pool2d(X, 0)),
        (ValueError, "4 axes", lambda: cs.avg_pool2d(X[0], 2)),
        (ValueError, "'NCL'", lambda: cs.avg_pool2d(X, 2, layout="NCL")),
        (ValueError, "out has shape", lambda: cs.max_pool2d(X, 2, out=np.empty((1, 2, 3, 2), "f4"))),
        (ValueError, "shares memory", lambda: cs.max_pool2d(X, 1, out=X)),
        (TypeError, "uint64", lambda: cs.max_pool2d(X.astype("u8"), 2)),
        (TypeError, "complex", lambda: cs.max_pool2d(X.astype(complex), 2)),
    ],
)
def test_refused(error, words, call):
    with pytest.raises(error, match=words):
        call()


def test_empty():
    assert cs.max_pool2d(X[:0], 2).shape == (0, 2, 3, 3)
    assert cs.max_pool2d(X[:, :0], 2).shape == (1, 0, 3, 3)
    assert cs.max_pool2d(X, 7, stride=1).shape == (1, 2, 0, 0)
