# SPDX-License-Identifier: BSD-3-Clause
"""Activations and norms that exporters write out, as the operators that they are."""

from __future__ import annotations

import math
from typing import Any

from onnxscript.rewriter import pattern

from complsparse.onnx._operators.table import OURS

_close = {"rel_tol": 1e-4, "abs_tol": 1e-6}


def _number(value: Any) -> float | None:
    """Of a constant of one entry."""
    tensor = None if value is None else value.const_value
    if tensor is None or tensor.size != 1:
        return None
    return float(tensor.numpy().reshape(())) if tensor.dtype.is_floating_point() else None


def _rule(target: Any, replacement: Any, **numbers: float) -> pattern.RewriteRule:
    """Where the constants of the pattern are these numbers."""

    def check(context: Any, **found: Any) -> bool:
        for name, wanted in numbers.items():
            given = _number(found[name])
            if given is None or not math.isclose(given, wanted, **_close):
                return False
        return True

    return pattern.RewriteRule(target, replacement, check)


def _when(target: Any, replacement: Any, holds: Any) -> pattern.RewriteRule:
    return pattern.RewriteRule(target, replacement, lambda context, **found: bool(holds(**found)))


# --- activations ------------------------------------------------------------------------------------------------------


def _gelu(op: Any, x: Any, **_: Any) -> Any:
    return op.Gelu(x, _domain=OURS)


def _gelu_rules(inner: Any, root: float) -> list[pattern.RewriteRule]:
    """`inner(op, x, root)`: what the error function is taken of."""
    return [
        _rule(target, _gelu, root=root, one=1.0, half=0.5)
        for target in (
            lambda op, x, root, one, half: op.Mul(op.Mul(x, op.Add(op.Erf(inner(op, x, root)), one)), half),
            lambda op, x, root, one, half: op.Mul(op.Mul(x, half), op.Add(op.Erf(inner(op, x, root)), one)),
            lambda op, x, root, one, half: op.Mul(x, op.Mul(op.Add(op.Erf(inner(op, x, root)), one), half)),
        )
    ]


_gelus = [
    *_gelu_rules(lambda op, x, root: op.Div(x, root), math.sqrt(2)),
    *_gelu_rules(lambda op, x, root: op.Mul(x, root), math.sqrt(0.5)),
]

_silu = pattern.RewriteRule(
    lambda op, x: op.Mul(x, op.Sigmoid(x)),
    lambda op, x, **_: op.Silu(x, _domain=OURS),
)


def _hard_swish(op: Any, x: Any, **_: Any) -> Any:
    return op.HardSwish(x, _domain=OURS)


def _ramp(op: Any, x: Any, three: Any, low: Any, high: Any) -> Any:
    return op.Clip(op.Add(x, three), low, high)


_of_ramp = {"three": 3.0, "low": 0.0, "high": 6.0}
_hard_swishes = [
    _rule(lambda op, x, three, low, high, by: op.Div(op.Mul(x, _ramp(op, x, three, low, high)), by), _hard_swish,
          by=6.0, **_of_ramp),
    _rule(lambda op, x, three, low, high, by: op.Mul(x, op.Div(_ramp(op, x, three, low, high), by)), _hard_swish,
          by=6.0, **_of_ramp),
    _rule(lambda op, x, three, low, high, by: op.Mul(op.Mul(x, _ramp(op, x, three, low, high)), by), _hard_swish,
          by=1 / 6, **_of_ramp),
    _rule(lambda op, x, three, low, high, by: op.Mul(x, op.Mul(_ramp(op, x, three, low, high), by)), _hard_swish,
          by=1 / 6, **_of_ramp),
    _when(
        lambda op, x, ramp: op.Mul(x, op.HardSigmoid(x, _outputs=["ramp"])), _hard_swish,
        lambda x, ramp, **_: _attributes(ramp, alpha=(1 / 6, 0.2), beta=(0.5, 0.5)),
    ),
]  # fmt: skip


def _attributes(value: Any, **wanted: tuple[float, float]) -> bool:
    """Whether the node of a value has these numbers; the second of each pair is what it has unless given."""
    given = value.producer().attributes
    return all(
        math.isclose(given[name].value if name in given else default, number, **_close)
        for name, (number, default) in wanted.items()
    )


# --- norms ------------------------------------------------------------------------------------------------------------


