# SPDX-License-Identifier: BSD-3-Clause
"""The network of Numenta's experiments with Google Speech Commands: two convolutions, two linear layers, with and
without weight and activation sparsity."""

from __future__ import annotations

import math
import operator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from complsparse._matrix.makers import from_dense, from_filters
from complsparse._patterns.masks import complementary_mask
from complsparse.nn._convolution import Conv2d
from complsparse.nn._elementwise import ReLU
from complsparse.nn._layer import Layer
from complsparse.nn._linear import Linear
from complsparse.nn._network import Sequential
from complsparse.nn._pools import MaxPool2d
from complsparse.nn._shapes import Flatten
from complsparse.nn._winners import KWinners

Kind = Literal["dense", "narrow", "sparse", "sparse_sparse"]
Masks = Literal["speed", "fine", "quads"]
Mask = NDArray[np.bool_]

GSC_IMAGE = (1, 32, 32)  # a word as a mel spectrogram
GSC_WORDS = 12
TAPS = 5 * 5
PIXELS = 5 * 5  # what the second pool leaves of a channel
GLOBAL_SHARES = (0.095, 0.125, 0.1)  # of the contests over whole layers


class Widths(NamedTuple):
    """Filters of the convolutions, features of the first linear layer."""

    conv1: int
    conv2: int
    linear: int


FULL = Widths(64, 64, 1500)
NARROW = Widths(30, 17, 226)  # 112,262 weights: dense, with as many multiplications a layer as the sparse network has


class Blocks(NamedTuple):
    """Rows that share their pattern, in each sparse layer."""

    conv1: int
    conv2: int
    linear: int


MASKS = {"speed": Blocks(4, 8, 4), "fine": Blocks(1, 1, 1), "quads": Blocks(4, 8, 4)}


def gsc_network(
    kind: Kind,
    *,
    masks: Masks = "speed",
    winners: tuple[int, int, int] | Literal["global"] = (6, 6, 150),
    order: Literal["pool_first", "published"] = "pool_first",
    rng: np.random.Generator | int | None = None,
) -> Sequential:
    """The GSC speech network with random weights: spectrograms (N, 1, 32, 32) in, scores of 12 words (N, 12) out.

    5 x 5 convolution to 64 channels, pool, 5 x 5 convolution to 64 channels, pool, 1600 to 1500 features, 12 words.
    Batch norms are part of the weights and of the biases of the convolutions.

    Parameters
    ----------
    kind : str
        ``"dense"``: 2,522,128 parameters. ``"narrow"``: dense with 30, 17 and 226 channels and features, about as many
        multiplications as the sparse one. ``"sparse"``: 127,696 parameters that are not zero, in complementary sets
        without a gap; the last layer is dense. ``"sparse_sparse"``: these weights, and k-winners in place of ReLU.
    masks : str
        ``"speed"``: filters share their pattern in fours in the first convolution and eights in the second, rows of
        the linear layer in fours. ``"fine"``: none does; the second convolution is balanced over the channels of each
        tap. ``"quads"``: as ``"speed"``, and filters take four neighbouring taps of a row (the first convolution), or
        four channels of a tap (the second one), together: what products of 8-bit numbers multiply as one.
    winners : tuple of three int, or "global"
        How many of 64 are alive in each pixel behind the first and the second convolution, and of the 1500 features.
        ``"global"`` is the published contest, over whole layers: 9.5%, 12.5% and 10%.
    order : str
        ``"pool_first"`` holds the contest among pooled pixels. ``"published"`` holds it before the pool, which merges
        the winners of four pixels: more are alive behind it, and more contests are held, so that it is slower.
    rng : Generator, int, optional
        For weights and masks.

    Returns
    -------
    Sequential
        In float32.

    Raises
    ------
    ValueError
        An argument that is none of those above; winners that are not between 1 and the entries of their contest.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> net = cs.nn.gsc_network("sparse_sparse", rng=0)
    >>> sum(layer.parameters for layer in net.layers)
    127696
    >>> net(np.zeros((2, 1, 32, 32), dtype=np.float32)).shape
    (2, 12)
    """
    _check_choice("kind", kind, ("dense", "narrow", "sparse", "sparse_sparse"))
    _check_choice("masks", masks, tuple(MASKS))
    _check_choice("order", order, ("pool_first", "published"))
    alive = _checked_winners(winners)
    rng = np.random.default_rng(rng)
    widths = NARROW if kind == "narrow" else FULL
    if kind in ("dense", "narrow"):
        conv1, conv2, linear = _dense_weights(widths, rng)
    else:
        conv1, conv2, linear = _sparse_weights(MASKS[masks], masks == "quads", rng)
    last: Any = _drawn((GSC_WORDS, widths.linear), widths.linear, rng)
    if kind not in ("dense", "narrow"):
        last = from_dense(last)  # no zeros, but its winners need not be written out
    biases = [rng.uniform(-0.1, 0.1, width).astype(np.float32) for width in widths[:2]]

    def convolution(filters: Any, bias: NDArray[Any], k: int | float) -> list[Layer]:
        layers = [MaxPool2d(2), _activation(kind, k, winners == "global")]
        if order == "published" or kind != "sparse_sparse":  # a ReLU before the pool is part of the convolution
            layers.reverse()
        return [Conv2d(filters, bias=bias), *layers]

    return Sequential(
        [
            *convolution(conv1, biases[0], alive[0]),
            *convolution(conv2, biases[1], alive[1]),
            Flatten(),
            Linear(linear),
            _activation(kind, alive[2], False, axis=-1),
            Linear(last),
        ]
    )


