# SPDX-License-Identifier: BSD-3-Clause
"""Matrix Market files (R. Boisvert, R. Pozo, K. Remington: "The Matrix Market Exchange Formats", NISTIR 5935, 1996).

Strict: a line has the fields that the banner names, and each is read as a whole or refused with its line. More is
accepted where it can mean one thing only: capitals, blank lines, comments between entries, exponents behind D, the
words ``double`` and ``unsigned-integer``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from complsparse._files.decimals import (
    BadToken,
    Text,
    fit_float32,
    read_decimals,
    read_integers,
    read_sizes,
)
from complsparse._files.trust import check_sizes
from complsparse._matrix.csr import check_dtype, check_shape

CHUNK = 2**19  # bytes of text that are read at a time; no line is longer
FIELDS = {
    "real": "real",
    "double": "real",
    "integer": "integer",
    "unsigned-integer": "integer",
    "pattern": "pattern",
    "complex": "complex",
}
SYMMETRIES = ("general", "symmetric", "skew-symmetric", "hermitian")  # hermitian is symmetric where nothing is complex
_SPACES = b" \t\r\n"  # between words: no others of ASCII or Unicode
_COMMENT = re.compile(rb"^[ \t]*%.*$", re.MULTILINE)


def _table() -> bytes:
    """Characters of numbers in lower case, with ``e`` for the ``d`` of Fortran; 0 for all that no number contains."""
    table = bytearray(256)
    for character in b"0123456789+-.naifty \n":
        table[character] = character
    for character in b"naifty":
        table[ord(chr(character).upper())] = character
    for character in b"eEdD":
        table[character] = ord("e")
    for character in b"\t\r":
        table[character] = ord(" ")
    return bytes(table)


_CHARACTERS = _table()


class Header(NamedTuple):
    coordinate: bool
    field: str
    symmetry: str
    shape: tuple[int, int]
    entries: int  # lines of the body
    lines: int  # of the header

    @property
    def fields_per_line(self) -> int:
        return 2 * self.coordinate + (self.field != "pattern")


def read_matrix_market(stream: IO[bytes], n_bytes: int, *, narrow: bool = True, stored_bytes: int = 0) -> Any:
    """A coo_array of a coordinate file, a dense array of an array file.

    Parameters
    ----------
    stream : binary file
    n_bytes : int
        Its size.
    stored_bytes : int
        The size that bounds the shape: of the compressed file, where there is one.
    narrow : bool
        Whether ``real`` values become float32 where that is as fine as the text: each within half a unit of the last
        digit that is spelled. Otherwise they are float64. A pattern is ones, in float32 or float64. Integers are
        int64, or uint64 where one needs it.

    Raises
    ------
    ValueError
        With the number of the line.
    TypeError
        Complex values.
    """
    header = _read_header(stream)
    check_sizes(header.shape, stored_bytes or n_bytes)
    shortest = 2 * header.fields_per_line  # bytes of a line
    if header.entries * shortest > n_bytes + 1:
        raise ValueError(f"declares {header.entries} entries but has {n_bytes} bytes")
    parts: list[Part] = []
    line = header.lines + 1
    for content in _chunks(stream):
        parts.append(_read_chunk(content, line, header, narrow))
        line += parts[-1].lines
    found = sum(part.entries for part in parts)
    if found != header.entries:
        raise ValueError(f"declares {header.entries} entries but has {found}")
    values = _joined_values(parts, header, narrow)
    if not header.coordinate:
        return _dense(values, header)
    rows, cols = (np.concatenate([part.indices[axis] for part in parts] or [np.empty(0, np.int64)]) for axis in (0, 1))
    return _mirrored(rows, cols, values, header)


# --- header -----------------------------------------------------------------------------------------------------------


def _read_header(stream: IO[bytes]) -> Header:
    banner = stream.readline(1024)
    words = [word.decode("latin-1") for word in _words(banner.lower())]
    if len(words) != 5 or words[0] != "%%matrixmarket":
        raise ValueError(
            "line 1 is not '%%MatrixMarket matrix coordinate|array real|integer|pattern "
            f"{'|'.join(SYMMETRIES)}' but {banner[:60].decode('latin-1').rstrip()!r}"
        )
    _, kind, layout, field, symmetry = words
    for word, known in (
        (kind, ("matrix",)),
        (layout, ("coordinate", "array")),
        (field, tuple(FIELDS)),
        (symmetry, SYMMETRIES),
    ):
        if word not in known:
            raise ValueError(f"line 1 says {word!r} where one of {', '.join(known)} is expected")
    field = FIELDS[field]
    if field == "complex":
        check_dtype(np.complex128)  # raises
    if field == "pattern" and (layout == "array" or symmetry == "skew-symmetric"):
        raise ValueError(f"line 1 contradicts itself: a pattern has no {'array' if layout == 'array' else 'signs'}")
    line, number = b"", 1
    while not line.strip(_SPACES) or line.lstrip(_SPACES).startswith(b"%"):
        line = stream.readline(CHUNK)
        number += 1
        if not line:
            raise ValueError("ends before the line of sizes")
    sizes = _sizes(line, number, 3 if layout == "coordinate" else 2)
    shape = check_shape(sizes[:2])
    if symmetry != "general" and shape[0] != shape[1]:
        raise ValueError(f"a {symmetry} matrix is square, but line {number} says {shape[0]} rows, {shape[1]} columns")
    if layout == "coordinate":
        return Header(True, field, symmetry, shape, sizes[2], number)
    size = shape[0]
    entries = {"general": size * shape[1], "skew-symmetric": size * (size - 1) // 2}.get(
        symmetry, size * (size + 1) // 2
    )
    return Header(False, field, symmetry, shape, entries, number)


def _words(line: bytes) -> list[bytes]:
    return [word for word in re.split(b"[" + _SPACES + b"]", line) if word]


def _sizes(line: bytes, number: int, count: int) -> list[int]:
    words = _words(line)
    if len(words) != count or not all(word.isdigit() and len(word) <= 18 for word in words):
        shown = line[:60].decode("latin-1").strip()
        raise ValueError(f"line {number}: {shown!r} is not {count} sizes from 0 to 10**18 - 1")
    return [int(word) for word in words]


# --- body -------------------------------------------------------------------------------------------------------------


class Part(NamedTuple):
    """What some lines say."""

    lines: int
    entries: int
    indices: tuple[NDArray[np.int64], ...]  # rows and columns from 0, of coordinate files
    values: NDArray[Any]  # in the narrowest type of those that the field may have; none of a pattern


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """Whole lines."""
    rest = b""
    while True:
        more = stream.read(CHUNK)
        content = rest + more
        if more:
            end = content.rfind(b"\n") + 1
            if not end:
                if len(content) > CHUNK:
                    raise ValueError(f"has a line of more than {CHUNK} bytes")
                rest = content
                continue
        elif content:
            content += b"\n"
            end = len(content)
        else:
            return
        yield content[:end]
        rest = content[end:]
        if not more:
            return


def _read_chunk(content: bytes, line: int, header: Header, narrow: bool) -> Part:
    if b"%" in content:
        content = _COMMENT.sub(b"", content)
    lowered = content.translate(_CHARACTERS)
    if (wrong := lowered.find(0)) >= 0:
        number = line + content.count(b"\n", 0, wrong)
        raise ValueError(f"line {number}: the byte {content[wrong : wrong + 1]!r} is in no number")
    text = Text(lowered)
    newlines = np.flatnonzero(text.characters == ord("\n"))
    start, end = _table_of_tokens(text, newlines, line, header.fields_per_line)
    column = 0
    try:
        indices = []
        for column in range(2 * header.coordinate):
            index = read_sizes(text, start[:, column].copy(), end[:, column].copy())
            _check_index(index, header.shape[column])
            indices.append(index - 1)
        values: NDArray[Any] = np.empty(0, np.float32)
        column = header.fields_per_line - 1
        if header.field == "real":
            decimals = read_decimals(text, start[:, -1].copy(), end[:, -1].copy())
            values = decimals.values.astype(np.float32) if narrow and fit_float32(decimals) else decimals.values
        elif header.field == "integer":
            values = _signed(*read_integers(text, start[:, -1].copy(), end[:, -1].copy()))
    except BadToken as error:
        number = line + text.content.count(b"\n", 0, int(start[error.at, column]))
        raise ValueError(f"line {number}: {error}") from None
    return Part(len(newlines), len(start), tuple(indices), values)


def _check_index(index: NDArray[np.int64], size: int) -> None:
    if len(index) and (int(index.min()) < 1 or int(index.max()) > size):
        at = int(np.flatnonzero((index < 1) | (index > size))[0])
        raise BadToken(at, f"the index {index[at]} is not from 1 to {size}")


def _table_of_tokens(
    text: Text, newlines: NDArray[np.int64], line: int, fields: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the tokens of each line start and end, one line a row; blank lines have none."""
    start, end = text.start, text.end
    if len(start) == fields * len(newlines):
        # Usually no line is blank, and the i-th tokens lie between two line ends. That is quicker to see than counts.
        first, last = start[::fields], end[fields - 1 :: fields]
        if (last <= newlines).all() and (first[1:] > newlines[:-1]).all():
            return start.reshape(-1, fields), end.reshape(-1, fields)
    counts = np.diff(np.searchsorted(start, newlines), prepend=0)
    wrong = np.flatnonzero((counts != fields) & (counts != 0))
    if len(wrong):
        number, count = line + int(wrong[0]), int(counts[wrong[0]])
        raise ValueError(f"line {number} has {count} field{'s' * (count != 1)}, not {fields}")
    return start.reshape(-1, fields), end.reshape(-1, fields)


