# SPDX-License-Identifier: BSD-3-Clause
"""How far files are believed: bounds on what they may ask for, and errors that name them."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

# What a file of n bytes may expand to, and how many rows or columns it may declare: A + B * n each. Memory is linear in
# all three, so these bounds, and the bytes themselves, are the bound on what a file can take.
EXPANDED = (2**24, 100)
SIZES = (2**20, 4)

# Everything that zipfile, zlib, gzip and json raise on malformed bytes.
MALFORMED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    RecursionError,
    RuntimeError,
    EOFError,
    OSError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Turns whatever malformed bytes raise into one line that names the file. A TypeError (dtypes) stays one.

    A shortage of memory stays one too: it says nothing about the file.
    """
    try:
        yield
    except MemoryError as error:
        raise MemoryError(f"{name}: {_reason(error)}") from None
    except MALFORMED as error:
        reason = f"no member {_reason(error)}" if isinstance(error, KeyError) else _reason(error)
        kind = TypeError if type(error) is TypeError else ValueError
        raise kind(f"{name}: {reason}") from None


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def path_of(path: Any) -> str:
    return os.fsdecode(os.fspath(path))


def printable(text: str) -> str:
    """A text from a file, for people: what a terminal would act on, or show in another order, is escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def most_expanded(n_bytes: int) -> int:
    return EXPANDED[0] + EXPANDED[1] * n_bytes


def check_expanded(expanded: int, n_bytes: int) -> None:
    most = most_expanded(n_bytes)
    if expanded > most:
        raise ValueError(
            f"{n_bytes} bytes expand to more than {most}, 2**24 + 100 for each; expand a trusted file first"
        )


def check_sizes(shape: tuple[int, ...], n_bytes: int) -> None:
    """Refuses rows and columns out of proportion to the file: each takes memory, whether it holds anything or not."""
    most = SIZES[0] + SIZES[1] * n_bytes
    if max(shape, default=0) > most:
        raise ValueError(
            f"declares the shape {shape} in {n_bytes} bytes; rows and columns may be {most}, 2**20 + 4 for each byte"
        )


def check_regular(path: str) -> None:
    """Devices and pipes have no size to hold what they say against, and opening one may wait for ever."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # whoever opens a folder says what it is
        raise ValueError(f"{path}: is not a regular file; pass a file object, whose content is read first")
