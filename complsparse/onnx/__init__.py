# SPDX-License-Identifier: BSD-3-Clause
"""Models of ONNX: what sparsity buys in them, and our operators inside ONNX Runtime.

Needs the package onnx: ``pip install 'complsparse[onnx]'``.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from complsparse.onnx._library import library_path, register
    from complsparse.onnx._rewrite import rewrite

__all__ = ["library_path", "register", "rewrite"]

_LATER = {
    "library_path": "complsparse.onnx._library",
    "register": "complsparse.onnx._library",
    "rewrite": "complsparse.onnx._rewrite",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    try:
        found = getattr(importlib.import_module(_LATER[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise ImportError(f"complsparse.onnx.{name} needs onnx: pip install 'complsparse[onnx]'") from error
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
