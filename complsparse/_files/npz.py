# SPDX-License-Identifier: BSD-3-Clause
"""Arrays in the .npy and .npz form, from anybody.

Pickles are never read, and no array is allocated before its header agrees with the bytes that are there.
"""

from __future__ import annotations

import contextlib
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Container, Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

MAX_EXPANDED = 2**32  # bytes that a compressed file may grow to
MAX_HEADER = 4096  # bytes of the header of an array, which is a dict of three short entries

# Everything that zipfile, zlib, gzip and numpy's header parser raise on malformed bytes.
MALFORMED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    SyntaxError,
    OverflowError,
    MemoryError,
    RecursionError,
    RuntimeError,
    EOFError,
    OSError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Turns whatever malformed bytes raise into one line that names the file. A TypeError (dtypes) stays one."""
    try:
        yield
    except MALFORMED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, KeyError):
            reason = f"no member {reason}"
        kind = TypeError if type(error) is TypeError else ValueError
        raise kind(f"{path}: {reason}") from None


def path_of(path: Any) -> str:
    return os.fsdecode(os.fspath(path))


def _read_header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:  # 3.0 is for field names outside Latin-1
        raise ValueError(f"{name}: version {version} of the .npy format holds no plain array")
    try:
        return readers[version](stream, max_header_size=MAX_HEADER)
    except MALFORMED as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{name}: the header cannot be read: {reason}") from None


def read_array(stream: IO[bytes], n_bytes: int, name: str, *, any_order: bool = False) -> NDArray[Any]:
    """One array of a .npy stream of `n_bytes`, which its header must account for exactly.

    `any_order` accepts what NumPy writes for other arrays: Fortran order and foreign byte order.
    """
    shape, fortran, dtype = _read_header(stream, name)
    if dtype.hasobject or dtype.subdtype is not None or dtype.names is not None:
        raise ValueError(f"{name}: dtype {dtype} is not a plain number")
    if any(size < 0 for size in shape):
        raise ValueError(f"{name}: shape {shape} has a negative size")
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
    return array


def read_members(stream: IO[bytes], n_bytes: int, only: Container[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file.

    `only`: refuse members of other names than these, and compressed ones, so that no byte expands.
    """
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > (MAX_EXPANDED if only is None else n_bytes):
            raise ValueError("the members are declared larger than the file can hold")
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name == member.filename or name in arrays:
                raise ValueError(f"member {member.filename!r} is not an array, or stands twice")
            if only is not None:
                if name not in only:
                    raise ValueError(f"member {name!r} is not known")
                if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
                    raise ValueError(f"member {name!r} is compressed; complsparse.save stores plain bytes")
            with archive.open(member) as content:
                arrays[name] = read_array(content, member.file_size, name, any_order=only is None)
    return arrays
