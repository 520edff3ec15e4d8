# SPDX-License-Identifier: BSD-3-Clause
"""Our operators in ONNX Runtime's sessions: a shared library that it loads."""

from __future__ import annotations

import pathlib
from typing import Any

from complsparse import _core

DOMAIN = "ai.complsparse"
VERSION = 1
_THREADS = "ai.complsparse.threads"  # the entry of a session that the library reads
_NAME = "libcomplsparse_ort.so"


def library_path() -> str:
    """The library of our operators, for ``SessionOptions.register_custom_ops_library`` and its likes in C, C++ or C#.

    Raises
    ------
    FileNotFoundError
        The package was built without it (``-Donnxruntime=false``).

    Examples
    --------
    >>> import complsparse as cs
    >>> cs.onnx.library_path().endswith("libcomplsparse_ort.so")
    True
    """
    here = pathlib.Path(__file__).resolve().parents[1] / "lib"
    for folder in (here, pathlib.Path(_core.__file__).resolve().parent):  # installed; a build folder
        if (folder / _NAME).is_file():
            return str(folder / _NAME)
    raise FileNotFoundError(f"{_NAME} is not in {here}: complsparse was built without it (-Donnxruntime=false)")


def register(session_options: Any) -> None:
    """Makes our operators known to the sessions that are made with these options; they run on the session's threads.

    Parameters
    ----------
    session_options : onnxruntime.SessionOptions
        Its ``intra_op_num_threads`` is read now: set it before. 0 stands for as many as `complsparse.get_num_threads`.

    Raises
    ------
    TypeError
        It is no SessionOptions.
    FileNotFoundError
        As `library_path`.

    Examples
    --------
    >>> import onnxruntime
    >>> import complsparse as cs
    >>> options = onnxruntime.SessionOptions()
    >>> options.intra_op_num_threads = 1
    >>> cs.onnx.register(options)
    """
    if not hasattr(session_options, "register_custom_ops_library"):
        raise TypeError(f"session_options is of type {type(session_options).__name__}, not onnxruntime.SessionOptions")
    path = library_path()
    threads = session_options.intra_op_num_threads or _core.get_num_threads()
    session_options.add_session_config_entry(_THREADS, str(threads))
    session_options.register_custom_ops_library(path)
