# SPDX-License-Identifier: BSD-3-Clause
"""PruningSchedule: from dense weights to a pattern while a model trains."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from complsparse._patterns.prune import prune
from complsparse.torch._layers import ComplementaryConv2d, ComplementaryLinear
from complsparse.torch._sparsify import ComplementarySparsityConfig, Filter, chosen, replaced


class Masked(nn.Module):
    """The parametrization of a dense weight by itself and a mask that may change."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask


class PruningSchedule:
    """Prunes the layers of a model while it trains: gradually by magnitude, then onto a pattern.

    Parameters
    ----------
    config : ComplementarySparsityConfig
        What is reached. With ``pattern="stored"`` the masks stay those of the greatest magnitudes, at `density`,
        without a pattern. "random" is refused: there is nothing to prune towards.
    begin, end : int
        The steps between which the share of zeros grows, as a cubic: fast at first.
    freeze : int, optional
        Until this step masks are chosen again, every `interval` steps: from `end` on those of the pattern. Then they
        stay. The default is `end`.
    interval : int

    Examples
    --------
    >>> import torch
    >>> import complsparse as cs
    >>> model = torch.nn.Sequential(torch.nn.Linear(32, 16))
    >>> config = cs.torch.ComplementarySparsityConfig(density=0.25)
    >>> schedule = cs.torch.PruningSchedule(config, begin=0, end=10, interval=2)
    >>> schedule.prepare(model)
    >>> optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> for _ in range(12):
    ...     model(torch.randn(8, 32)).square().sum().backward()
    ...     optimiser.step()
    ...     optimiser.zero_grad()
    ...     schedule.step()
    >>> model = schedule.squash_mask()
    >>> len(model[0].values)
    128
    """

    def __init__(
        self,
        config: ComplementarySparsityConfig,
        *,
        begin: int,
        end: int,
        freeze: int | None = None,
        interval: int = 100,
    ) -> None:
        self.config, self.begin, self.end, self.interval = config, begin, end, interval
        self.freeze = end if freeze is None else freeze
        self.steps = 0
        self._model: nn.Module | None = None
        self._layers: dict[str, Any] = {}
        if config.pattern == "random":
            raise ValueError("pattern='random' has nothing to prune towards: sparsify_ puts layers on random patterns")
        if not 0 <= begin <= end <= self.freeze or interval < 1:
            raise ValueError(
                f"begin={begin}, end={end} and freeze={self.freeze} must ascend from 0, and interval={interval} be "
                "positive"
            )

    def prepare(self, model: nn.Module, filter_fn: Filter | None = None) -> None:
        """Puts masks on the layers of a model, all open; their dense weights stay the parameters.

        Raises RuntimeError where a model has been prepared already.
        """
        if self._model is not None:
            raise RuntimeError("this schedule has a model already; make another one")
        layers: dict[str, Any] = dict(chosen(model, filter_fn))
        for module in layers.values():
            mask = torch.ones_like(module.weight, dtype=torch.bool)
            parametrize.register_parametrization(module, "weight", Masked(mask))
        self._model, self._layers = model, layers

    def density(self, step: int) -> float:
        """What is left at a step, of the whole weight."""
        if step < self.begin:
            return 1.0
        left = max(self.end - step, 0) / max(self.end - self.begin, 1)
        return self._least() + (1.0 - self._least()) * left**3

    def _least(self) -> float:
        config = self.config
        return config.density if config.set_size is None else config.per_group / config.set_size

    def step(self) -> None:
        """Once after each step of the optimiser: chooses the masks again where it is time to."""
        step, self.steps = self.steps, self.steps + 1
        if step == self.freeze or (self.begin <= step < self.freeze and (step - self.begin) % self.interval == 0):
            for module in self._layers.values():
                self._choose(module, step)

    @torch.no_grad()
    def _choose(self, module: Any, step: int) -> None:
        weight: Tensor = module.parametrizations.weight.original
        mask: Tensor = module.parametrizations.weight[-1].mask
        if step >= self.end and self.config.pattern == "prune":
            W, _ = prune(weight.flatten(1).cpu().float().numpy(), method=self.config.method, **self.config.options)
            mask.copy_(torch.from_numpy(W.mask).reshape(mask.shape))
            return
        count = max(round(self.density(step) * weight.numel()), 1)
        kept = weight.abs().flatten().topk(count).indices
        mask.zero_().view(-1)[kept] = True

    def squash_mask(self) -> nn.Module:
        """The model with `ComplementaryLinear` and `ComplementaryConv2d` on the patterns of the masks, in place.

        Their parameters are new. Raises RuntimeError before the last choice of masks.
        """
        if self._model is None or self.steps <= self.freeze:
            raise RuntimeError(
                f"masks are chosen for the last time after step {self.freeze}; {self.steps} steps have been taken"
            )
        model = self._model
        for fqn, module in self._layers.items():
            mask, weight = module.parametrizations.weight[-1].mask, module.parametrizations.weight.original
            kept = float((weight * mask).detach().square().sum() / weight.detach().square().sum().clamp_min(1e-38))
            kind: Any = ComplementaryConv2d if isinstance(module, nn.Conv2d) else ComplementaryLinear
            layer = kind.from_dense(module, pattern=mask, form=self.config.form)
            layer.kept_energy = kept if math.isfinite(kept) else None
            model = replaced(model, fqn, layer)
        self._model, self._layers = None, {}
        return model