def _signed(magnitude: NDArray[np.uint64], negative: NDArray[np.bool_]) -> NDArray[Any]:
    """int64, or uint64 where one needs it."""
    if (magnitude <= np.where(negative, np.uint64(2**63), np.uint64(2**63 - 1))).all():
        signed = magnitude.view(np.int64)
        np.negative(signed, out=signed, where=negative)
        return signed
    if negative.any():
        raise ValueError(
            f"holds {magnitude[~negative].max(initial=0)} and negative integers: no type of 64 bits has both"
        )
    return magnitude


def _joined_values(parts: list[Part], header: Header, narrow: bool) -> NDArray[Any]:
    if header.field == "pattern":
        return np.ones(header.entries, dtype=np.float32 if narrow else np.float64)
    kinds = {part.values.dtype for part in parts}
    if kinds == {np.dtype(np.int64), np.dtype(np.uint64)}:
        if min(int(part.values.min(initial=0)) for part in parts) < 0:
            raise ValueError("holds integers above 2**63 - 1 and negative ones: no type of 64 bits has both")
        return np.concatenate([part.values.astype(np.uint64) for part in parts])
    nothing = np.empty(0, np.int64 if header.field == "integer" else np.float32 if narrow else np.float64)
    values: NDArray[Any] = np.concatenate([part.values for part in parts]) if parts else nothing
    if header.symmetry == "skew-symmetric" and values.dtype.kind in "iu":
        _check_negatives(values)
    return values


