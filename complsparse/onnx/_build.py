# SPDX-License-Identifier: BSD-3-Clause
"""From the nodes of a model to layers of a network."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from complsparse import nn
from complsparse._files.trust import printable
from complsparse._matrix.makers import from_filters
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse.nn._array_layer import ArrayLayer
from complsparse.nn._integers import Numbers
from complsparse.nn._network import Handle
from complsparse.nn._values import Spec
from complsparse.onnx._blocks import with_whole_blocks
from complsparse.onnx._fallback import add_part, in_parts, is_known, reads
from complsparse.onnx._nodes import Op, Refusal
from complsparse.onnx._operators import OPERATORS, Operator
from complsparse.onnx._operators.integers import Quantised
from complsparse.onnx._simplify import Plain
from complsparse.onnx._sparse_tensors import SparseTensor, is_sparse, rows_of
from complsparse.onnx._tensors import MOST_DENSE

_MOST_FOLDED = 2**30  # bytes that follow from constants alone
_MOST_TRIED = 2**34  # multiplications, in which functions are tried on zeros for the shapes of what they give
_OF_ENTRY = 16  # multiplications that an entry of other functions' arrays is worth
_LARGEST_FACTOR = 2**20  # entries of a constant operand of what takes longer than its operands are large
_LONG = {"MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum", "GRU", "LSTM", "RNN", "FusedMatMul", "QLinearConv",
         "QLinearMatMul", "ConvInteger", "MatMulInteger", "Resize", "Upsample"}  # fmt: skip


class Builder:
    """A graph that is being built, node by node: rows of the table ask it for constants and values, and add layers."""

    def __init__(self, plain: Plain, sparsity: float, fallback: bool = False) -> None:
        self.graph, self.sparsity, self.fallback = nn.Graph(), sparsity, fallback
        self.constants: dict[str, Any] = dict(plain.constants)
        self.handles: dict[str, Any] = {}
        self.specs: dict[Any, Spec | None] = {}  # by handle: what it is for inputs of some shape, where that is known
        self.quantised: dict[str, Quantised] = {}  # constants that DequantizeLinear made real, by name
        self.integers: dict[
            str, tuple[Any, Numbers]
        ] = {}  # values that it made real: what it read, which stands for this
        self._matrices: dict[tuple[int, bool, float], tuple[Any, Any]] = {}  # the first of the two keeps its id
        self._folded = self.tried = 0
        self._names: set[str] = set()
        for value in plain.inputs:
            handle = self.graph.input(self._name(value.name), value.shape, value.dtype)
            self.handles[value.name] = handle
            self.specs[handle] = _input_spec(value.shape, value.dtype)

    def _name(self, wanted: str) -> str:
        """A name that no node has yet."""
        wanted = printable(wanted) or "node"
        made, i = wanted, 1
        while made in self._names:
            made, i = f"{wanted}_{i}", i + 1
        self._names.add(made)
        return made

    # --- what rows ask for

    def constant(self, op: Op, i: int) -> Any:
        """An input as an array, where it is known now."""
        found = self.weights(op, i)
        return found.toarray() if isinstance(found, SparseTensor) else found

    def weights(self, op: Op, i: int) -> Any:
        """The same, or a SparseTensor."""
        name = op.inputs[i] if i < len(op.inputs) else None
        return None if name is None else self.constants.get(name)

    def value(self, op: Op, i: int) -> Any:
        """An input as a value of the graph."""
        name = op.inputs[i] if i < len(op.inputs) else None
        if name is None:
            raise op.refuse(f"input {i} is missing")
        if name not in self.handles:
            self.handles[name] = self._fixed(self.constant(op, i), name)
        return self.handles[name]

    def number(self, value: float) -> Any:
        """A number as a value of the graph."""
        return self._fixed(np.float32(value), "number")

    def _fixed(self, array: Any, name: str) -> Any:
        if array.dtype.kind == "f" and array.dtype.itemsize < 4:
            array = array.astype(np.float32)
        handle = self.graph.constant(array, self._name(name))
        self.specs[handle] = Spec.of_array(np.asarray(array), True)
        return handle

    def _spec(self, op: Op, i: int) -> Spec | None:
        constant = self.weights(op, i)
        if constant is not None:
            return Spec(tuple(constant.shape[1:]), samples=constant.shape[0] if constant.ndim else None,
                        dtype=None if constant.dtype.kind == "f" else constant.dtype)  # fmt: skip
        return self.specs.get(self.value(op, i))

    def shape(self, op: Op, i: int) -> tuple[int, ...] | None:
        """Of an input, where it is known: the smallest that it may have."""
        spec = self._spec(op, i)
        return None if spec is None else spec.whole

    def ndim(self, op: Op, i: int) -> int | None:
        """How many axes an input has, where that is known."""
        shape = self.shape(op, i)
        return None if shape is None else len(shape)

    def is_float(self, op: Op, i: int) -> bool:
        spec = self._spec(op, i)
        return spec is None or spec.dtype is None

    def add(self, op: Op, layer: nn.Layer, *values: Any) -> Any:
        """A layer, under the name of the node, or one like it where that has several."""
        return self.add_as(op.name, layer, *values)

    def add_as(self, name: str, layer: nn.Layer, *values: Any) -> Any:
        """A layer under this name, or one like it."""
        handle = self.graph.add(layer, *values, name=self._name(name))
        given: Any = [self.specs.get(value) for value in values]
        try:
            self._check_tried(layer, given)
            specs: Any = layer.result(*given)
        except (ValueError, TypeError, KeyError, AttributeError, MemoryError) as error:
            if self.fallback and isinstance(error, Refusal):
                raise
            # The shape is not known, or not this one.
            specs = [None] * layer.n_outputs if layer.n_outputs > 1 else None
        if layer.n_outputs == 1:
            self.specs[handle] = specs
        else:
            self.specs.update(zip(handle, specs, strict=True))
        return handle

    def _check_tried(self, layer: nn.Layer, given: list[Spec | None]) -> None:
        """Functions find the shapes of their results by computing: for ever, of sizes that are only declared."""
        if isinstance(layer, ArrayLayer):
            sizes = [math.prod(spec.whole) for spec in given if spec is not None]
            kind = layer.op.kind if isinstance(layer, Operator) else type(layer).__name__
            if kind in _LONG:
                self.tried += int(max(sizes, default=0) * math.sqrt(min(sizes, default=0)))
            self.tried += _OF_ENTRY * sum(sizes)
            if not self.is_tried:
                raise ValueError(f"shapes that take more than {_MOST_TRIED} multiplications to find")

    @property
    def is_tried(self) -> bool:
        """Whether all functions were, for their shapes: so can a plan be made for the sizes that the model says."""
        return self.tried <= _MOST_TRIED

    # --- weights

    def matrix(self, W: Any, transpose: bool, factor: float = 1.0) -> Any:
        """Weights of two axes as a ComplementaryMatrix where they are sparse enough, else as an array. One for all
        nodes that read the same constant: loops that are written out have many."""
        key = id(W), transpose, factor
        if key not in self._matrices:
            self._matrices[key] = W, self._matrix(W, transpose, factor)
        return self._matrices[key][1]

    def _matrix(self, W: Any, transpose: bool, factor: float) -> Any:
        if isinstance(W, SparseTensor):
            W = rows_of(W) if self.is_sparse(W) else W.toarray()
        W = W.T if transpose else W
        W = _computed(W if scipy.sparse.issparse(W) else np.ascontiguousarray(W))
        W = W if factor == 1 else W * W.dtype.type(factor)
        return with_whole_blocks(ComplementaryMatrix(W)) if self.is_sparse(W) else W

    def filters(self, W: Any) -> Any:
        """The same of filters of convolutions."""
        if isinstance(W, SparseTensor) and self.is_sparse(W):
            packed = ComplementaryMatrix(_computed(rows_of(W)))
            packed._packing.filter_shape = W.shape
            return packed
        W = _computed(W.toarray() if isinstance(W, SparseTensor) else W)
        return from_filters(W) if self.is_sparse(W) else W

    def is_sparse(self, W: Any) -> bool:
        return is_sparse(W, self.sparsity)

    # --- nodes

    def run(self, op: Op) -> None:
        """Adds what a node computes; what follows from constants is computed now."""
        row = OPERATORS[op.domain, op.kind]
        if self._fold(op, row):
            if op.kind == "DequantizeLinear":
                values, scale, zero = (self.constant(op, i) for i in range(3))
                self.quantised[op.outputs[0]] = Quantised(values, scale, zero, op.int("axis", 1))
            return
        made = None if row.built is None else row.built(op, self)
        if made is None and row.layer is not None:
            layer = row.layer(op)
            made = None if layer is None else self.add(op, layer, *self._all(op))
        if made is None and row.compute is not None:
            made = self.add(op, Operator(op, row), *self._all(op))
        if made is None:
            raise op.refuse("not in this form")
        several = [made] if isinstance(made, Handle) else list(made)
        for name, handle in zip(op.outputs, several):
            if name:
                self.handles[name] = handle
        missing = [name for name in op.outputs[len(several) :] if name]
        if missing:
            raise op.refuse(f"output {printable(missing[0])!r} is not computed")

    def _all(self, op: Op) -> Sequence[Any]:
        return [self.value(op, i) for i, name in enumerate(op.inputs) if name is not None]

    def _fold(self, op: Op, row: Any) -> bool:
        """Whether all inputs are constants, and so is what comes out."""
        arrays: list[Any] = [self.constants.get(name) for name in op.inputs if name is not None]
        if any(array is None or isinstance(array, SparseTensor) for array in arrays):
            return False
        if op.kind in _LONG and any(array.size > _LARGEST_FACTOR for array in arrays):
            return False
        layer = None if row.layer is None else row.layer(op)
        if layer is None and row.compute is not None:
            layer = Operator(op, row)
        if layer is None:
            made = Builder._of_constants(op, arrays, row, self.sparsity)
            if made is None:
                return False
        else:
            made = layer.apply(*arrays)
        several = made if isinstance(made, (list, tuple)) else [made]
        if len(several) < len(op.outputs):
            return False
        for name, array in zip(op.outputs, several, strict=False):
            array = np.asarray(array)
            if array.size > MOST_DENSE:
                raise op.refuse(f"an array of shape {array.shape}")
            self._folded += array.nbytes if 0 not in array.strides else 0
            if self._folded > _MOST_FOLDED:
                raise op.refuse(f"constants of more than {_MOST_FOLDED} bytes follow from those of the model")
            if name:
                self.constants[name] = array
        return True

    @staticmethod
    def _of_constants(op: Op, arrays: list[Any], row: Any, sparsity: float) -> Any:
        """What the layers of a row compute of constants."""
        builder = Builder(Plain([], {}, [], []), sparsity)
        given = dict(zip([name for name in op.inputs if name is not None], arrays, strict=True))
        builder.constants.update(given)
        made = row.built(op, builder)
        if made is None:
            return None
        for i, handle in enumerate([made] if isinstance(made, Handle) else made):
            builder.graph.output(handle, str(i))
        return builder.graph.apply()


def _computed(W: Any) -> Any:
    """In a type that networks compute in."""
    if W.dtype.kind == "f" and W.dtype.itemsize >= 4:
        return W
    return W.astype(np.float32)


def _input_spec(shape: Any, dtype: Any) -> Spec | None:
    """For the smallest input that there may be."""
    if shape is None:
        return None
    sizes = [1 if n is None else n for n in shape]
    kept = None if dtype is None or np.dtype(dtype).kind == "f" else np.dtype(dtype)
    return Spec(tuple(sizes[1:]), samples=sizes[0] if sizes else None, dtype=kept)


def build(plain: Plain, sparsity: float, *, fallback: bool = False) -> Builder:
    """With the network of a model; ValueError that names the node where one does not fit.

    With a fallback ONNX Runtime runs what is not known, or known but not in the form of its node. The latter is found
    by trying, and the network made again with these nodes among the former.
    """
    elsewhere = {op for op in plain.nodes if not is_known(op)}
    while True:
        builder, refused = _built(plain, sparsity, elsewhere, fallback)
        if not refused:
            break
        elsewhere |= refused
    for name in plain.outputs:
        if name not in builder.handles:
            builder.handles[name] = builder._fixed(np.asarray(builder.constants[name]), name)
        builder.graph.output(builder.handles[name], printable(name))
    return builder


def _built(plain: Plain, sparsity: float, elsewhere: set[Op], fallback: bool) -> tuple[Builder, set[Op]]:
    """All nodes, and those that were refused where there is a fallback."""
    builder, refused = Builder(plain, sparsity, fallback), set()
    parts = in_parts(plain.nodes, elsewhere)
    readers = Counter(name for part in parts for name in {name for op in part for name in reads(op)})
    readers.update(plain.outputs)
    for ops in parts:
        try:
            if ops[0] in elsewhere:
                add_part(ops, builder, readers)
            else:
                builder.run(ops[0])
        except _REFUSALS as error:
            if ops[0] in elsewhere or not fallback:
                raise _named(ops[0], error) from None
            refused.add(ops[0])
            try:
                add_part(ops, builder, readers)  # alone, so that nodes behind it are tried too
            except _REFUSALS:
                raise _named(ops[0], error) from None
    return builder, refused


_REFUSALS = (ValueError, TypeError, KeyError, IndexError, OverflowError)


def _named(op: Op, error: Exception) -> ValueError:
    text = " ".join(str(error).split())
    return ValueError(text if text.startswith(("node ", "nodes ")) else f"node {op}: {text}")
