# SPDX-License-Identifier: BSD-3-Clause
"""Names that arguments may have, for type checkers; `tests/test_typing.py` holds them against the lists that count."""

from __future__ import annotations

from typing import Literal, TypeAlias

Activation: TypeAlias = Literal["relu", "relu6", "leaky_relu", "silu", "gelu", "hard_swish", "sigmoid", "tanh"]
Strategy: TypeAlias = Literal["auto", "strict", "split"]
Block: TypeAlias = Literal["auto"] | tuple[int, int]
Method: TypeAlias = Literal["assignment", "greedy"]
ImageLayout: TypeAlias = Literal["NCHW", "NHWC"]
SignalLayout: TypeAlias = Literal["NCL", "NLC"]
