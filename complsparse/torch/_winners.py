# SPDX-License-Identifier: BSD-3-Clause
"""Modules of k winners, with boosting of units that win too seldom."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from complsparse.torch._contests import contest, count_of


class _Contest(nn.Module):
    """What contests of vectors and of images share; a unit is a feature, or a channel."""

    duty_cycle: Tensor
    boost_strength: Tensor

    def __init__(
        self,
        units: int,
        k: int | float,
        k_inference_factor: float = 1.0,
        boost_strength: float = 1.5,
        boost_decay: float = 0.9,
        period: int = 1000,
    ) -> None:
        super().__init__()
        if boost_strength < 0 or not 0 <= boost_decay <= 1 or period < 1 or k_inference_factor <= 0:
            raise ValueError(
                f"boost_strength={boost_strength} must be at least 0, boost_decay={boost_decay} from 0 to 1, "
                f"period={period} at least 1 and k_inference_factor={k_inference_factor} above 0"
            )
        count_of(k, units)  # raises where it is neither a count nor a share
        self.units, self.k, self.k_inference_factor = units, k, k_inference_factor
        self.boost_decay, self.period, self.progress = boost_decay, period, 1.0
        self._boosts = boost_strength > 0
        self.register_buffer("duty_cycle", torch.zeros(units))
        self.register_buffer("boost_strength", torch.tensor(float(boost_strength)))

    def _share(self, n: int) -> float:
        return self.k if isinstance(self.k, float) else min(self.k / max(n, 1), 1.0)

    def winners(self, n: int) -> int:
        """How many of n entries win now: k, more while it is annealed in, and the inference factor outside training."""
        if self.progress >= 1.0 and (self.training or self.k_inference_factor == 1.0):
            return count_of(self.k, n)
        share = self._share(n)
        share += (1.0 - share) * (1.0 - min(self.progress, 1.0)) ** 3
        factor = 1.0 if self.training else self.k_inference_factor
        return min(round(share * factor * n), n)

    def boost(self, n: int) -> Tensor | None:
        """Factors of the units: above 1 for those that win less often than the target says."""
        return torch.exp(self.boost_strength * (self._share(n) - self.duty_cycle)) if self._boosts else None

    def _learn(self, won: Tensor) -> None:
        """The duty cycle is the share of the last `period` vectors, or images, in which a unit won; won: (N, units,
        ...)."""
        weight = min(len(won), self.period) / self.period
        frequency = won.to(self.duty_cycle.dtype).mean([axis for axis in range(won.ndim) if axis != 1])
        self.duty_cycle.mul_(1 - weight).add_(frequency, alpha=weight)

    def extra_repr(self) -> str:
        return f"{self.units}, k={self.k}, k_inference_factor={self.k_inference_factor}, boosts={self._boosts}"


class KWinners(_Contest):
    """Keeps the k winners of each vector and zeroes all other entries.

    Parameters
    ----------
    features : int
        Entries of a vector, the last axis.
    k : int or float
        A count, or a share from 0.0 to 1.0.
    k_inference_factor : float
        Outside training k times this many win.
    boost_strength : float
        Ranked is ``x * exp(boost_strength * (share - duty_cycle))``, in training and outside; passed on is x. 0: no
        boosting.
    boost_decay : float
        By which `decay_boost_` multiplies the strength; called once in an epoch.
    period : int
        How many vectors the duty cycle of a feature remembers.

    Notes
    -----
    Exactly k win on the CPU, whatever their sign, and of equals the first: put a ReLU before or behind it as needed.
    `anneal_` lets more win at the start of training. The duty cycles and the strength are buffers of the state.

    Examples
    --------
    >>> import torch
    >>> import complsparse as cs
    >>> layer = cs.torch.KWinners(4, 2, boost_strength=0)
    >>> layer(torch.tensor([[0.5, -1.0, 3.0, 0.5]]))
    tensor([[0.5000, 0.0000, 3.0000, 0.0000]])
    >>> layer.duty_cycle
    tensor([0.0010, 0.0000, 0.0010, 0.0000])
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.units:
            raise ValueError(f"x of shape {tuple(x.shape)} does not end with the {self.units} features")
        y, won = contest(x, self.winners(self.units), (-1,), self.boost(self.units))
        if self.training:
            self._learn(won.reshape(-1, self.units))
        return y


class KWinners2d(_Contest):
    """Keeps the winners of each image, or of each pixel.

    Parameters
    ----------
    channels : int
    k, k_inference_factor, boost_strength, boost_decay, period
        As `KWinners`; a duty cycle belongs to a channel.
    local : bool
        The channels of each pixel compete; otherwise all entries of an image.

    Examples
    --------
    >>> import torch
    >>> import complsparse as cs
    >>> x = torch.arange(8.0).reshape(1, 2, 2, 2)
    >>> cs.torch.KWinners2d(2, 0.25)(x).flatten()
    tensor([0., 0., 0., 0., 0., 0., 6., 7.])
    >>> cs.torch.KWinners2d(2, 1, local=True)(x).flatten()
    tensor([0., 0., 0., 0., 4., 5., 6., 7.])
    """

    def __init__(
        self,
        channels: int,
        k: int | float,
        k_inference_factor: float = 1.0,
        boost_strength: float = 1.5,
        boost_decay: float = 0.9,
        period: int = 1000,
        local: bool = False,
    ) -> None:
        super().__init__(channels, k, k_inference_factor, boost_strength, boost_decay, period)
        self.local = local

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] != self.units:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; images of {self.units} channels have (N, {self.units}, H, W)"
            )
        entries = self.units if self.local else math.prod(x.shape[1:])
        boost = self.boost(entries)
        if boost is not None and not self.local:
            boost = boost.reshape(-1, 1, 1)
        y, won = contest(x, self.winners(entries), (1,) if self.local else (1, 2, 3), boost)
        if self.training:
            self._learn(won)
        return y

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, local={self.local}"


def _contests(model: nn.Module) -> Iterator[_Contest]:
    return (module for module in model.modules() if isinstance(module, _Contest))


def decay_boost_(model: nn.Module) -> None:
    """Multiplies the boost strength of all contests in a model by their `boost_decay`; once in an epoch."""
    for module in _contests(model):
        module.boost_strength.mul_(module.boost_decay)


def anneal_(model: nn.Module, progress: float) -> None:
    """How far all contests in a model have come from letting all win (0.0) to k winners (1.0).

    In between ``share + (1 - share) * (1 - progress)**3`` win. No part of the state: a model that is loaded has come
    all the way.
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"progress={progress} does not lie from 0 to 1")
    for module in _contests(model):
        module.progress = float(progress)
