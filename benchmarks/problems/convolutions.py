# SPDX-License-Identifier: BSD-3-Clause
"""Convolutions: layers of known sizes, and the patterns of their filters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TAPS = "taps"  # one entry for each filter, tap and group of channels


@dataclass(frozen=True)
class Layer:
    """Filters over images (batch, channels, size, size), padded so that stride 1 keeps the size unless `valid`."""

    channels: int
    filters: int
    size: int
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    valid: bool = False
    batch: int = 1
    groups: int = 1

    @property
    def padding(self) -> int:
        return 0 if self.valid else self.dilation * (self.kernel - 1) // 2

    @property
    def name(self) -> str:
        more = "".join(
            f" {word} {value}"
            for word, value, usual in (
                ("stride", self.stride, 1),
                ("dilation", self.dilation, 1),
                ("batch", self.batch, 1),
                ("groups", self.groups, 1),
            )
            if value != usual
        )
        return f"{self.kernel}x{self.kernel} {self.channels}->{self.filters} {self.size}x{self.size}{more}"

    def image(self) -> NDArray[np.float32]:
        shape = (self.batch, self.channels, self.size, self.size)
        return np.random.default_rng(self.size).standard_normal(shape, dtype=np.float32)

    def weight(self, block: int | str, set_size: int) -> NDArray[np.float32]:
        """(filters, channels of a group, kernel, kernel): a gap-free balanced pattern of blocks so high, or `TAPS`."""
        import complsparse as cs

        rng = np.random.default_rng(self.filters)
        shape = (self.filters, self.channels // self.groups, self.kernel, self.kernel)
        over_taps = block == TAPS
        mask = cs.complementary_mask(
            shape,
            set_size=set_size,
            block=(1 if over_taps else int(block), 1),
            order="OHWI" if over_taps else "OIHW",
            rng=rng,
        )
        drawn = rng.standard_normal(shape, dtype=np.float32)
        drawn[drawn == 0] = 1  # an entry that is not there would be no part of its block
        return np.where(mask, drawn, np.float32(0))


RESNET_3X3 = tuple(Layer(c, c, n) for c, n in ((64, 56), (128, 28), (256, 14), (512, 7)))
RESNET_5X5 = tuple(Layer(c, c, n, 5) for c, n in ((64, 56), (128, 28), (256, 14), (512, 7)))
RESNET_1X1 = (Layer(64, 256, 56, 1), Layer(512, 128, 28, 1), Layer(1024, 256, 14, 1), Layer(2048, 512, 7, 1))
STEPPING = (Layer(128, 128, 56, stride=2), Layer(128, 128, 28, dilation=2), Layer(256, 512, 28, 1, stride=2))
GSC = (Layer(64, 64, 14, 5, valid=True),)
SMOKE = Layer(16, 16, 8)