def _last_axis(mean: Any) -> bool:
    """Whether a ReduceMean is over the last axis, which stays."""
    node = mean.producer()
    axes = node.attributes["axes"].value if "axes" in node.attributes else None
    if len(node.inputs) > 1:
        tensor = node.inputs[1].const_value
        axes = None if tensor is None else tensor.numpy().reshape(-1).tolist()
    keepdims = node.attributes["keepdims"].value if "keepdims" in node.attributes else 1
    return bool(keepdims) and axes is not None and list(axes) == [-1]


def _norm(squared: Any, divided: Any) -> pattern.RewriteRule:
    def target(op: Any, x: Any, eps: Any) -> Any:
        mean = op.ReduceMean(x, _allow_other_inputs=True, _outputs=["mean"])
        deviation = op.Sub(x, mean)
        var = op.ReduceMean(squared(op, deviation), _allow_other_inputs=True, _outputs=["var"])
        return divided(op, deviation, op.Sqrt(op.Add(var, eps)))

    def holds(eps: Any, mean: Any, var: Any, **found: Any) -> bool:
        two = found.get("two")
        squares = two is None or (two.const_value is not None and two.const_value.numpy().reshape(-1).tolist() == [2])
        return squares and _number(eps) is not None and _last_axis(mean) and _last_axis(var)

    def replacement(op: Any, x: Any, eps: Any, **_: Any) -> Any:
        return op.Norm(x, epsilon=_number(eps), _domain=OURS)

    return _when(target, replacement, holds)


_norms = [
    _norm(squared, divided)
    for squared in (
        lambda op, d: op.Mul(d, d),
        lambda op, d: op.Pow(d, pattern.Var("two")),
    )
    for divided in (
        lambda op, d, s: op.Div(d, s),
        lambda op, d, s: op.Mul(d, op.Reciprocal(s)),
    )
]


def _vector(value: Any, size: Any = None) -> bool:
    tensor = value.const_value
    return tensor is not None and len(tensor.shape) == 1 and (size is None or tensor.shape[0] == size)


_norm_factors = [
    _when(
        lambda op, x, weight: op.Mul(op.Norm(x, _domain=OURS, _outputs=["norm"]), weight),
        lambda op, x, weight, norm: op.Norm(
            x, weight, epsilon=norm.producer().attributes["epsilon"].value, _domain=OURS
        ),
        lambda weight, **_: _vector(weight),
    ),
    _when(
        lambda op, x, weight, bias: op.Add(op.Norm(x, weight, _domain=OURS, _outputs=["norm"]), bias),
        lambda op, x, weight, bias, norm: op.Norm(
            x, weight, bias, epsilon=norm.producer().attributes["epsilon"].value, _domain=OURS
        ),
        lambda bias, **_: _vector(bias),
    ),
]

# --- biases -----------------------------------------------------------------------------------------------------------


def _for_channels(w: Any, bias: Any, **_: Any) -> bool:
    """Whether a summand is a number for each channel of a convolution."""
    tensor = bias.const_value
    if tensor is None or w.shape is None or len(w.shape) < 3 or not isinstance(w.shape[0], int):
        return False
    shape, spatial = tuple(tensor.shape), len(w.shape) - 2
    return shape in ((w.shape[0], *[1] * spatial), (1, w.shape[0], *[1] * spatial))


def _with_bias(op: Any, x: Any, w: Any, bias: Any, conv: Any) -> Any:
    flat = op.Reshape(bias, op.Constant(value_ints=[-1]))
    return op.Conv(x, w, flat, **conv.producer().attributes)


_biases = [
    _when(
        lambda op, x, w, bias: op.Add(op.Conv(x, w, _outputs=["conv"]), bias),
        _with_bias,
        lambda w, bias, conv, **_: _for_channels(w, bias) and len(conv.producer().inputs) == 2,
    ),
    _when(
        lambda op, x, w, bias: op.Add(op.MatMul(x, w), bias),
        lambda op, x, w, bias, **_: op.Linear(x, w, bias, _domain=OURS),
        lambda w, bias, **_: w.shape is not None and len(w.shape) == 2 and _vector(bias, w.shape[1]),
    ),
]

RULES = pattern.RewriteRuleSet(
    [*_gelus, *_hard_swishes, _silu, *_norms, *_norm_factors, *_biases],
    commute=True,
)
