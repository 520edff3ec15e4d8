# SPDX-License-Identifier: BSD-3-Clause
"""What a `ComplementaryMatrix` does because scipy's sparse arrays do it: arithmetic, reductions, elements, ufuncs.

Most of it converts to CSR first; what keeps the pattern keeps the packing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from complsparse import _core
from complsparse._dtypes import counted, is_bfloat16
from complsparse._matrix.conversions import Conversions
from complsparse._matrix.stored import as_csr, part_of_matrix


def _via_csr(name: str) -> Callable[..., Any]:
    """A method that converts to CSR and does what `scipy.sparse.csr_array` does."""

    def method(self: LikeScipy, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.tocsr(), name)(*map(as_scipy, args), **kwargs)

    method.__name__ = name
    method.__doc__ = f"As `scipy.sparse.csr_array.{name}`, through ``tocsr()``; O(nnz) for the conversion."
    return method


def _via_csr_operator(name: str) -> Callable[..., Any]:
    """A binary operator through CSR. What is not a number, an array or a sparse matrix gets its own turn."""

    def method(self: LikeScipy, other: Any) -> Any:
        if is_foreign(other):
            return NotImplemented
        return getattr(self.tocsr(), name)(as_scipy(other))

    method.__name__ = name
    return method


def as_scipy(operand: Any) -> Any:
    if isinstance(operand, LikeScipy):
        return operand.tocsr()
    if scipy.sparse.issparse(operand):
        real = counted(operand.dtype).kind in "biuf"
        return as_csr(operand) if real else scipy.sparse.csr_array(operand)
    if isinstance(operand, (np.ndarray, np.generic)) and is_bfloat16(operand.dtype):
        return operand.astype(np.float32)
    return np.asarray(operand) if isinstance(operand, np.matrix) else operand


def is_foreign(operand: Any) -> bool:
    """Whether the operand is an object that NumPy cannot read as an array."""
    if isinstance(operand, (np.ndarray, np.generic, int, float, complex)):
        return False
    if isinstance(operand, _core.Operand) or scipy.sparse.issparse(operand) or hasattr(operand, "__dlpack__"):
        return False
    array = np.asanyarray(operand)
    return array.ndim == 0 and bool(array.dtype == object)


def is_scalar(operand: Any) -> bool:
    return bool(np.isscalar(operand)) or (
        isinstance(operand, np.ndarray) and operand.ndim == 0 and operand.dtype != object
    )


def _scaled(operation: Callable[[Any, Any], Any], data: NDArray[Any], scalar: Any) -> NDArray[Any]:
    """In the dtype that NumPy gives; bfloat16 counts as float32, but keeps its dtype with a number that has none."""
    if isinstance(scalar, (np.generic, np.ndarray)):
        scalar = scalar.astype(counted(scalar.dtype))
        dtype = None
    else:
        dtype = data.dtype if is_bfloat16(data.dtype) else None
    result = np.asarray(operation(data.astype(counted(data.dtype), copy=False), scalar))
    return result if dtype is None else result.astype(dtype)


@part_of_matrix
class LikeScipy(Conversions):
    """The part of `ComplementaryMatrix` that imitates scipy: public names and operators of `scipy.sparse.csr_array`."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    tobsr = _via_csr("tobsr")
    todia = _via_csr("todia")
    todok = _via_csr("todok")
    tolil = _via_csr("tolil")

    # --- arithmetic ---------------------------------------------------------------------------------------------------

    def __mul__(self, other: Any) -> Any:
        if is_scalar(other):
            if np.iscomplexobj(other):
                return self.tocsr() * other
            return self._with_stored_values(_scaled(operator.mul, self._data, other))
        return _elementwise_product(self, other)

    def __rmul__(self, other: Any) -> Any:
        return self.__mul__(other)

    def multiply(self, other: Any) -> Any:
        """Element by element: with a scalar a ComplementaryMatrix, else what `csr_array.multiply` gives."""
        return self * other if is_scalar(other) else self.tocsr().multiply(as_scipy(other))

    def __truediv__(self, other: Any) -> Any:
        if is_scalar(other):
            if np.iscomplexobj(other):
                return self.tocsr() / other
            return self._with_stored_values(_scaled(operator.truediv, self._data, other))
        return _quotient(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return NotImplemented  # the unstored zeros would all be divided by

    def __neg__(self) -> Self:
        if self.dtype == np.bool_:
            raise NotImplementedError("a bool matrix has no negative; astype an integer dtype first")
        return self._with_stored_values(np.asarray(-self._data))

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return self._with_stored_values(np.asarray(abs(self._data)))

    def __round__(self, ndigits: int = 0) -> Self:
        return self._with_stored_values(np.around(self._data, decimals=ndigits))

    def conj(self, copy: bool = True) -> Self:
        """This matrix: its values are real."""
        return self.copy() if copy else self

    conjugate = conj

    @property
    def real(self) -> Self:
        """This matrix."""
        return self

    __add__ = _via_csr_operator("__add__")
    __radd__ = _via_csr_operator("__radd__")
    __sub__ = _via_csr_operator("__sub__")

    def __rsub__(self, other: Any) -> Any:
        if scipy.sparse.issparse(other):  # whose own __sub__ does not know this class
            return as_scipy(other) - self.tocsr()
        return _dense_minus(self, other)

    __pow__ = _via_csr_operator("__pow__")
    __eq__ = _via_csr_operator("__eq__")
    __ne__ = _via_csr_operator("__ne__")
    __lt__ = _via_csr_operator("__lt__")
    __gt__ = _via_csr_operator("__gt__")
    __le__ = _via_csr_operator("__le__")
    __ge__ = _via_csr_operator("__ge__")

    power = _via_csr("power")
    maximum = _via_csr("maximum")
    minimum = _via_csr("minimum")
    sum = _via_csr("sum")
    mean = _via_csr("mean")
    max = _via_csr("max")
    min = _via_csr("min")
    nanmax = _via_csr("nanmax")
    nanmin = _via_csr("nanmin")
    argmax = _via_csr("argmax")
    argmin = _via_csr("argmin")
    diagonal = _via_csr("diagonal")
    trace = _via_csr("trace")
    nonzero = _via_csr("nonzero")
    count_nonzero = _via_csr("count_nonzero")
    reshape = _via_csr("reshape")

    @staticmethod
    def _elementwise_ufunc(name: str, inputs: tuple[Any, ...]) -> Any:
        if len(inputs) == 1:
            if name in _UNARY:
                return _UNARY[name](inputs[0])
            return getattr(inputs[0].tocsr(), name)() if name in _ZERO_AT_ZERO else NotImplemented
        a, b = inputs
        if name not in _BINARY:
            return NotImplemented
        forward, reflected = _BINARY[name]
        return getattr(a, forward)(b) if isinstance(a, LikeScipy) else getattr(b, reflected)(a)

    # --- elements -----------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        """What `scipy.sparse.csr_array` gives for this index; O(nnz) where a conversion is needed."""
        return self.tocsr()[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tocsr())

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        self._refuse_edit("item assignment")

    def setdiag(self, values: Any, k: int = 0) -> NoReturn:
        """Raises NotImplementedError: a ComplementaryMatrix is immutable."""
        self._refuse_edit("setdiag")

    def resize(self, *shape: Any) -> NoReturn:
        """Raises NotImplementedError: a ComplementaryMatrix is immutable."""
        self._refuse_edit("resize")

    def _refuse_edit(self, what: str) -> NoReturn:
        raise NotImplementedError(
            f"{what} would change a ComplementaryMatrix, whose packing is fixed; edit W.tocsr(copy=True).tolil() and "
            "pack the result again, or give new values with W.with_values"
        )


_elementwise_product = _via_csr_operator("__mul__")
_quotient = _via_csr_operator("__truediv__")
_dense_minus = _via_csr_operator("__rsub__")

_UNARY: dict[str, Callable[[LikeScipy], Any]] = {
    "negative": operator.neg,
    "positive": operator.pos,
    "absolute": operator.abs,
    "conjugate": LikeScipy.conj,
}
# The ufuncs that keep zeros and that scipy.sparse has as methods.
_ZERO_AT_ZERO = frozenset(
    {
        "sin",
        "tan",
        "arcsin",
        "arctan",
        "sinh",
        "tanh",
        "arcsinh",
        "arctanh",
        "rint",
        "sign",
        "expm1",
        "log1p",
        "deg2rad",
        "rad2deg",
        "floor",
        "ceil",
        "trunc",
        "sqrt",
    }
)
_BINARY = {
    "multiply": ("__mul__", "__rmul__"),
    "divide": ("__truediv__", "__rtruediv__"),
    "add": ("__add__", "__radd__"),
    "subtract": ("__sub__", "__rsub__"),
    "equal": ("__eq__", "__eq__"),
    "not_equal": ("__ne__", "__ne__"),
    "less": ("__lt__", "__gt__"),
    "greater": ("__gt__", "__lt__"),
    "less_equal": ("__le__", "__ge__"),
    "greater_equal": ("__ge__", "__le__"),
}


def copied_into(out: Any, result: Any) -> Any:
    """The result of an operator in the array that NumPy was given for it."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array, not {type(out).__name__}")
    dense = result.toarray() if scipy.sparse.issparse(result) or isinstance(result, LikeScipy) else result
    if dense.shape != out.shape:
        raise ValueError(f"out has shape {out.shape}; the result has shape {dense.shape}")
    np.copyto(out, dense, casting="same_kind")
    return out
