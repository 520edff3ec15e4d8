# SPDX-License-Identifier: BSD-3-Clause
"""Numbers in text, read by NumPy many at a time, each to the nearest value that its type has.

A token is recognised as a whole or left to Python's own `int` and `float`, which are strict; nothing is read in part.
Eight digits at a time stand in a 64-bit word (D. Lemire, "Number parsing at a gigabyte per second", 2021). A decimal
fraction is an integer of up to 19 digits times a power of ten: with both exact in float64, one rounding gives the
nearest value (W. Clinger, 1990); others are computed as a sum of two float64, and where that sum lies too close to the
middle between two values, Python decides.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MARGIN = 24  # blanks before the text, which the words of its first tokens reach into
MOST_DIGITS = 19  # of an integer that fits 64 bits whatever its digits are
MOST_SCALE = 270  # powers of ten that products of two float64 stay clear of overflow and underflow with
EXACT_POWER = 22  # 10**22 is the last power of ten that float64 holds

_ZEROS = np.uint64(0x3030303030303030)
_KEPT = np.array([(2**64 - 1) ^ (2 ** (8 * (8 - n)) - 1) for n in range(9)], dtype=np.uint64)  # the last n characters
_POWERS = np.array([10**n for n in range(MOST_DIGITS + 1)], dtype=np.uint64)
_HIGH = np.array([float(10**n) for n in range(MOST_SCALE + 1)])
_LOW = np.array([float(10**n - int(float(10**n))) for n in range(MOST_SCALE + 1)])
_FIRST_UNIT = -330
_UNITS = np.array([float(f"1e{n}") for n in range(_FIRST_UNIT, 309)])

_INTEGER = re.compile(rb"[+-]?[0-9]+")
_DECIMAL = re.compile(rb"[+-]?([0-9]*)(?:\.([0-9]*))?(?:e([+-]?[0-9]+))?")
_NOT_FINITE = re.compile(rb"[+-]?(?:inf|infinity|nan)")


class BadToken(ValueError):
    """A token that is no number, or one that its type does not hold; `at` is its position among the tokens."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(reason)
        self.at = at


class Text:
    """Lower-case ASCII text, between margins of blanks, and where its tokens are."""

    __slots__ = ("characters", "content", "end", "start", "words")

    def __init__(self, content: bytes) -> None:
        self.content = b"".join((b" " * MARGIN, content, b" " * 8))
        self.characters = np.frombuffer(self.content, dtype=np.uint8)
        self.words: NDArray[np.uint64] = np.ndarray(  # the eight characters from each position on
            (len(self.content) - 7,), dtype="<u8", buffer=self.content, strides=(1,)
        )
        in_token = self.characters > ord(" ")
        edges = np.flatnonzero(in_token[1:] != in_token[:-1]) + 1
        self.start, self.end = edges[::2], edges[1::2]

    def token(self, start: int, end: int) -> bytes:
        return self.content[start:end]


class Decimals(NamedTuple):
    values: NDArray[np.float64]
    units: NDArray[np.float64]  # of the last digit that is spelled


