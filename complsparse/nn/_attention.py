# SPDX-License-Identifier: BSD-3-Clause
"""Attention, of heads that lie where products leave them: one step, without transposes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import scipy.special

from complsparse.nn._array_layer import ArrayLayer
from complsparse.nn._layer import Layer
from complsparse.nn._values import Shape, Spec

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value

_MOST = 2**31 - 1  # integers of BLAS


class Strided(NamedTuple):
    """An array (samples, heads, rows, columns) within another one: `first` and `strides` count its elements."""

    first: int
    shape: Shape
    strides: Shape

    @classmethod
    def of(cls, view: Any, array: Any) -> Strided:
        """A view of an array of bytes."""
        first = view.__array_interface__["data"][0] - array.__array_interface__["data"][0]
        return cls(first if array.size else 0, view.shape, view.strides)

    def for_blas(self) -> tuple[int, int, int, int, bool] | None:
        """As `_core.Program.attention` takes it; None where neither rows nor columns lie together."""
        sample, head, step, near = self.strides
        n, width = self.shape[2:]
        if (near == 1 or width == 1) and (n == 1 or step >= width):
            leading, by_feature = (width if n == 1 else step), False
        elif (step == 1 or n == 1) and (width == 1 or near >= n):
            leading, by_feature = (n if width == 1 else near), True
        else:
            return None
        return (self.first, sample, head, leading, by_feature) if leading <= _MOST else None

    def as_mask(self) -> tuple[int, int, int, int, bool] | None:
        sample, head, step, near = self.strides
        return (self.first, sample, head, step, near == 0) if near in (0, 1) or self.shape[3] == 1 else None


class Attention(ArrayLayer):
    """``softmax(query @ key.T * scale + mask) @ value`` of each sample and head.

    Inputs are queries, keys and values, either as products leave them, (samples, rows, heads * features), where `heads`
    is given, or as (samples, heads, rows, features); and a mask that is added, of a shape that broadcasts with
    (samples, heads, queries, keys), or none. The result has the shape of the queries, with the features of the values.

    Parameters
    ----------
    heads : int, optional
        How many lie side by side along the last axis.
    scale : float, optional
        ``1 / sqrt(features)`` unless given.
    causal : bool
        Query i sees keys up to i alone.

    Notes
    -----
    2 * samples * heads * queries * keys * features multiplications, on BLAS. Scores are kept for some queries of one
    head at a time.

    Networks take this layer's step, too, for attention that is written out: two `MatMul`, a `Softmax` between them, and
    what scales, masks, and moves axes around them.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> net = cs.nn.Graph()
    >>> q, k, v = (net.input(name, (None, 6, 32)) for name in "qkv")
    >>> net.output(net.add(cs.nn.Attention(heads=4), q, k, v))
    >>> x = np.ones((2, 6, 32), dtype=np.float32)
    >>> net(x, x, x).shape
    (2, 6, 32)
    """

    heads: int | None
    scale: float | None
    causal: bool

    @staticmethod
    def function(
        query: Any,
        key: Any,
        value: Any,
        mask: Any = None,
        *,
        heads: int | None = None,
        scale: float | None = None,
        causal: bool = False,
    ) -> Any:
        query, key, value = (by_head(x, heads) for x in (query, key, value))
        factor = query.dtype.type(1 / math.sqrt(query.shape[-1]) if scale is None else scale)
        scores = np.matmul(query * factor, np.swapaxes(key, 2, 3))
        if mask is not None:
            scores = scores + mask
        if causal:
            seen = np.tri(*scores.shape[2:]) > 0
            scores = np.where(seen, scores, scores.dtype.type(-np.inf))
        y = np.matmul(scipy.special.softmax(scores, axis=-1), value)
        return y if heads is None else np.swapaxes(y, 1, 2).reshape(y.shape[0], y.shape[2], heads * y.shape[3])

    def result(self, *inputs: Spec) -> Spec:
        shapes = [x.whole for x in inputs]
        if any(x.dtype is not None for x in inputs):
            raise ValueError("attention takes real numbers")
        q, k, v = self.views(*shapes[:3])
        samples, heads, n, width = q.shape
        _, _, keys, features = v.shape
        same = q.shape[:2] == k.shape[:2] == v.shape[:2] and k.shape[3] == width and k.shape[2] == keys
        if not same or not keys or not width:
            raise ValueError(f"queries of shape {shapes[0]}, keys of {shapes[1]} and values of {shapes[2]} do not go "
                             "together")  # fmt: skip
        wanted = samples, heads, n, keys
        if len(shapes) > 3:
            try:
                fits = np.broadcast_shapes(wanted, shapes[3]) == wanted
            except ValueError:
                fits = False
            if not fits:
                raise ValueError(f"a mask of shape {shapes[3]} does not broadcast with scores of {wanted}")
        shape = (heads, n, features) if self.heads is None else (n, heads * features)
        return Spec(shape, samples=samples)

    def views(self, *shapes: Shape) -> list[Strided]:
        """Where the heads of queries, keys and values lie in arrays of these shapes."""
        heads = self.heads
        if heads is not None and heads < 1:
            raise ValueError(f"heads={heads} is not positive")
        for shape in shapes:
            if heads is None and len(shape) != 4:
                raise ValueError(f"an input of shape {shape} is not (samples, heads, rows, features); of "
                                 "(samples, rows, heads * features) heads must be given")  # fmt: skip
            if heads is not None and (len(shape) != 3 or shape[2] % heads):
                raise ValueError(f"an input of shape {shape} is not (samples, rows, {heads} heads * features)")
        return [Strided.of(by_head(x, heads), x) for x in map(unread, shapes)]

    def work(self, inputs: tuple[Spec, ...], output: Spec) -> int:
        q, _, v = self.views(*(x.whole for x in inputs[:3]))
        _, heads, n, width = q.shape
        return heads * n * v.shape[2] * (width + v.shape[3])

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        shapes = [x.spec.whole for x in inputs]
        spec = self.result(*(x.spec for x in inputs))
        heads = self.views(*shapes[:3])
        masks = [Strided.of(np.broadcast_to(x, scores_of(heads)), x) for x in map(unread, shapes[3:])]
        views = [*heads, *self.views(spec.whole), *masks]
        placed = PlacedAttention(self.scale_of(heads), self.causal, views, spec)
        return placed.emit(builder, *inputs)

    def scale_of(self, heads: list[Strided]) -> float:
        return 1 / math.sqrt(heads[0].shape[3]) if self.scale is None else self.scale


def by_head(x: Any, heads: int | None) -> Any:
    """(samples, heads, rows, features) of (samples, rows, heads * features)."""
    return x if heads is None else np.swapaxes(x.reshape(*x.shape[:2], heads, x.shape[2] // heads), 1, 2)


def scores_of(heads: list[Strided]) -> Shape:
    """The shape of all scores."""
    return (*heads[0].shape[:3], heads[1].shape[2])


def unread(shape: Shape) -> Any:
    """An array whose entries nobody reads, a byte each."""
    return np.empty(shape, dtype=np.uint8)


class PlacedAttention(Layer):
    """Attention with all of its heads found in memory: what plans are made of."""

    by_sample: ClassVar[bool] = False
    in_files: ClassVar[bool] = False

    def __init__(self, scale: float, causal: bool, views: list[Strided], spec: Spec) -> None:
        """`views`: of queries, keys, values, results, and the mask if there is one; `spec`: of the result's array."""
        self.scale, self.causal, self.views, self.spec = scale, causal, views, spec

    def arguments(self) -> dict[str, Any]:
        return {"scale": self.scale, "causal": self.causal, "views": self.views, "spec": self.spec}

    def result(self, *inputs: Spec) -> Spec:
        return self.spec

    @property
    def is_possible(self) -> bool:
        *heads, out = self.views[:4]
        of_result = out.for_blas()
        return (
            all(view.for_blas() is not None for view in heads)
            and of_result is not None
            and not of_result[4]
            and all(view.as_mask() is not None for view in self.views[4:])
            and max(max(view.shape) for view in self.views) <= _MOST
        )

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        reads = [builder.dense(x) for x in inputs]
        y = builder.new(self.spec)
        q, _, v, *_ = (view.shape for view in self.views)
        views: list[Any] = [view.for_blas() for view in self.views[:4]] + [view.as_mask() for view in self.views[4:]]
        numbers: Any = (*(x.number for x in reads[:3]), y.number, reads[3].number if len(reads) > 3 else -1)
        step = builder.program.attention(
            builder.blas, (q[0], q[1], q[2], v[2], q[3], v[3]), self.scale, self.causal, views, numbers
        )
        builder.step_of_all("gemm softmax gemm", step, reads, [y])
        return y