def _check_negatives(values: NDArray[Any]) -> None:
    if len(values) and (values.dtype == np.uint64 or values.min() == np.iinfo(np.int64).min):
        worst = values[np.argmax(values)] if values.dtype == np.uint64 else values.min()
        raise ValueError(f"{worst} in a skew-symmetric matrix: no type of 64 bits has its negative too")


# --- symmetries -------------------------------------------------------------------------------------------------------


def _mirrored(rows: NDArray[np.int64], cols: NDArray[np.int64], values: NDArray[Any], header: Header) -> Any:
    if header.symmetry != "general":
        off = rows != cols
        skew = header.symmetry == "skew-symmetric"
        if skew and not off.all():
            raise ValueError(f"a skew-symmetric matrix has no diagonal, but row {rows[~off][0] + 1} has an entry there")
        # Each entry is followed by its mirror image: sums of duplicates then have the same order on both sides.
        entry = np.repeat(np.arange(len(rows)), 1 + off)
        image = np.zeros(len(entry), dtype=np.bool_)
        image[1:] = entry[1:] == entry[:-1]
        rows, cols, values = rows[entry], cols[entry], values[entry]
        rows[image], cols[image] = cols[image], rows[image]
        if skew:
            values[image] = -values[image]
    return scipy.sparse.coo_array((values, (rows, cols)), shape=header.shape)


def _dense(values: NDArray[Any], header: Header) -> NDArray[Any]:
    """The columns of the matrix, or of its lower triangle, one after another."""
    if header.symmetry == "general":
        return values.reshape(header.shape, order="F")
    skew = header.symmetry == "skew-symmetric"
    dense = np.zeros(header.shape, dtype=values.dtype)
    cols, rows = np.triu_indices(header.shape[0], k=int(skew))
    dense[cols, rows] = -values if skew else values
    dense[rows, cols] = values
    return dense
