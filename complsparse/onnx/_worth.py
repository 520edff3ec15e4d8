# SPDX-License-Identifier: BSD-3-Clause
"""Whether a sparse convolution gains more inside ONNX Runtime than what is done for it around it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from complsparse import _core
from complsparse._matrix.matrix import ComplementaryMatrix

# In cycles, of the three networks of MediaPipe on AVX-512, layer by layer (ONNX Runtime 1.32, one thread).
_DENSE_EACH = 1.9  # multiplications of each lane of a vector, of dense convolutions in ONNX Runtime's layout
_MOVED = 0.35  # for each entry of what goes in and comes out: its conversion from that layout and back
_CALL = 20000.0  # of a node of ours beyond that of one of theirs, with caches that others have used between

_LANES = {"avx512": 16, "amx": 16, "avx": 8}  # of float32, by how the name of the level begins; others have 4
_UNKNOWN = 32  # pixels along an axis of images whose sizes the model does not say


def is_worthwhile(filters: Any, geometry: dict[str, Any], image: Sequence[int | None]) -> bool:
    """Of filters in CSR, with the attributes of SparseConv, on images (channels first) of this size."""
    size = [_UNKNOWN if n is None else n for n in image[2:]]
    kernel, stride, dilation, pads = (geometry[name] for name in ("kernel_shape", "strides", "dilations", "pads"))
    axes = len(kernel)
    if not len(size) == len(stride) == len(dilation) == axes or len(pads) != 2 * axes:
        return False
    wide = [n + pads[i] + pads[axes + i] - ((kernel[i] - 1) * dilation[i] + 1) for i, n in enumerate(size)]
    if min(wide, default=-1) < 0 or min(*stride, *dilation, *kernel, *size) < 1 or min(pads) < 0:
        return False  # whoever runs it says what is wrong
    out = [n // stride[i] + 1 for i, n in enumerate(wide)]
    flat = [1] * (2 - axes)  # signals are images of one row
    sliding: Any = [(*flat, *some) for some in (kernel, stride, dilation)]
    sliding += [(*[0] * (2 - axes), *pads[:axes]), (*flat, *out)]
    rows, channels = filters.shape[0], filters.shape[1] // math.prod(kernel)
    images: Any = (channels, *flat, *size)
    packed = ComplementaryMatrix(filters)
    ours: float = _core.conv_candidates(packed, np.dtype(np.float32), images, tuple(sliding), False)[0]["cost"]
    moved = channels * math.prod(size) + rows * math.prod(out)
    return bool(ours + _CALL + _MOVED * moved < _dense(rows, channels, math.prod(kernel) * math.prod(out)))


def _dense(rows: int, channels: int, places: int) -> float:
    """Of a convolution whose channels lie in vectors, the last of which is filled up."""
    level = next(level["name"] for level in _core.isa_levels() if level["selected"])
    lanes = next((n for name, n in _LANES.items() if level.startswith(name)), 4)
    return math.ceil(rows / lanes) * math.ceil(channels / lanes) * lanes * places / _DENSE_EACH