def _check_choice(name: str, given: Any, known: tuple[str, ...]) -> None:
    if given not in known:
        raise ValueError(f"{name}={given!r} is none of {', '.join(map(repr, known))}")


def _checked_winners(given: Any) -> tuple[int | float, ...]:
    """Of each contest."""
    if isinstance(given, str) and given == "global":
        return GLOBAL_SHARES
    most = (FULL.conv1, FULL.conv2, FULL.linear)
    try:
        found = tuple(operator.index(k) for k in given)
    except TypeError:
        raise TypeError(f"winners={given!r} is neither three integers nor 'global'") from None
    if len(found) != len(most) or not all(1 <= k <= n for k, n in zip(found, most, strict=True)):
        raise ValueError(f"winners={given!r} is neither 'global' nor three numbers from 1 to {most}")
    return found


def _activation(kind: Kind, k: int | float, whole: bool, axis: int = 1) -> Layer:
    if kind != "sparse_sparse":
        return ReLU()
    return KWinners(k, axis=(1, 2, 3) if whole else axis)


# --- weights ----------------------------------------------------------------------------------------------------------


def _drawn(shape: tuple[int, ...], inputs: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Normal weights that keep the size of activations where each output has so many inputs; none of them is zero."""
    weights = rng.standard_normal(shape, dtype=np.float32)
    weights[weights == 0] = 1
    return weights * np.float32(math.sqrt(2 / inputs))


def _dense_weights(widths: Widths, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    shapes = ((widths.conv1, 1, 5, 5), (widths.conv2, widths.conv1, 5, 5), (widths.linear, PIXELS * widths.conv2))
    return tuple(_drawn(shape, math.prod(shape[1:]), rng) for shape in shapes)  # type: ignore[return-value]


def _sparse_weights(blocks: Blocks, quads: bool, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    def masked(mask: Mask) -> NDArray[np.float32]:
        rows = mask.reshape(len(mask), -1)
        return np.where(mask, _drawn(mask.shape, int(rows.sum(axis=1).max()), rng), np.float32(0))

    linear = complementary_mask((FULL.linear, PIXELS * FULL.conv2), **of_features(blocks.linear), rng=rng)
    return (
        from_filters(masked((_quads_of_taps if quads else _mask_of_one_channel)(blocks.conv1, rng))),
        from_filters(masked((_quads_of_channels if quads else _mask_of_channels)(blocks.conv2, rng))),
        from_dense(masked(linear)),
    )


def _mask_of_one_channel(rows: int, rng: np.random.Generator) -> Mask:
    """12 of 25 taps for each filter: two members of a set own 24 of them, and one, drawn for each set, stays empty."""
    owned = complementary_mask((FULL.conv1, TAPS - 1), set_size=2, block=(rows, 1), rng=rng)
    empty = np.repeat(rng.integers(TAPS, size=FULL.conv1 // (2 * rows)), 2 * rows)
    taps = np.arange(TAPS - 1)
    mask = np.zeros((FULL.conv1, TAPS), dtype=bool)
    np.put_along_axis(mask, taps + (taps >= empty[:, None]), owned, axis=1)
    return mask.reshape(FULL.conv1, 1, 5, 5)


def of_channels(rows: int) -> dict[str, Any]:
    """The pattern of the second convolution: 200 of 1600 entries for each filter, eight members a set. Filters with
    patterns of their own get two of every 16 channels of each tap, which one permute can route."""
    if rows > 1:
        return {"set_size": 8, "block": (rows, 1)}
    return {"set_size": 16, "per_group": 2, "order": "OHWI"}


def of_features(rows: int) -> dict[str, Any]:
    """The pattern of the linear layer: 64 of 1600 entries for each feature."""
    return {"set_size": 25, "block": (rows, 1)}


def _mask_of_channels(rows: int, rng: np.random.Generator) -> Mask:
    return complementary_mask((FULL.conv2, FULL.conv1, 5, 5), **of_channels(rows), rng=rng)


def _quads_of_taps(rows: int, rng: np.random.Generator) -> Mask:
    """12 of 25 taps for each filter: of two members of a set, one owns the first four taps of three rows; the other
    those of two, and the last column but for one tap, drawn for each set."""
    sets = FULL.conv1 // (2 * rows)
    mask = np.zeros((sets, 2, 5, 5), dtype=bool)
    for members in mask:
        order = rng.permutation(5)
        members[0, order[:3], :4] = True
        members[1, order[3:], :4] = True
        members[1, order[1:], 4] = True
    return mask.reshape(-1, 1, 5, 5).repeat(rows, axis=0)


def _quads_of_channels(rows: int, rng: np.random.Generator) -> Mask:
    """200 of 1600 entries for each filter, eight members a set."""
    units = complementary_mask((FULL.conv2 // rows, FULL.conv1 // 4 * TAPS), set_size=8, rng=rng)
    by_channel = units.reshape(-1, FULL.conv1 // 4, 5, 5).repeat(4, axis=1)
    return by_channel.repeat(rows, axis=0)
