# SPDX-License-Identifier: BSD-3-Clause
"""How far the values of a network reach, seen in samples of its input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from complsparse.nn._compiled import Compiled
from complsparse.nn._elementwise import dense

_KEYS = 2**16


class Range(Protocol):
    """Of all values that were seen."""

    def see(self, values: NDArray[np.float32]) -> None: ...
    def ends(self) -> tuple[float, float]: ...


class Extremes:
    def __init__(self) -> None:
        self._low, self._high = np.inf, -np.inf

    def see(self, values: NDArray[np.float32]) -> None:
        self._low = min(self._low, float(values.min(initial=np.inf)))
        self._high = max(self._high, float(values.max(initial=-np.inf)))

    def ends(self) -> tuple[float, float]:
        return self._low, self._high


class Percentiles:
    """What all but ``100 - share`` percent of the values reach, on either side, to within one part in 128: values are
    counted by the upper half of their bits, so that nothing of them has to be kept."""

    def __init__(self, share: float) -> None:
        self._share, self._extremes = share, Extremes()
        self._counts = np.zeros(_KEYS, dtype=np.int64)

    def see(self, values: NDArray[np.float32]) -> None:
        self._extremes.see(values)
        self._counts += np.bincount(_keys(values.ravel()), minlength=_KEYS)

    def ends(self) -> tuple[float, float]:
        below = np.cumsum(self._counts)
        left_out = (100 - self._share) / 100 * below[-1]
        low, high = self._extremes.ends()
        first = int(np.searchsorted(below, left_out, side="right"))
        last = int(np.searchsorted(below, below[-1] - left_out, side="left"))
        return min(max(_edge(first), low), high), min(max(_edge(last), low), high)


def _keys(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """In the order of the values."""
    upper = values.view(np.uint32) >> 16
    return np.where(upper & 0x8000, 0xFFFF - upper, upper | 0x8000)


def _edge(key: int) -> float:
    """Of the values with this key, that which is farthest from zero."""
    upper = key & 0x7FFF if key & 0x8000 else 0xFFFF - key
    return float(np.array([upper << 16 | 0xFFFF], dtype=np.uint32).view(np.float32)[0])


def batches_of(calibration: Any, inputs: int) -> Iterator[tuple[Any, ...]]:
    """The inputs of each call."""
    given: Iterable[Any] = [calibration] if isinstance(calibration, np.ndarray) else calibration
    try:
        iterator = iter(given)
    except TypeError:
        raise TypeError(
            f"calibration is an array of samples, or an iterable of such, not {type(calibration).__name__}"
        ) from None
    for batch in iterator:
        xs = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
        if len(xs) != inputs:
            raise ValueError(f"a batch of the calibration has {len(xs)} arrays; the network has {inputs} inputs")
        yield xs


def observe(net: Compiled, calibration: Any, ranges: dict[int, Range], where: dict[int, int]) -> None:
    """Shows every value of the network that has one to its range: `where` maps values to keys of `ranges`."""
    inputs = sum(node.layer is None for node in net._nodes)
    samples = 0
    for xs in batches_of(calibration, inputs):
        values = net._values(*xs)
        samples += len(xs[0])
        for number, key in where.items():
            seen = np.ascontiguousarray(dense(values[number]), dtype=np.float32)
            if not np.isfinite(seen).all():
                raise ValueError(
                    f"the calibration leads to values that are not finite behind {net._nodes[number].name!r}"
                )
            ranges[key].see(seen)
    if samples == 0:
        raise ValueError("the calibration has no samples: there are no ranges without them")
