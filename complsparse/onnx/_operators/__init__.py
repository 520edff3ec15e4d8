# SPDX-License-Identifier: BSD-3-Clause
"""What ONNX's operators compute, a file for each sort of them."""

from complsparse.onnx._operators import (  # noqa: F401
    elementwise,
    images,
    moving,
    norms,
    products,
    quantized,
    recurrent,
    reductions,
)
from complsparse.onnx._operators.table import OPERATORS, Operator

__all__ = ["OPERATORS", "Operator"]
