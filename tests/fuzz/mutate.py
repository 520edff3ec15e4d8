# SPDX-License-Identifier: BSD-3-Clause
"""Damage to bytes, as files meet it and as somebody would make it who wants more than a refusal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Values at the edges of types, as bytes of 1 to 8.
EDGES = tuple(
    (value % 256**size).to_bytes(size, "little")
    for size in (1, 2, 4, 8)
    for value in (0, 1, -1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 127, 128, 255, 256)
)


def _span(rng: np.random.Generator, content: bytearray, most: int = 64) -> slice:
    start = int(rng.integers(len(content) + 1))
    return slice(start, start + int(rng.integers(1, most)))


def _flip(rng: np.random.Generator, content: bytearray) -> None:
    content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))


def _put(rng: np.random.Generator, content: bytearray) -> None:
    content[int(rng.integers(len(content)))] = int(rng.integers(256))


def _cut(rng: np.random.Generator, content: bytearray) -> None:
    del content[_span(rng, content)]


def _end(rng: np.random.Generator, content: bytearray) -> None:
    del content[int(rng.integers(len(content) + 1)) :]


def _repeat(rng: np.random.Generator, content: bytearray) -> None:
    piece = bytes(content[_span(rng, content)])
    at = int(rng.integers(len(content) + 1))
    content[at:at] = piece * int(rng.integers(1, 4))


def _edge(rng: np.random.Generator, content: bytearray) -> None:
    value = EDGES[int(rng.integers(len(EDGES)))]
    at = int(rng.integers(len(content)))
    content[at : at + len(value)] = value


BYTES = (_flip, _flip, _put, _put, _cut, _end, _repeat, _edge)


def damaged(rng: np.random.Generator, content: bytes, most: int = 6) -> bytes:
    """The bytes after one to `most` random changes."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, most + 1))):
        if changed:
            BYTES[int(rng.integers(len(BYTES)))](rng, changed)
    return bytes(changed)


def retold(rng: np.random.Generator, content: bytes, tokens: Sequence[bytes], most: int = 4) -> bytes:
    """Text in which words have been replaced by others of `tokens`, left out, said twice, or joined."""
    words = content.replace(b"\n", b" \n ").split(b" ")
    for _ in range(int(rng.integers(1, most + 1))):
        at = int(rng.integers(len(words)))
        what = int(rng.integers(8))
        if what < 5:
            words[at] = tokens[int(rng.integers(len(tokens)))]
        elif what == 5:
            words[at : at + 1] = []
        elif what == 6:
            words[at:at] = [words[at]]
        else:
            words[at : at + 2] = [b"".join(words[at : at + 2])]
        words = words or [b""]
    return b" ".join(words).replace(b" \n ", b"\n").replace(b" \n", b"\n")
