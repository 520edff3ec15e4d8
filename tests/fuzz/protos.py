# SPDX-License-Identifier: BSD-3-Clause
"""Damage to messages of protocol buffers: fields are changed, left out, repeated and exchanged, whatever they mean."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

WHOLE = (0, 1, -1, 2, 3, 7, 8, 17, 64, 255, 65536, 2**20, 2**31 - 1, 2**31, -(2**31), 2**40, 2**62, 2**63 - 1, -(2**63))
REAL = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e30, 3.4e38, -3.4e38, float("nan"), float("inf"), float("-inf"))
TEXT = ("", "x", "y", "w", "a" * 300, "\0", "\n", "../x", "\x1b[31m", "\u202e", "ai.onnx", "SAME_UPPER", "NOTSET", "é")


def messages(proto: Any) -> list[Any]:
    """A message, and all within it."""
    found = [proto]
    for field, value in proto.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                found.extend(messages(inner))
    return found


def words(proto: Any) -> list[str]:
    """The texts that stand in a message."""
    found = []
    for message in messages(proto):
        for field, value in message.ListFields():
            if field.cpp_type == field.CPPTYPE_STRING and field.type == field.TYPE_STRING:
                found.extend(value if field.is_repeated else [value])
    return found


def mutate(rng: np.random.Generator, proto: Any, texts: list[str]) -> None:
    """Changes one field of one message, chosen among all."""
    every = messages(proto)
    chosen = every[int(rng.integers(len(every)))]
    there = [field for field, _ in chosen.ListFields()]
    fields = there if there and rng.random() < 0.85 else list(chosen.DESCRIPTOR.fields)
    field = fields[int(rng.integers(len(fields)))]
    if rng.random() < 0.1:
        chosen.ClearField(field.name)
    elif field.is_repeated:
        _repeated(rng, chosen, field, every, texts)
    elif field.message_type is not None:
        twins = [message for message in every if message.DESCRIPTOR is field.message_type]
        if twins and not _within(chosen, twins):
            getattr(chosen, field.name).CopyFrom(twins[int(rng.integers(len(twins)))])
        else:
            getattr(chosen, field.name).SetInParent()
    else:
        with contextlib.suppress(ValueError, TypeError):  # not of this field's range
            setattr(chosen, field.name, _value(rng, field, texts))


def _within(chosen: Any, twins: list[Any]) -> bool:
    """Whether a copy would hold itself."""
    return any(any(inner is chosen for inner in messages(twin)) for twin in twins)


def _repeated(rng: np.random.Generator, chosen: Any, field: Any, every: list[Any], texts: list[str]) -> None:
    held = getattr(chosen, field.name)
    what, at = rng.random(), int(rng.integers(len(held))) if held else 0
    if held and what < 0.25:
        del held[at]
    elif field.message_type is not None:
        twins = [message for message in every if message.DESCRIPTOR is field.message_type]
        if twins and not _within(chosen, twins):
            copied = type(twins[0])()
            copied.CopyFrom(twins[int(rng.integers(len(twins)))])
            if held and what < 0.5:
                held[at].CopyFrom(copied)
            else:
                held.insert(int(rng.integers(len(held) + 1)), copied)
        else:
            held.add()
    else:
        value = _value(rng, field, texts)
        with contextlib.suppress(ValueError, TypeError):  # not of this field's range
            if held and what < 0.75:
                held[at] = value
            else:
                held.insert(int(rng.integers(len(held) + 1)), value)


def _value(rng: np.random.Generator, field: Any, texts: list[str]) -> Any:
    if field.type == field.TYPE_BYTES:
        return rng.bytes(int(rng.integers(0, 40))) if rng.random() < 0.5 else _text(rng, texts).encode()
    if field.cpp_type == field.CPPTYPE_STRING:
        return _text(rng, texts)
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return REAL[int(rng.integers(len(REAL)))]
    if field.enum_type is not None and rng.random() < 0.7:
        return field.enum_type.values[int(rng.integers(len(field.enum_type.values)))].number
    return int(rng.integers(-4, 30)) if rng.random() < 0.6 else WHOLE[int(rng.integers(len(WHOLE)))]


def _text(rng: np.random.Generator, texts: list[str]) -> str:
    among = texts if texts and rng.random() < 0.8 else TEXT
    return among[int(rng.integers(len(among)))]