def _up_to_eight(
    text: Text, end: NDArray[np.int64], count: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """The numbers that the last `count` characters before `end` spell, and whether all of them are digits."""
    kept = _KEPT[count]
    word = ((text.words[end - 8] ^ _ZEROS) & kept).astype(np.uint64, copy=False)
    digits = (((word + np.uint64(0x7676767676767676)) | word) & np.uint64(0x8080808080808080)) == 0
    word = (word * np.uint64(2561)) >> np.uint64(8)  # 10 times a digit and the next, in pairs
    word = ((word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    word = ((word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32)
    return word, digits


def _natural(
    text: Text, start: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """The numbers between `start` and `end`, nothing counting as 0, and whether they are at most 19 digits."""
    length = end - start
    value, valid = _up_to_eight(text, end, np.minimum(length, 8))
    for done in (8, 16):
        longer = np.flatnonzero(length > done)
        if not len(longer):
            break
        more, digits = _up_to_eight(text, end[longer] - done, np.minimum(length[longer] - done, 8))
        value[longer] += more * _POWERS[done]
        valid[longer] &= digits
    return value, valid & (length <= MOST_DIGITS)


def _signs(text: Text, start: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which tokens are negative, and where they go on behind the sign."""
    first = text.characters[start]
    negative = first == ord("-")
    return negative, start + (negative | (first == ord("+")))


def read_sizes(text: Text, start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tokens of up to 18 digits without a sign."""
    value, valid = _natural(text, start, end)
    valid &= end - start < MOST_DIGITS
    if not valid.all():
        at = int(np.flatnonzero(~valid)[0])
        raise BadToken(at, f"{_shown(text.token(start[at], end[at]))} is not a number from 0 to 10**18 - 1")
    return value.view(np.int64)


def read_integers(
    text: Text, start: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Magnitudes of 64 bits, and which numbers are negative."""
    negative, body = _signs(text, start)
    magnitude, valid = _natural(text, body, end)
    valid &= end > body
    for at in np.flatnonzero(~valid).tolist():
        token = text.token(start[at], end[at])
        if not _INTEGER.fullmatch(token):
            raise BadToken(at, f"{_shown(token)} is not an integer")
        digits = token.lstrip(b"+-").lstrip(b"0")
        if len(digits) > 20 or int(digits or b"0") >= 2**64:
            raise BadToken(at, f"{_shown(token)} does not fit 64 bits")
        magnitude[at] = int(digits or b"0")
    return magnitude, negative


def _marks(
    text: Text, character: str, start: NDArray[np.int64], end: NDArray[np.int64], default: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where a character stands in each token, or `default`; and which tokens have it once at most."""
    found = np.flatnonzero(text.characters == ord(character))
    if len(found) == len(start) and (found >= start).all() and (found < end).all():  # each token has one
        return found, np.ones(len(start), dtype=np.bool_)
    owner = np.searchsorted(start, found, side="right") - 1
    inside = (owner >= 0) & (found < end[owner])
    if not inside.all():
        found, owner = found[inside], owner[inside]
    place, once = default.copy(), np.ones(len(start), dtype=np.bool_)
    place[owner] = found
    once[owner[1:][owner[1:] == owner[:-1]]] = False
    return place, once


def _two_product(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A product and its rounding error (T. J. Dekker, 1971)."""
    product = a * b
    a_high, b_high = (x * 134217729.0 - (x * 134217729.0 - x) for x in (a, b))
    a_low, b_low = a - a_high, b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _scaled(mantissa: NDArray[np.uint64], scale: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """``mantissa * 10**scale``, and where it is certain to be the nearest float64."""
    high = mantissa.astype(np.float64)
    power = np.abs(scale)
    tens, rest = _HIGH[power], _LOW[power]
    low = (mantissa - high.astype(np.uint64)).view(np.int64).astype(np.float64)
    quotient = high / tens
    back, error = _two_product(quotient, tens)
    correction = (((high - back) - error) + (low - quotient * rest)) / tens
    product, error = _two_product(high, tens)
    divided = scale < 0
    value = np.where(divided, quotient, product)
    correction = np.where(divided, correction, error + (high * rest + low * tens))
    doubt = value * 2.0**-90  # the sum of two has an error far below that
    return value + correction, value + (correction - doubt) == value + (correction + doubt)


def read_decimals(text: Text, start: NDArray[np.int64], end: NDArray[np.int64]) -> Decimals:
    """The nearest float64 of each token: digits with a point, an exponent behind ``e``; ``inf`` and ``nan``."""
    negative, body = _signs(text, start)
    stop, plain = _marks(text, "e", start, end, end)
    point, once = _marks(text, ".", start, end, stop)
    plain &= once & (point <= stop)
    point = np.minimum(point, stop)
    fraction = np.minimum(point + 1, stop)
    whole, digits = _natural(text, body, np.maximum(point, body))
    part, more_digits = _natural(text, fraction, stop)
    places = stop - fraction
    count = (point - body) + places
    plain &= digits & more_digits & (count > 0) & (count <= MOST_DIGITS)
    places = np.where(plain, places, 0)
    mantissa = whole * _POWERS[places] + part

    scale = -places
    with_exponent = np.flatnonzero(plain & (stop < end))
    if len(with_exponent):
        below, first = _signs(text, stop[with_exponent] + 1)
        last = end[with_exponent]
        exponent, digits = _natural(text, np.minimum(first, last), last)
        plain[with_exponent] = digits & (last > first) & (last - first < 5)
        exponents = np.minimum(exponent, np.uint64(9999)).astype(np.int64)
        scale[with_exponent] += np.where(below, -exponents, exponents)
        plain &= np.abs(scale) <= MOST_SCALE
        scale[~plain] = 0

    values = mantissa.astype(np.float64)
    power = np.abs(scale)
    tens = _HIGH[np.minimum(power, EXACT_POWER)]
    values = np.where(scale < 0, values / tens, values * tens)
    inexact = np.flatnonzero(plain & ((mantissa > 2**53) | (power > EXACT_POWER)))
    if len(inexact):
        values[inexact], certain = _scaled(mantissa[inexact], scale[inexact])
        plain[inexact] = certain
    np.negative(values, out=values, where=negative)
    units = _UNITS[scale - _FIRST_UNIT]
    for at in np.flatnonzero(~plain).tolist():
        values[at], units[at] = _one_decimal(text.token(start[at], end[at]), at)
    return Decimals(values, units)


def _one_decimal(token: bytes, at: int) -> tuple[float, float]:
    """As `read_decimals`, for tokens that are long, far from 1, in doubt, or no numbers."""
    if _NOT_FINITE.fullmatch(token):
        return float(token), 0.0
    match = _DECIMAL.fullmatch(token)
    whole, fraction, exponent = (group or b"" for group in match.groups()) if match else (b"", b"", b"")
    if not whole and not fraction:
        raise BadToken(at, f"{_shown(token)} is not a number")
    value = float(token)
    if value in (float("inf"), float("-inf")) or (value == 0 and (whole + fraction).strip(b"0")):
        raise BadToken(at, f"{_shown(token)} is beyond the range of float64")
    # An exponent of many digits belongs to a zero here: all others are beyond the range.
    scale = (int(exponent) if 0 < len(exponent) < 10 else 0) - len(fraction)
    return value, float(_UNITS[min(max(scale, _FIRST_UNIT), 308) - _FIRST_UNIT])


def fit_float32(decimals: Decimals) -> bool:
    """Whether float32 is as fine as the text: within half a unit of the last digit that each number spells."""
    values = decimals.values
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        single = values.astype(np.float32).astype(np.float64)
        # A number in the middle of two spellings is half a unit away, and `values` have an error of their own.
        away = np.abs(single - values) > 0.5 * decimals.units + 2.0**-52 * np.abs(values)
    return not (away & (single != values)).any()


def _shown(token: bytes) -> str:
    text = token[:40].decode("ascii", "backslashreplace")
    return repr(text + ("..." if len(token) > 40 else ""))
