# SPDX-License-Identifier: BSD-3-Clause
"""Arrays in the .npy and .npz form, from anybody.

Pickles are never read, headers never evaluated, and no array is allocated before its header agrees with the bytes that
are there.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Container
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from complsparse._files.trust import check_expanded

MAGIC = b"\x93NUMPY"
MAX_HEADER = 4096  # bytes of the header of an array, which is a dict of three short entries
LAST_CODE_POINT = 0x10FFFF
SURROGATES = (0xD800, 0xDFFF)

_DTYPE = re.compile(r"[<>=|]?(?:\?|[biufcUSV][0-9]{1,9})")  # bool, numbers, text, bytes
_ENTRIES = {
    "descr": r"'([^'\\]*)'|\[.*\]",
    "fortran_order": r"(True|False)",
    "shape": r"\(([-0-9L, ]*)\)",
}
_SIZE = re.compile(r"-?[0-9]{1,20}L?")  # Python 2 wrote the L
_ENTRY = re.compile(r"\s*'(descr|fortran_order|shape)'\s*:\s*")


def _take(stream: IO[bytes], count: int, name: str) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise ValueError(f"{name}: the file ends within the header of the array")
    return content


def _read_header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    magic = stream.read(len(MAGIC) + 2)
    if magic[: len(MAGIC)] != MAGIC or len(magic) != len(MAGIC) + 2:
        raise ValueError(f"{name}: begins with {magic[:6]!r}, not with the magic {MAGIC!r} of an array")
    version = (magic[-2], magic[-1])
    if version not in ((1, 0), (2, 0)):  # 3.0 is for field names outside Latin-1
        raise ValueError(f"{name}: version {version} of the .npy format holds no plain array")
    length = int.from_bytes(_take(stream, 2 * version[0], name), "little")
    if length > MAX_HEADER:
        raise ValueError(f"{name}: the header cannot be read: it has {length} bytes, more than {MAX_HEADER}")
    return _parse_header(_take(stream, length, name).decode("latin-1"), name)


def _parse_header(text: str, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """The three entries of the dict, in any order."""
    text = text.strip()
    found: dict[str, str] = {}
    at = 1
    while text[:1] == "{" and (entry := _ENTRY.match(text, at)):
        value = re.compile(_ENTRIES[entry[1]]).match(text, entry.end())
        if value is None or entry[1] in found:
            break
        found[entry[1]] = value[0] if value[1] is None else value[1]
        at = value.end()
        at += len(text[at:]) - len(text[at:].lstrip(" ,"))
    if text[:1] != "{" or text[at:].strip() != "}" or found.keys() != _ENTRIES.keys():
        raise ValueError(
            f"{name}: the header cannot be read: {text[:60]!r} is not a dict of descr, fortran_order, shape"
        )
    items = [item.strip() for item in found["shape"].split(",") if item.strip()]
    if not all(_SIZE.fullmatch(item) for item in items):
        raise ValueError(f"{name}: the header cannot be read: ({found['shape'][:60]}) is not a shape")
    sizes = tuple(int(item.rstrip("L")) for item in items)
    if not _DTYPE.fullmatch(found["descr"]):
        raise ValueError(f"{name}: dtype {found['descr'][:60]} is not a plain number")
    try:
        dtype = np.dtype(found["descr"])
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name}: the header cannot be read: dtype {found['descr'][:60]!r} is not known") from None
    return sizes, found["fortran_order"] == "True", dtype


def read_array(stream: IO[bytes], n_bytes: int, name: str, *, any_order: bool = False) -> NDArray[Any]:
    """One array of a .npy stream of `n_bytes`, which its header must account for exactly.

    `any_order` accepts what NumPy writes for other arrays: Fortran order and foreign byte order.
    """
    shape, fortran, dtype = _read_header(stream, name)
    if any(size < 0 for size in shape):
        raise ValueError(f"{name}: shape {shape} has a negative size")
    if len(shape) > 32 or max(shape, default=0) >= 2**63:
        raise ValueError(f"{name}: no array has the shape {shape}")
    expected = math.prod(shape) * dtype.itemsize
    present = n_bytes - stream.tell()
    if expected != present:
        raise ValueError(f"{name}: {dtype} of shape {shape} takes {expected} bytes, but there are {present}")
    if not any_order and (fortran or not dtype.isnative):
        raise ValueError(f"{name}: {'Fortran order' if fortran else 'foreign byte order'} is not accepted here")
    array = np.empty(shape, dtype=dtype, order="F" if fortran else "C")
    flat = array.reshape(-1, order="A").view(np.uint8) if array.size and dtype.itemsize else np.empty(0, np.uint8)
    into, filled = memoryview(flat), 0
    while filled < len(into):
        got = stream.readinto(into[filled:])  # type: ignore[attr-defined]
        if not got:
            raise ValueError(f"{name}: the file ends after {filled} of {expected} bytes")
        filled += got
    if stream.read(1):  # also makes zipfile compare the checksum
        raise ValueError(f"{name}: bytes follow the array")
    if dtype.kind == "U":
        _check_text(array, name)
    return array


def _check_text(array: NDArray[np.str_], name: str) -> None:
    """Python makes no string of numbers that are no characters."""
    points = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(-1).view(np.uint32)
    wrong = points[(points > LAST_CODE_POINT) | ((points >= SURROGATES[0]) & (points <= SURROGATES[1]))]
    if len(wrong):
        raise ValueError(f"{name}: the text holds {wrong[0]:#x}, which is no character")


def member_names(stream: IO[bytes]) -> set[str]:
    """The names of the arrays of an .npz file, which is read from the start again."""
    with zipfile.ZipFile(stream) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
    stream.seek(0)
    return names


def read_members(stream: IO[bytes], n_bytes: int, only: Container[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file.

    `only`: refuse members of other names than these, and compressed ones, so that no byte expands.
    """
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        expanded = sum(member.file_size for member in members)
        if only is None:
            check_expanded(expanded, n_bytes)
        elif expanded > n_bytes:
            raise ValueError(f"the members are declared larger than the file can hold: {expanded} bytes of {n_bytes}")
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name == member.filename or name in arrays:
                raise ValueError(f"member {member.filename!r} is not an array, or stands twice")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"member {name!r} is compressed in a way that NumPy does not write")
            if only is not None:
                if name not in only:
                    raise ValueError(f"member {name!r} is not known")
                if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
                    raise ValueError(f"member {name!r} is compressed; complsparse.save stores plain bytes")
            with archive.open(member) as content:
                arrays[name] = read_array(content, member.file_size, name, any_order=only is None)
    return arrays
