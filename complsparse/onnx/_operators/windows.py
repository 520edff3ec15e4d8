# SPDX-License-Identifier: BSD-3-Clause
"""Where the windows of convolutions and pools lie, for any number of spatial axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from complsparse.onnx._nodes import Op
from complsparse.onnx._tensors import MOST_DENSE


class Windows(NamedTuple):
    """Along each spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    out: tuple[int, ...]

    @property
    def spans(self) -> tuple[int, ...]:
        """From a window's first entry to its last."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def of(self, x: NDArray[Any], fill: Any) -> NDArray[Any]:
        """A view of x (N, C, spatial...) as (N, C, out..., kernel...), with `fill` around it."""
        spatial = x.shape[2:]
        reach = [(o - 1) * s + span for o, s, span in zip(self.out, self.strides, self.spans, strict=True)]
        around = [(a, max(b, r - n - a)) for (a, b), n, r in zip(self.pads, spatial, reach, strict=True)]
        if any(a or b for a, b in around):
            x = np.pad(x, [(0, 0), (0, 0), *around], constant_values=fill)
        axes = tuple(range(2, x.ndim))
        view = np.lib.stride_tricks.sliding_window_view(x, self.spans, axis=axes)
        every = tuple(slice(0, (o - 1) * s + 1, s) for o, s in zip(self.out, self.strides, strict=True))
        taps = tuple(slice(None, None, d) for d in self.dilations)
        return view[(slice(None), slice(None), *every, *taps)]

    def taps(self) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """Each tap of the kernel, and which entries of the padded input it meets."""
        for tap in itertools.product(*map(range, self.kernel)):
            yield (
                tap,
                tuple(
                    slice(t * d, t * d + (o - 1) * s + 1, s)
                    for t, d, o, s in zip(tap, self.dilations, self.out, self.strides, strict=True)
                ),
            )


def windows(op: Op, spatial: tuple[int, ...], kernel: tuple[int, ...] | None, pool: bool = False) -> Windows:
    """Of a node that reads images of this size. ValueError where an attribute is out of range."""
    given = op.ints("kernel_shape", kernel)
    if given is None or len(given) != len(spatial) or (kernel is not None and given != kernel):
        filters = "" if kernel is None else f" and filters of {kernel}"
        raise op.refuse(f"kernel_shape {given} for images of size {spatial}{filters}")
    n = len(spatial)
    strides, dilations = op.ints("strides", (1,) * n), op.ints("dilations", (1,) * n)
    for name, values in (("strides", strides), ("dilations", dilations), ("kernel_shape", given)):
        if len(values) != n or not all(0 < v < 2**31 for v in values):
            raise op.refuse(f"{name} {values} for {n} spatial axes")
    spans = tuple((k - 1) * d + 1 for k, d in zip(given, dilations, strict=True))
    ceil = bool(pool and op.int("ceil_mode", 0))
    how = op.str("auto_pad", "NOTSET", ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    pads = _pads(op, how, spatial, spans, strides)
    out = []
    for size, span, stride, (before, behind) in zip(spatial, spans, strides, pads, strict=True):
        room = size + before + behind - span
        if room < 0:
            raise op.refuse(f"windows of {span} in images of size {spatial} with pads {pads}")
        steps = -(-room // stride) if ceil else room // stride
        if ceil and steps * stride >= size + before:  # a window that would lie in the padding behind alone
            steps -= 1
        out.append(steps + 1)
    if math.prod(out) > MOST_DENSE:
        raise op.refuse(f"{out} windows")
    return Windows(tuple(given), strides, dilations, pads, tuple(out))


def _pads(op: Op, how: str, spatial: Any, spans: Any, strides: Any) -> tuple[tuple[int, int], ...]:
    n = len(spatial)
    if how == "NOTSET":
        flat = op.ints("pads", (0,) * (2 * n))
        if len(flat) != 2 * n or not all(0 <= p < 2**31 for p in flat):
            raise op.refuse(f"pads {flat} for {n} spatial axes")
        return tuple(zip(flat[:n], flat[n:], strict=True))
    if how == "VALID":
        return ((0, 0),) * n
    pads = []
    for size, span, stride in zip(spatial, spans, strides, strict=True):
        both = max(0, (-(-size // stride) - 1) * stride + span - size)
        less, more = both // 2, both - both // 2
        pads.append((less, more) if how == "SAME_UPPER" else (more, less))
    return tuple(pads)


def padding_of(op: Op, n: int) -> Any:
    """As layers take it; None where they do not."""
    how = op.str("auto_pad", "NOTSET", ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    if how == "SAME_LOWER":
        return None
    if how != "NOTSET":
        return "same" if how == "SAME_UPPER" else "valid"
    flat = op.ints("pads", (0,) * (2 * n))
    if len(flat) != 2 * n or not all(0 <= p < 2**31 for p in flat):
        raise op.refuse(f"pads {flat} for {n} spatial axes")
    return tuple(zip(flat[:n], flat[n:], strict=True))
