# SPDX-License-Identifier: BSD-3-Clause
"""What convolutions and pools must be, by NumPy: patches are built, and multiplied or folded."""

from typing import NamedTuple

import numpy as np
from oracle import Csr, Expected, csr_of, draw, expected_columns


class Sliding(NamedTuple):
    """Windows over images; (rows, columns) of everything, padding as ((top, bottom), (left, right))."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))

    def out(self, image):
        """Output pixels along both axes; negative where the kernel reaches too far."""
        return tuple(
            (n + sum(pad) - (k - 1) * d - 1) // s + 1
            for n, k, s, d, pad in zip(image, self.kernel, self.stride, self.dilation, self.padding, strict=True)
        )


def patches(x, sliding, fill=0):
    """Of images (N, C, H, W): (N, C, taps, pixels)."""
    rows, cols = sliding.out(x.shape[2:])
    (kh, kw), (sh, sw), (dh, dw) = sliding.kernel, sliding.stride, sliding.dilation
    padded = np.pad(x, ((0, 0), (0, 0), *sliding.padding), constant_values=fill)
    taps = [
        padded[:, :, a * dh : a * dh + (rows - 1) * sh + 1 : sh, b * dw : b * dw + (cols - 1) * sw + 1 : sw]
        if rows > 0 and cols > 0
        else np.zeros((*x.shape[:2], 0, 0), dtype=x.dtype)
        for a in range(kh)
        for b in range(kw)
    ]
    return np.stack(taps, axis=2).reshape(*x.shape[:2], kh * kw, max(rows, 0) * max(cols, 0))


def expected_convolution(S, x, sliding, result, groups=1, bias=None, relu=False):
    """S: an `oracle.Csr` of filters (M, C / groups * taps); x (N, C, H, W). Value and bound, (N, M, rows, cols)."""
    n, channels = x.shape[:2]
    columns = patches(x, sliding)
    each, filters = channels // groups, S.shape[0] // groups
    parts = []
    for g in range(groups):
        X = columns[:, g * each : (g + 1) * each].reshape(n, S.shape[1], columns.shape[3])
        X = X.transpose(1, 0, 2).reshape(S.shape[1], n * columns.shape[3])
        first, last = S.indptr[g * filters], S.indptr[(g + 1) * filters]
        part = Csr(S.data[first:last], S.indices[first:last], S.indptr[g * filters : (g + 1) * filters + 1] - first,
                   (filters, S.shape[1]))  # fmt: skip
        offset = None if bias is None else bias[g * filters : (g + 1) * filters]
        parts.append(expected_columns(part, X, result, offset, relu))
    shape = (S.shape[0], n, *(max(size, 0) for size in sliding.out(x.shape[2:])))
    return Expected(*(np.concatenate(part).reshape(shape).transpose(1, 0, 2, 3) for part in zip(*parts, strict=True)))


def filters_csr(rng, shape, density, dtype, height=1):
    """Filters (M, C, kh, kw) as an `oracle.Csr`; `height` neighbours share their pattern."""
    m, k = shape[0], int(np.prod(shape[1:]))
    mask = (rng.random((-(-m // height), k)) < density).repeat(height, axis=0)[:m]
    return csr_of(mask, draw(rng, mask.sum(), dtype))


def gapless_csr(rng, shape, each, dtype, height=1):
    """Filters (M, C, kh, kw) of which every (channel, tap) owns `each` groups of `height` neighbours."""
    m, k = shape[0], int(np.prod(shape[1:]))
    order = rng.permuted(np.tile(np.arange(m // height), (k, 1)), axis=1)
    mask = (order < each).T.repeat(height, axis=0)
    return csr_of(mask, draw(rng, mask.sum(), dtype))


def one_of_each_window_csr(rng, shape, width, dtype, height=1):
    """Filters (M, C, kh, kw) with one entry for each tap and `width` channels."""
    m, c, kh, kw = shape
    mask = np.zeros((-(-m // height), c // width, width, kh * kw), dtype=bool)
    np.put_along_axis(mask, rng.integers(0, width, (len(mask), c // width, 1, kh * kw)), True, axis=2)
    mask = mask.reshape(len(mask), -1).repeat(height, axis=0)[:m]
    return csr_of(mask, draw(rng, mask.sum(), dtype))


def channels_last(images):
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))
