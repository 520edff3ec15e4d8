# SPDX-License-Identifier: BSD-3-Clause
"""Matrix Market files read one line at a time, by Python's own `int` and `float`: what the reader must agree with."""

import re

import numpy as np

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?")
WORDS = re.compile(r"[+-]?(inf|infinity|nan)")


class TooLarge(Exception):
    """A matrix that the oracle would write out in full."""


def real(token):
    token = token.lower().replace("d", "e")
    match = NUMBER.fullmatch(token)
    assert match or WORDS.fullmatch(token)
    value = float(token)
    if match:
        assert np.isfinite(value)
        assert value != 0 or not match[1].strip("0.")
    return value


def integer(token):
    assert re.fullmatch(r"[+-]?[0-9]+", token)
    return int(token)


def size(token):
    assert re.fullmatch(r"[0-9]{1,18}", token)
    return int(token)


def words(line):
    return line.replace("\t", " ").replace("\r", " ").split(" ")


def read(content):
    """A dense array in the widest type (float64, int64, uint64), or None where the file is to be refused.

    Raises TooLarge for shapes beyond a thousand.
    """
    try:
        return _read(content)
    except (AssertionError, ValueError, IndexError, OverflowError):
        return None


def _read(content):
    lines = content.decode("latin-1").split("\n")
    banner = [word for word in words(lines[0].lower()) if word]
    assert banner[:2] == ["%%matrixmarket", "matrix"]
    layout, field, symmetry = banner[2:]
    field = {"double": "real", "unsigned-integer": "integer"}.get(field, field)
    assert layout in ("coordinate", "array")
    assert field in ("real", "integer", "pattern")
    assert symmetry in ("general", "symmetric", "skew-symmetric", "hermitian")
    assert field != "pattern" or (layout == "coordinate" and symmetry != "skew-symmetric")
    heads = [line.strip(" \t\r") for line in lines]
    at = next(i for i in range(1, len(lines) + 1) if heads[i] and not heads[i].startswith("%"))
    sizes = [size(token) for token in words(lines[at]) if token]
    assert len(sizes) == 2 + (layout == "coordinate")
    rows, cols = sizes[:2]
    if max(rows, cols) > 1000:
        raise TooLarge
    assert symmetry == "general" or rows == cols
    body = [[token for token in words(line) if token] for line in lines[at + 1 :] if not re.match(r"[ \t]*%", line)]
    body = [tokens for tokens in body if tokens]
    value = {"real": real, "integer": integer, "pattern": None}[field]
    skew = symmetry == "skew-symmetric"
    if layout == "coordinate":
        assert len(body) == sizes[2]
        assert all(len(tokens) == 2 + (value is not None) for tokens in body)
        places = [(size(tokens[0]) - 1, size(tokens[1]) - 1) for tokens in body]
        assert all(0 <= i < rows and 0 <= j < cols for i, j in places)
        assert not skew or all(i != j for i, j in places)
    else:
        assert all(len(tokens) == 1 for tokens in body)
        places = [(i, j) for j in range(cols) for i in range(0 if symmetry == "general" else j + skew, rows)]
        assert len(places) == len(body)
    values = [1.0 if value is None else value(tokens[-1]) for tokens in body]
    dtype = np.float64
    if field == "integer":
        every = values + [-v for v in values] * skew
        dtype = np.int64 if all(-(2**63) <= v < 2**63 for v in every) else np.uint64
        assert dtype == np.int64 or all(0 <= v < 2**64 for v in every)
    dense = np.zeros((rows, cols), dtype)
    with np.errstate(all="ignore"):
        for (i, j), v in zip(places, values, strict=True):
            dense[i, j] += dtype(v)
            if symmetry != "general" and i != j:
                dense[j, i] += dtype(-v if skew else v)
    return dense
