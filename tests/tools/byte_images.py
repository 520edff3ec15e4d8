# SPDX-License-Identifier: BSD-3-Clause
"""Filters of 8-bit numbers, and what convolutions with them must be: sums in int64."""

import hypothesis.strategies as st
import numpy as np
from numpy.testing import assert_array_equal

import complsparse as cs
from complsparse._quantized.requantize import factors

DTYPES = (np.uint8, np.int8)


def units_of_filters(rng, shape, height, density):
    """Filters (M, C, kh, kw) whose entries are `height` filters and four channels of a tap, but for the edges."""
    outs, ins, *kernel = shape
    mask = rng.random((-(-outs // height), -(-ins // 4), *kernel)) < density
    mask = np.repeat(np.repeat(mask, height, axis=0), 4, axis=1)[:outs, :ins]
    return np.where(mask, rng.choice([-128, 127, 1, -1, 50], shape), 0).astype(np.int8)


def exact_convolution(x, filters, stride, padding, dilation, pad):
    """In int64; x (N, C, H, W)."""
    x = np.pad(x.astype(np.int64), ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2), constant_values=pad)
    kernel = filters.shape[2:]
    out = [(size - dilation * (k - 1) - 1) // stride + 1 for size, k in zip(x.shape[2:], kernel, strict=True)]
    y = np.zeros((len(x), len(filters), *out), dtype=np.int64)
    for a, b in np.ndindex(*kernel):
        rows, cols = (slice(t * dilation, t * dilation + stride * (n - 1) + 1, stride) for t, n in zip((a, b), out))
        y += np.einsum("nchw,mc->nmhw", x[:, :, rows, cols], filters[:, :, a, b].astype(np.int64))
    return y


def filters_with_scale(F, scale=None):
    if scale is None:
        scale = np.linspace(0.5, 2, len(F)).astype(np.float32) / 127
    return cs._matrix._restore({**cs.from_filters(F)._state(), "scale": scale})


def activations(rng, shape, dtype):
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    return np.where(rng.random(shape) < 0.2, rng.choice([info.min, info.max], shape), x).astype(dtype)


def as_layout(x, layout):
    return x if layout == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def as_nchw(y, layout):
    return y if layout == "NCHW" else y.transpose(0, 3, 1, 2)


def requantized(sums, multipliers, shifts, zero_point, dtype):
    """Products of 24 and 31 bits, rounded half to even, in int64; sums (N, M, H, W)."""
    multipliers, shifts = (np.asarray(of)[:, None, None].astype(np.int64) for of in (multipliers, shifts))
    scaled = sums * multipliers
    low, half = scaled & ((1 << shifts) - 1), 1 << (shifts - 1)
    ones = scaled >> shifts
    ones += (low > half) | ((low == half) & (ones % 2 == 1))
    info = np.iinfo(dtype)
    return np.clip(ones + zero_point, info.min, info.max)


@st.composite
def problems(draw, heights, largest):
    """A generator, filters whose units are some of these heights, images up to so many pixels, and the geometry."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    dilation, padding = draw(st.integers(1, 2)), draw(st.integers(0, 3))
    reach = dilation * (kernel - 1) + 1
    size = [draw(st.integers(max(1, reach - 2 * padding), largest)) for _ in range(2)]
    filters, channels = draw(st.integers(1, 70)), draw(st.integers(1, 40))
    height, density = draw(st.sampled_from(heights)), draw(st.sampled_from([0, 0.06, 0.3, 1]))
    F = units_of_filters(rng, (filters, channels, kernel, kernel), height, density)
    x = activations(rng, (draw(st.integers(1, 3)), channels, *size), draw(st.sampled_from(DTYPES)))
    return rng, F, x, {"stride": stride, "padding": padding, "dilation": dilation}


def check_outputs(rng, F, x, out_dtype, scale=None, out_scale=1.0, layout="NCHW", activation=None, **geometry):
    """Any zero points and bias; outputs that have memory of their own, those that end where other numbers begin, and
    those with other numbers between them."""
    W = filters_with_scale(F, scale)
    zero_point, out_zero_point = int(activations(rng, (), x.dtype)), int(rng.integers(0, 100))
    steps = W.scale.astype(np.float64)
    bias = rng.uniform(-2000, 2000, len(F)) * steps
    sums = exact_convolution(
        x, F, geometry.get("stride", 1), geometry.get("padding", 0), geometry.get("dilation", 1), zero_point
    )
    sums -= zero_point * F.astype(np.int64).sum((1, 2, 3))[:, None, None]
    sums += np.rint(bias / steps).astype(np.int64)[:, None, None]
    wanted = requantized(sums, *factors(steps / out_scale), out_zero_point, out_dtype)
    if activation == "relu":
        wanted = np.maximum(wanted, out_zero_point)
    how = {"x_scale": 1.0, "x_zero_point": zero_point, "bias": bias, "out_scale": out_scale}
    how |= {"out_zero_point": out_zero_point, "out_dtype": out_dtype, "layout": layout, "activation": activation}
    how |= geometry
    y = cs.qconv2d(as_layout(x, layout), W, **how)
    assert_array_equal(as_nchw(y, layout), wanted)
    room = np.full(y.size + 130, 7, out_dtype)
    cs.qconv2d(as_layout(x, layout), W, out=room[65:-65].reshape(y.shape), **how)
    assert_array_equal(as_nchw(room[65:-65].reshape(y.shape), layout), wanted)
    assert (room[:65] == 7).all()
    assert (room[-65:] == 7).all()
    room = np.full((*y.shape[:-1], 2 * y.shape[-1]), 7, out_dtype)
    cs.qconv2d(as_layout(x, layout), W, out=room[..., ::2], **how)
    assert_array_equal(as_nchw(room[..., ::2], layout), wanted)
    assert (room[..., 1::2] == 7).all()
