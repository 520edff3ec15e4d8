# SPDX-License-Identifier: BSD-3-Clause
"""Filters of 8-bit numbers, and what convolutions with them must be: sums in int64."""

import numpy as np

import complsparse as cs


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
