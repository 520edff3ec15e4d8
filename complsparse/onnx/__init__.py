# SPDX-License-Identifier: BSD-3-Clause
"""Models of ONNX as networks, and our operators inside ONNX Runtime.

Needs onnx, onnx-ir and onnxscript: ``pip install 'complsparse[onnx]'``.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from complsparse.onnx import backend
    from complsparse.onnx._library import library_path, register
    from complsparse.onnx._load import load
    from complsparse.onnx._report import report
    from complsparse.onnx._rewrite import rewrite

__all__ = ["backend", "library_path", "load", "register", "report", "rewrite"]

_LATER = {
    "backend": "complsparse.onnx.backend",
    "library_path": "complsparse.onnx._library",
    "load": "complsparse.onnx._load",
    "register": "complsparse.onnx._library",
    "report": "complsparse.onnx._report",
    "rewrite": "complsparse.onnx._rewrite",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    try:
        module = importlib.import_module(_LATER[name])
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "onnx_ir", "onnxscript"):
            raise
        raise ImportError(f"complsparse.onnx.{name} needs {error.name}: pip install 'complsparse[onnx]'") from error
    found = globals()[name] = module if _LATER[name] == f"{__name__}.{name}" else getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
