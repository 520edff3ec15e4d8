# SPDX-License-Identifier: BSD-3-Clause
"""What a sparse convolution gains inside ONNX Runtime, and what is done for it around it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from complsparse import _core
from complsparse._matrix.matrix import ComplementaryMatrix

# In cycles, of the three networks of MediaPipe on AVX-512, layer by layer (ONNX Runtime 1.32, one thread).
_DENSE_EACH = 1.9  # multiplications of each lane of a vector, of dense convolutions in ONNX Runtime's layout
_MOVED = 0.35  # for each entry of what goes in and comes out: its conversion from that layout and back
CALL = 20000.0  # of a node of ours beyond that of one of theirs, with caches that others have used between

_LANES = {"avx512": 16, "amx": 16, "avx": 8}  # of float32, by how the name of the level begins; others have 4
_UNKNOWN = 32  # pixels along an axis of images whose sizes the model does not say


class Gain(NamedTuple):
    """Cycles, without conversions; and what those of the images before and behind it cost."""

    gained: float
    before: float = 0.0
    behind: float = 0.0


def gain(filters: Any, geometry: dict[str, Any], image: Sequence[int | None] | None) -> Gain:
    """Of filters in CSR, with the attributes of SparseConv, on images (channels first) of this size."""
    kernel, stride, dilation, pads = (geometry[name] for name in ("kernel_shape", "strides", "dilations", "pads"))
    axes = len(kernel)
    size = [_UNKNOWN if n is None else n for n in (image or [None] * (2 + axes))[2:]]
    if not len(size) == len(stride) == len(dilation) == axes or len(pads) != 2 * axes:
        return _NONE
    wide = [n + pads[i] + pads[axes + i] - ((kernel[i] - 1) * dilation[i] + 1) for i, n in enumerate(size)]
    if min(wide, default=-1) < 0 or min(*stride, *dilation, *kernel, *size) < 1 or min(pads) < 0:
        return _NONE  # whoever runs it says what is wrong
    out = [n // stride[i] + 1 for i, n in enumerate(wide)]
    flat = [1] * (2 - axes)  # signals are images of one row
    sliding: Any = [(*flat, *some) for some in (kernel, stride, dilation)]
    sliding += [(*[0] * (2 - axes), *pads[:axes]), (*flat, *out)]
    rows, channels = filters.shape[0], filters.shape[1] // math.prod(kernel)
    images: Any = (channels, *flat, *size)
    packed = ComplementaryMatrix(filters)
    ours: float = _core.conv_candidates(packed, np.dtype(np.float32), images, tuple(sliding), False)[0]["cost"]
    gained = _dense(rows, channels, math.prod(kernel) * math.prod(out)) - ours - CALL
    return Gain(gained, _MOVED * channels * math.prod(size), _MOVED * rows * math.prod(out))


_NONE = Gain(-math.inf)


def _dense(rows: int, channels: int, places: int) -> float:
    """Of a convolution whose channels lie in vectors, the last of which is filled up."""
    level = next(level["name"] for level in _core.isa_levels() if level["selected"])
    lanes = next((n for name, n in _LANES.items() if level.startswith(name)), 4)
    return math.ceil(rows / lanes) * math.ceil(channels / lanes) * lanes * places / _DENSE_EACH
