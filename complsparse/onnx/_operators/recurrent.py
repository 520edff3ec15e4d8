# SPDX-License-Identifier: BSD-3-Clause
"""Recurrent layers: GRU, LSTM, RNN, in one direction or both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

from complsparse import nn
from complsparse.onnx._nodes import Op
from complsparse.onnx._operators.table import built, computed
from complsparse.onnx._sparse_tensors import part_of

_ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": scipy.special.expit,
    "affine": lambda x, alpha=1.0, beta=0.0: x * x.dtype.type(alpha) + x.dtype.type(beta),
    "leakyrelu": lambda x, alpha=0.01: np.where(x < 0, x * x.dtype.type(alpha), x),
    "thresholdedrelu": lambda x, alpha=1.0: np.where(x > alpha, x, x.dtype.type(0)),
    "scaledtanh": lambda x, alpha=1.0, beta=1.0: x.dtype.type(alpha) * np.tanh(x.dtype.type(beta) * x),
    "hardsigmoid": lambda x, alpha=0.2, beta=0.5: np.clip(x.dtype.type(alpha) * x + x.dtype.type(beta), 0, 1),
    "elu": lambda x, alpha=1.0: np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0))),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "softplus": lambda x: np.logaddexp(x, x.dtype.type(0)),
}
_NUMBERS = {"affine": 2, "leakyrelu": 1, "thresholdedrelu": 1, "scaledtanh": 2, "hardsigmoid": 2, "elu": 1}
_DEFAULT = {"GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh"), "RNN": ("Tanh",)}
_GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}


def activations(op: Op, directions: int) -> list[list[Callable[..., Any]]]:
    """Of each direction."""
    names = op.strs("activations", None) or _DEFAULT[op.kind] * directions
    if len(names) != len(_DEFAULT[op.kind]) * directions:
        raise op.refuse(f"{len(names)} activations for {directions} directions")
    alpha, beta = list(op.floats("activation_alpha", ())), list(op.floats("activation_beta", ()))
    found = []
    for name in names:
        key = str(name).lower()
        if key not in _ACTIVATIONS:
            raise op.refuse(f"activation {name!r} is not known")
        given = {}
        if alpha and _NUMBERS.get(key, 0) > 0:
            given["alpha"] = alpha.pop(0)
        if beta and _NUMBERS.get(key, 0) > 1:
            given["beta"] = beta.pop(0)
        found.append(_bound(_ACTIVATIONS[key], given))
    each = len(_DEFAULT[op.kind])
    return [found[i * each : (i + 1) * each] for i in range(directions)]


def _bound(function: Callable[..., Any], numbers: dict[str, float]) -> Callable[..., Any]:
    return lambda x: function(x, **numbers)


@built("GRU", "LSTM")
def recurrent_layer(op: Op, build: Any) -> Any:
    """A layer for each direction: of constant weights, ONNX's own activations, and sequences of one length."""
    way = op.str("direction", "forward", ("forward", "reverse", "bidirectional"))
    directions, n_states = 2 if way == "bidirectional" else 1, 1 if op.kind == "GRU" else 2
    w, r = build.weights(op, 1), build.weights(op, 2)
    b, p = (build.constant(op, i) if op.has(i) else None for i in (3, 7))
    shape, given = build.shape(op, 0), [op.has(i) for i in range(5, 5 + n_states)]
    if w is None or r is None or (op.has(3) and b is None) or (op.has(7) and p is None) or shape is None:
        return None
    if op.has(4) or any(given) != all(given) or not _is_plain(op, directions):
        return None
    hidden = check_shapes(op, np.broadcast_to(np.float32(0), shape), w, r, b, directions)
    b = np.zeros((directions, 2 * _GATES[op.kind] * hidden), dtype=r.dtype) if b is None else b
    begin: list[Any] = [[] for _ in range(directions)]
    for i in range(5, 5 + n_states) if any(given) else ():
        parts = build.add(op, nn.Split(parts=directions), build.value(op, i)) if directions > 1 else build.value(op, i)
        for d, part in enumerate(parts if directions > 1 else [parts]):
            begin[d].append(build.add(op, nn.Squeeze(axes=(0,)), part))
    found = []
    for d in range(directions):
        more: dict[str, Any] = {"bias": b[d, : b.shape[1] // 2], "recurrent_bias": b[d, b.shape[1] // 2 :]}
        if op.kind == "GRU":
            more["linear_before_reset"] = bool(op.int("linear_before_reset", 0))
        elif p is not None:
            more["peephole"] = p[d]
        layer = nn.GRU if op.kind == "GRU" else nn.LSTM
        weights = (build.matrix(part_of(W, d), transpose=False) for W in (w, r))
        made = layer(*weights, reverse=way == "reverse" or d == 1, **more)
        found.append(build.add(op, made, build.value(op, 0), *begin[d]))
    several = []
    for i, axis in enumerate((1, *[0] * n_states)[: len(op.outputs)]):
        parts = [build.add(op, nn.Unsqueeze(axes=(axis,)), of_direction[i]) for of_direction in found]
        several.append(parts[0] if directions == 1 else build.add(op, nn.Concat(axis=axis), *parts))
    return several


def _is_plain(op: Op, directions: int) -> bool:
    """Whether layers have this form: steps in front, activations without numbers, nothing clipped."""
    default = [name.lower() for name in _DEFAULT[op.kind] * directions]
    names = op.strs("activations", None)
    same = names is None or [str(name).lower() for name in names] == default
    return same and not (op.int("layout", 0) or op.float("clip", 0.0) or op.int("input_forget", 0))


@computed("GRU", "LSTM", "RNN")
def recurrent(op: Op, x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None, h: Any = None, c: Any = None,
              peepholes: Any = None) -> Any:  # fmt: skip
    """As ONNX has it: x (steps, batch, features), or batch first with layout 1; weights of each direction."""
    way = op.str("direction", "forward", ("forward", "reverse", "bidirectional"))
    directions = 2 if way == "bidirectional" else 1
    if op.int("layout", 0):
        x = x.swapaxes(0, 1)
        h, c = (None if state is None else state.swapaxes(0, 1) for state in (h, c))
    hidden = check_shapes(op, x, w, r, b, directions)
    if op.has(4) and lengths is not None and np.shape(lengths) != (x.shape[1],):
        raise op.refuse(f"{np.size(lengths)} lengths of {x.shape[1]} sequences")
    functions = activations(op, directions)
    zeros = np.zeros((directions, x.shape[1], hidden), dtype=x.dtype)
    h, c = (zeros if state is None else state for state in (h, c))
    p = np.zeros((directions, 3 * hidden), dtype=x.dtype) if peepholes is None else peepholes
    b = np.zeros((directions, 2 * _GATES[op.kind] * hidden), dtype=x.dtype) if b is None else b
    found = []
    for d in range(directions):
        backward = way == "reverse" or d == 1
        steps = reversed_sequences(x, lengths) if backward else x
        y, last, cell = _run(op, steps, w[d], r[d], b[d], lengths, h[d], c[d], p[d], functions[d])
        found.append((reversed_sequences(y, lengths) if backward else y, last, cell))
    y = np.stack([one[0] for one in found], axis=1)  # steps, directions, batch, hidden
    last, cell = (np.stack([one[i] for one in found]) for i in (1, 2))
    if op.int("layout", 0):
        y, last, cell = y.transpose(2, 0, 1, 3), last.swapaxes(0, 1), cell.swapaxes(0, 1)
    return (y, last, cell) if op.kind == "LSTM" else (y, last)


def check_shapes(op: Op, x: Any, w: Any, r: Any, b: Any, directions: int) -> int:
    """The number of hidden units."""
    gates = _GATES[op.kind]
    if x.ndim != 3 or w.ndim != 3 or r.ndim != 3:
        raise op.refuse(f"shapes {x.shape}, {w.shape} and {r.shape} of x, W and R")
    hidden = int(r.shape[2])
    wanted = (directions, gates * hidden, x.shape[2]), (directions, gates * hidden, hidden)
    if (w.shape, r.shape) != wanted or op.int("hidden_size", hidden) != hidden:
        raise op.refuse(f"W and R of shapes {w.shape} and {r.shape}; {wanted[0]} and {wanted[1]} are expected")
    if b is not None and b.shape != (directions, 2 * gates * hidden):
        raise op.refuse(f"biases of shape {b.shape}; {(directions, 2 * gates * hidden)} is expected")
    return hidden


def reversed_sequences(x: Any, lengths: Any) -> Any:
    """Each sequence from its end to its start; what lies behind its end stays where it is."""
    if lengths is None:
        return x[::-1]
    y = x.copy()
    for i, length in enumerate(lengths):
        y[:length, i] = x[:length, i][::-1]
    return y


def _run(op: Op, x: Any, w: Any, r: Any, b: Any, lengths: Any, h: Any, c: Any, p: Any, functions: Any) -> Any:
    """One direction: all states, the last ones, and the last cells."""
    hidden = h.shape[-1]
    half = len(b) // 2
    of_input = x @ w.T + b[:half]
    clip = op.float("clip", 0.0)
    if clip:
        functions = [_clipped(function, clip) for function in functions]
    cell = {"GRU": _gru, "LSTM": _lstm, "RNN": _rnn}[op.kind]
    y = np.zeros((len(x), *h.shape), dtype=x.dtype)
    for t in range(len(x)):
        new_h, new_c = cell(op, of_input[t], r, b[half:], h, c, p, functions, hidden)
        if lengths is not None:
            alive = (t < np.asarray(lengths))[:, None]
            y[t] = np.where(alive, new_h, 0)
            h, c = np.where(alive, new_h, h), np.where(alive, new_c, c)
        else:
            y[t] = h = new_h
            c = new_c
    return y, h, c


def _clipped(function: Callable[..., Any], clip: float) -> Callable[..., Any]:
    return lambda x: function(np.clip(x, x.dtype.type(-clip), x.dtype.type(clip)))


def _rnn(op: Op, x: Any, r: Any, b: Any, h: Any, c: Any, p: Any, functions: Any, hidden: int) -> Any:
    return functions[0](x + h @ r.T + b), c


def _gru(op: Op, x: Any, r: Any, b: Any, h: Any, c: Any, p: Any, functions: Any, hidden: int) -> Any:
    """Gates in the order update, reset, new."""
    f, g = functions
    two = slice(0, 2 * hidden)
    z, reset = np.split(f(x[:, two] + h @ r[two].T + b[two]), 2, axis=-1)
    new = slice(2 * hidden, None)
    if op.int("linear_before_reset", 0):
        candidate = g(x[:, new] + reset * (h @ r[new].T + b[new]))
    else:
        candidate = g(x[:, new] + (reset * h) @ r[new].T + b[new])
    return (1 - z) * candidate + z * h, c


def _lstm(op: Op, x: Any, r: Any, b: Any, h: Any, c: Any, p: Any, functions: Any, hidden: int) -> Any:
    """Gates in the order input, output, forget, cell."""
    f, g, last = functions
    i, o, forget, new = np.split(x + h @ r.T + b, 4, axis=-1)
    of_i, of_o, of_forget = np.split(p, 3)
    i = f(i + of_i * c)
    forget = 1 - i if op.int("input_forget", 0) else f(forget + of_forget * c)
    cell = forget * c + i * g(new)
    return f(o + of_o * cell) * last(cell), cell
