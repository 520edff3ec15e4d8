# SPDX-License-Identifier: BSD-3-Clause
"""Whether bytes are a well-formed protocol buffer: every tag, length, text and level of nesting is looked at in Python,
before a parser in other people's compiled code sees them."""

from __future__ import annotations

from typing import Any, NamedTuple

MOST_BYTES = 2**31 - 1  # of a message, in every implementation of protocol buffers
_DEEPEST = 40  # messages within messages; a graph in a node in a graph takes three, types of types of types as many
_MOST_FIELDS = 10_000_000


def check_wire(data: bytes, descriptor: Any) -> None:
    """ValueError with the position of the first field that is not what it should be; O(fields).

    `descriptor` says which fields of the message are messages themselves, and are looked into, and which are texts.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"{len(data)} bytes; a model has at most {MOST_BYTES}: keep large weights in external data")
    open_messages = [(_kind(descriptor), len(data))]
    kinds = {descriptor.full_name: open_messages[0][0]}
    at = fields = 0
    while open_messages:
        kind, end = open_messages[-1]
        if at == end:
            open_messages.pop()
            continue
        fields += 1
        if fields > _MOST_FIELDS:
            raise ValueError(f"more than {_MOST_FIELDS} fields")
        tag, at = _varint(data, at, end)
        size, at = _size(data, tag, at, end)
        inner = kind.messages.get(tag >> 3) if tag & 7 == 2 else None
        if inner is None:
            if tag & 7 == 2 and tag >> 3 in kind.texts:
                _check_text(data, at, size)
            at += size
            continue
        if len(open_messages) >= _DEEPEST:
            raise ValueError(f"messages nested more than {_DEEPEST} deep at byte {at}")
        if inner.full_name not in kinds:
            kinds[inner.full_name] = _kind(inner)
        open_messages.append((kinds[inner.full_name], at + size))


class _Kind(NamedTuple):
    """Of a message: its fields by number."""

    messages: dict[int, Any]
    texts: frozenset[int]


def _kind(descriptor: Any) -> _Kind:
    messages = {field.number: field.message_type for field in descriptor.fields if field.message_type is not None}
    return _Kind(messages, frozenset(field.number for field in descriptor.fields if field.type == field.TYPE_STRING))


def _check_text(data: bytes, at: int, size: int) -> None:
    """Parsers hand out as bytes what is no UTF-8."""
    try:
        data[at : at + size].decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"a text is not UTF-8 at byte {at + error.start}") from None


def _size(data: bytes, tag: int, at: int, end: int) -> tuple[int, int]:
    """Of the field behind its tag: how many bytes it has, and where they begin."""
    number, wire = tag >> 3, tag & 7
    if not 0 < number < 2**29:
        raise ValueError(f"a field has the number {number} at byte {at}")
    if wire == 0:
        return 0, _varint(data, at, end)[1]
    if wire == 2:
        size, at = _varint(data, at, end)
    elif wire in (1, 5):
        size = 8 if wire == 1 else 4
    else:
        raise ValueError(f"a field has the wire type {wire} at byte {at}")
    if size > end - at:
        raise ValueError(f"a field of {size} bytes at byte {at}, where {end - at} are left")
    return size, at


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise ValueError(f"a number is cut off at byte {at}")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError(f"a number of more than ten bytes at byte {at}")
