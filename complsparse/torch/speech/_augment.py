# SPDX-License-Identifier: BSD-3-Clause
"""Images of clips: as they are for tests, and varied for training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from complsparse.torch.speech._features import BANDS, FRAMES, LABELS, STRIDE, Clips


@dataclass(frozen=True)
class Augmentation:
    """How far clips are varied, each by numbers drawn for it; zeros leave them as they are.

    Attributes
    ----------
    shift : float
        In time, stored frames (8 ms) to either side.
    stretch, pitch : float
        Share by which time, and the axis of frequencies, are stretched or squeezed.
    gain : float
        Of the logarithm of the power.
    noise : float
        How many of the clips get background noise; its level is drawn.
    masks : int
        Longest stretch of frames, and of bands, that is wiped out; one of each.
    """

    shift: float = 12
    stretch: float = 0.15
    pitch: float = 0.1
    gain: float = 1.5
    noise: float = 0.5
    masks: int = 5


NONE = Augmentation(0, 0, 0, 0, 0, 0)


class Images:
    """Draws batches of images, shape (N, 1, 32 bands, 32 frames), from clips; standardised by band."""

    def __init__(self, clips: Clips, like: Images | None = None) -> None:
        self.frames = torch.from_numpy(clips.log_mel)
        self.labels = torch.from_numpy(clips.labels.astype("int64"))
        self.silent = (self.labels == LABELS["_silence_"]).nonzero().flatten()
        if like is None:
            of_band = self.frames.float().flatten(0, 1)
            self.mean, self.scale = of_band.mean(0), 1 / of_band.std(0)
        else:  # as those that a network learnt from
            self.mean, self.scale = like.mean, like.scale

    def __len__(self) -> int:
        return len(self.labels)

    def plain(self, which: Tensor | slice = slice(None)) -> Tensor:
        """Every fourth frame, as it is."""
        return self._standardised(self.frames[which][:, : FRAMES * STRIDE : STRIDE].float())

    def noisy(self, level: float, seed: int = 0) -> Tensor:
        """All clips with the noise of a silent one added, at so many times its own power (in logarithms)."""
        generator = torch.Generator().manual_seed(seed)
        others = self.silent[torch.randint(len(self.silent), (len(self),), generator=generator)]
        own, noise = (self.frames[which][:, : FRAMES * STRIDE : STRIDE].float() for which in (slice(None), others))
        louder = _loudness(own) - _loudness(noise) + level
        return self._standardised(torch.logaddexp(own, noise + louder[:, None, None]))

    def varied(self, which: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
        n = len(which)

        def drawn(span: float) -> Tensor:
            return (torch.rand(n, generator=generator) * 2 - 1) * span

        centre = (FRAMES - 1) * STRIDE / 2
        steps = (torch.arange(FRAMES) * STRIDE - centre) * (1 + drawn(how.stretch))[:, None]
        at = (steps + centre + drawn(how.shift)[:, None]).round().long().clamp_(0, self.frames.shape[1] - 1)
        images = self.frames[which[:, None], at].float()
        if how.pitch:
            images = _warped(images, 1 + drawn(how.pitch))
        if how.gain:
            images += drawn(how.gain)[:, None, None]
        if how.noise and len(self.silent):
            images = self._with_noise(images, how.noise, generator)
        images = self._standardised(images)
        if how.masks:
            _wipe_out(images, how.masks, generator)
        return images

    def _with_noise(self, images: Tensor, share: float, generator: torch.Generator) -> Tensor:
        n = len(images)
        others = self.silent[torch.randint(len(self.silent), (n,), generator=generator)]
        noise = self.frames[others][:, : FRAMES * STRIDE : STRIDE].float()
        level = _loudness(images) - _loudness(noise) + torch.rand(n, generator=generator) * 5 - 6
        level[torch.rand(n, generator=generator) >= share] = -torch.inf
        return torch.logaddexp(images, noise + level[:, None, None])

    def _standardised(self, images: Tensor) -> Tensor:
        """(N, frames, bands) as images of the network."""
        return ((images - self.mean) * self.scale).transpose(1, 2)[:, None].contiguous()


def _loudness(images: Tensor) -> Tensor:
    """The logarithm of the mean power."""
    return images.flatten(1).logsumexp(1)


def _warped(images: Tensor, factor: Tensor) -> Tensor:
    """The axis of bands stretched, by interpolation between neighbours."""
    at = (torch.arange(BANDS) * factor[:, None]).clamp_(0, BANDS - 1)
    low = at.floor().long().clamp_(max=BANDS - 2)
    weight = (at - low)[:, None]
    low = low[:, None].expand(-1, images.shape[1], -1)
    return torch.lerp(images.gather(2, low), images.gather(2, low + 1), weight)


def _wipe_out(images: Tensor, longest: int, generator: torch.Generator) -> None:
    """Sets a stretch of frames and one of bands to the mean, in place."""
    n = len(images)
    for axis, size in ((2, BANDS), (3, FRAMES)):
        length = torch.randint(longest + 1, (n, 1), generator=generator)
        first = torch.randint(size, (n, 1), generator=generator)
        place = torch.arange(size)
        gone = (place >= first) & (place < first + length)
        images.masked_fill_(gone[:, None, :, None] if axis == 2 else gone[:, None, None, :], 0.0)
