# SPDX-License-Identifier: BSD-3-Clause
"""How a speech network learns: the recipe, and a trainer that can stop between epochs and go on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from complsparse.torch._layers import ComplementaryConv2d, ComplementaryLinear
from complsparse.torch._winners import KWinners, KWinners2d, anneal_
from complsparse.torch.speech._augment import Augmentation, Images

_TESTED_AT_ONCE = 256


@dataclass(frozen=True)
class Recipe:
    """What a training run does; the same for every configuration unless changed.

    Attributes
    ----------
    epochs, batch, label_smoothing
    learning_rate, weight_decay : float
        The greatest of a cycle, which rises in the first fifth and falls to 0 as a cosine; of AdamW. Biases and batch
        norms do not decay.
    relative_rate : bool
        Layers that are born with a share d of their weights learn at ``learning_rate / sqrt(d)``: their weights begin
        so much greater, and AdamW's steps do not follow the size of weights.
    boost_until : float
        By this share of the run the boost strength of k winners has fallen to 0, in a line: contests of the trained
        network are plain ones.
    anneal_until : float
        By this share of the run k is down from all to its own value.
    distilled : float
        Where there is a teacher: the share of its scores, at `temperature`, in the loss.
    bfloat16 : bool, optional
        Autocast; by default where the CPU multiplies in it.
    augmentation : Augmentation
    seed : int
        Of initial weights, order and augmentation.
    """

    epochs: int = 30
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    relative_rate: bool = True
    label_smoothing: float = 0.1
    boost_until: float = 0.8
    anneal_until: float = 0.7
    distilled: float = 0.7
    temperature: float = 2.0
    bfloat16: bool | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0


class Trainer:
    """Trains a model in place, an epoch at a time.

    Parameters
    ----------
    model : torch.nn.Module
    images : Images
        To learn from.
    recipe : Recipe
    teacher : torch.nn.Module, optional
        Whose scores the model learns too.
    """

    def __init__(
        self, model: nn.Module, images: Images, recipe: Recipe | None = None, teacher: nn.Module | None = None
    ) -> None:
        self.model, self.images = model, images
        self.recipe = recipe = Recipe() if recipe is None else recipe
        self.teacher = None if teacher is None else teacher.eval()
        self.batches = len(images) // recipe.batch
        if not self.batches:
            raise ValueError(f"{len(images)} clips do not fill a batch of {recipe.batch}")
        self.epochs_done, self.losses = 0, list[float]()
        self.generator = torch.Generator().manual_seed(recipe.seed)
        groups = _groups(model, recipe)
        self._optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser,
            [group["lr"] for group in groups],
            total_steps=recipe.epochs * self.batches,
            pct_start=0.2,
        )
        self._contests = [m for m in model.modules() if isinstance(m, (KWinners, KWinners2d))]
        self._strengths = [float(contest.boost_strength) for contest in self._contests]
        fast = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
        self._bfloat16 = bool(fast()) if recipe.bfloat16 is None else recipe.bfloat16

    @property
    def learning_rate(self) -> float:
        return float(self._schedule.get_last_lr()[0])  # of biases: `Recipe.learning_rate` itself

    def epoch(self) -> float:
        """One epoch; the mean loss. After the last one statistics of batch norms are taken again."""
        if self.epochs_done >= self.recipe.epochs:
            raise RuntimeError(f"all {self.recipe.epochs} epochs are done")
        self.model.train()
        total = 0.0
        for i, (images, labels) in enumerate(self._varied()):
            self._close_in((self.epochs_done * self.batches + i) / (self.recipe.epochs * self.batches))
            loss = self._loss(images, labels)
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
            self._schedule.step()
            total += loss.item()
        self.epochs_done += 1
        self.losses.append(total / self.batches)
        if self.epochs_done == self.recipe.epochs:
            self._close_in(1.0)
            self._renew_statistics()
        self.model.eval()
        return self.losses[-1]

    def _varied(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.images), generator=self.generator)
        for which in order[: self.batches * self.recipe.batch].split(self.recipe.batch):
            images = self.images.varied(which, self.recipe.augmentation, self.generator)
            yield images.contiguous(memory_format=torch.channels_last), self.images.labels[which]

    def _close_in(self, progress: float) -> None:
        """Contests on their way to k winners without boosting."""
        recipe = self.recipe
        anneal_(self.model, min(progress / recipe.anneal_until, 1.0) if recipe.anneal_until else 1.0)
        left = max(1 - progress / recipe.boost_until, 0.0) if recipe.boost_until else 0.0
        for contest, strength in zip(self._contests, self._strengths, strict=True):
            contest.boost_strength.fill_(strength * left)

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        recipe = self.recipe
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            scores = self.model(images).float()
        loss = functional.cross_entropy(scores, labels, label_smoothing=recipe.label_smoothing)
        if self.teacher is None or not recipe.distilled:
            return loss
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            wanted = self.teacher(images).float()
        ours, theirs = ((s / recipe.temperature).log_softmax(1) for s in (scores, wanted))
        apart = functional.kl_div(ours, theirs, log_target=True, reduction="batchmean") * recipe.temperature**2
        return (1 - recipe.distilled) * loss + recipe.distilled * apart

    @torch.no_grad()
    def _renew_statistics(self) -> None:
        """Of batch norms, over an epoch of the weights and the contests that are final."""
        norms = [m for m in self.model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean of all batches
        for images, _ in self._varied():
            self.model(images)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def state_dict(self) -> dict[str, Any]:
        """All that a run needs to go on from here; tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "generator": self.generator.get_state(),
            "epochs_done": self.epochs_done,
            "losses": list(self.losses),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"])
        self.epochs_done, self.losses = int(state["epochs_done"]), list(state["losses"])


def _groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Parameters by how they learn: biases and those of batch norms do not decay, weights learn at rates of theirs."""
    weights: dict[float, list[Tensor]] = {}
    others: list[Tensor] = []
    rates = _rates(model) if recipe.relative_rate else {}
    for module in model.modules():
        norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        for name, parameter in module.named_parameters(recurse=False):
            if norm or name == "bias":
                others.append(parameter)
            else:
                weights.setdefault(rates.get(parameter, 1.0), []).append(parameter)
    rate, decay = recipe.learning_rate, recipe.weight_decay
    return [
        {"params": others, "weight_decay": 0.0, "lr": rate},
        *({"params": some, "weight_decay": decay, "lr": rate * factor} for factor, some in sorted(weights.items())),
    ]


def _rates(model: nn.Module) -> dict[Tensor, float]:
    """Of weights on patterns, but for those that come from a dense layer and are as small as there."""
    return {
        layer.values: math.sqrt(layer.mask.numel() / max(len(layer.values), 1))
        for layer in model.modules()
        if isinstance(layer, (ComplementaryLinear, ComplementaryConv2d)) and layer.kept_energy is None
    }


@torch.no_grad()
def decisions(model: nn.Module, images: Tensor) -> Tensor:
    """The label of each image, by the model as it is in `eval` mode."""
    model.eval()
    return torch.cat([model(some).argmax(1) for some in images.split(_TESTED_AT_ONCE)])
