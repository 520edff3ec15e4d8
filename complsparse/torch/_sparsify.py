# SPDX-License-Identifier: BSD-3-Clause
"""sparsify_: puts the layers of a model on patterns, in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from complsparse._patterns.masks import complementary_mask
from complsparse.torch._layers import ComplementaryConv2d, ComplementaryLinear
from complsparse.torch._on_pattern import Form
from complsparse.torch._weights import weight_of

Filter = Callable[[nn.Module, str], bool]


@dataclass(frozen=True)
class ComplementarySparsityConfig:
    """Which patterns `sparsify_` and `PruningSchedule` put layers on.

    Attributes
    ----------
    density, set_size, per_group, block, balanced
        Of the pattern, as in `complsparse.complementary_mask`.
    pattern : {"prune", "random", "stored"}
        "prune": the pattern of this kind that keeps the greatest sum of magnitudes, as `complsparse.prune` finds it.
        "random": one from `rng`. "stored": wherever the weight is not zero; nothing is dropped, and what is said of the
        pattern above does not matter.
    method : {"assignment", "greedy"}
        Of `complsparse.prune`.
    form : {"packed", "masked"}
        As `ComplementaryLinear`.
    rng : int or numpy.random.Generator, optional
        For "random". An int gives layers of equal shape equal patterns, a generator does not.
    """

    density: float = 0.05
    set_size: int | None = None
    per_group: int = 1
    block: tuple[int, int] = (1, 1)
    balanced: bool = True
    pattern: Literal["prune", "random", "stored"] = "prune"
    method: Literal["assignment", "greedy"] = "assignment"
    form: Form = "packed"
    rng: Any = None

    def __post_init__(self) -> None:
        if self.pattern not in ("prune", "random", "stored"):
            raise ValueError(f"pattern={self.pattern!r} is not known; use 'prune', 'random' or 'stored'")

    @property
    def options(self) -> dict[str, Any]:
        """Of the pattern, as functions of complsparse take them."""
        return {
            "density": self.density,
            "set_size": self.set_size,
            "per_group": self.per_group,
            "block": self.block,
            "balanced": self.balanced,
        }


def is_layer(module: nn.Module, fqn: str) -> bool:
    """The filter that is used unless one is given: all linear layers and 2D convolutions."""
    return isinstance(module, (nn.Linear, nn.Conv2d))


def chosen(model: nn.Module, filter_fn: Filter | None) -> Iterator[tuple[str, nn.Module]]:
    """The layers that a filter lets through and that are on no pattern yet, by name; a list of its own."""
    wanted = is_layer if filter_fn is None else filter_fn
    for fqn, module in list(model.named_modules()):
        if isinstance(module, (ComplementaryLinear, ComplementaryConv2d)) or ".parametrizations." in f".{fqn}.":
            continue
        if wanted(module, fqn):
            if not is_layer(module, fqn):
                raise TypeError(
                    f"{fqn or 'the model'} is a {type(module).__name__}; use linear layers and 2D convolutions"
                )
            yield fqn, module


def replaced(model: nn.Module, fqn: str, layer: nn.Module) -> nn.Module:
    """The model with another layer of this name: the layer itself where the model was it."""
    if not fqn:
        return layer
    parent, _, name = fqn.rpartition(".")
    setattr(model.get_submodule(parent), name, layer)
    return model


def on_pattern(module: nn.Module, config: ComplementarySparsityConfig) -> nn.Module:
    """The layer that takes the place of a dense one."""
    kind: Any = ComplementaryConv2d if isinstance(module, nn.Conv2d) else ComplementaryLinear
    layer: nn.Module
    if config.pattern == "prune":
        layer = kind.from_dense(module, form=config.form, method=config.method, **config.options)
        return layer
    pattern: Any = weight_of(module)
    if config.pattern == "random":
        pattern = complementary_mask((len(pattern), pattern[0].numel()), rng=config.rng, **config.options)
    layer = kind.from_dense(module, pattern=pattern, form=config.form)
    return layer


def sparsify_(
    model: nn.Module, config: ComplementarySparsityConfig | None = None, filter_fn: Filter | None = None
) -> nn.Module:
    """Puts linear layers and convolutions of a model on complementary patterns, in place.

    Parameters
    ----------
    model : torch.nn.Module
        Layers may be pruned already: plain zeros, ``weight_orig`` and ``weight_mask`` of `torch.nn.utils.prune`, and
        parametrizations such as those of `torch.ao.pruning` are understood.
    config : ComplementarySparsityConfig, optional
    filter_fn : callable, optional
        ``filter_fn(module, fully_qualified_name)``: which layers. The default takes all linear layers and 2D
        convolutions.

    Returns
    -------
    torch.nn.Module
        The model; a new layer where the model is one.

    Raises
    ------
    TypeError
        A filter that lets through another kind of layer.
    ValueError
        Patterns that do not exist.

    Notes
    -----
    Parameters are new: make the optimiser afterwards.

    Examples
    --------
    >>> import torch
    >>> import complsparse as cs
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
    >>> config = cs.torch.ComplementarySparsityConfig(density=0.125)
    >>> model = cs.torch.sparsify_(model, config, lambda module, name: name == "0")
    >>> len(model[0].values), type(model[2]).__name__
    (256, 'Linear')
    """
    config = ComplementarySparsityConfig() if config is None else config
    for fqn, module in list(chosen(model, filter_fn)):
        model = replaced(model, fqn, on_pattern(module, config))
    return model
