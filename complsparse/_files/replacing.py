# SPDX-License-Identifier: BSD-3-Clause
"""Writing a file so that another process, or a machine that loses power, finds the old one or the new one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from typing import IO


@contextlib.contextmanager
def replacing(path: str) -> Iterator[IO[bytes]]:
    """A stream whose content takes the place of a file at the end of the block, or of nothing if the block raises.

    Symbolic links are followed: the file that they lead to is replaced, and they stay. A file keeps its mode and, where
    that is allowed, its owner. ValueError where there is something else than a file. Errors name `path`.
    """
    try:
        target = os.path.realpath(path)
        mode = _mode_of(target, path)
        temporary = os.path.join(os.path.dirname(target), f".complsparse-{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    except OSError as error:
        raise _of(error, path) from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _keep_owner_and_mode(stream.fileno(), target)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise _of(error, path) from None
        raise
    _flush_folder(os.path.dirname(target))


def _mode_of(target: str, path: str) -> int:
    """The permissions that the file starts with, from which the process's mask is taken."""
    try:
        found = os.stat(target)
    except FileNotFoundError:
        return 0o666
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(
            f"{path}: is not a regular file, which alone can be replaced; pass a file object to write into"
        )
    return stat.S_IMODE(found.st_mode) & 0o666


def _keep_owner_and_mode(descriptor: int, target: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        found = os.stat(target)
        if not hasattr(os, "fchmod"):
            return
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, found.st_uid, found.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(found.st_mode))


def _flush_folder(folder: str) -> None:
    """The new name is on disk, not the content alone. Systems that do not open folders flush names themselves."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _of(error: OSError, path: str) -> OSError:
    """The same error, about the file that the caller named."""
    if error.errno is None:
        return error
    return type(error)(error.errno, error.strerror, path)
