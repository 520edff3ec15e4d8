# SPDX-License-Identifier: BSD-3-Clause
"""What a `ComplementaryMatrix` does because scipy's sparse arrays do it: arithmetic, reductions, elements, ufuncs.

What keeps the pattern keeps the packing. The rest is SciPy's base class, which asks for `tocsr`, and here where that
lacks a method, takes the other operand unchecked, or would copy.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Self, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from complsparse._dtypes import counted, is_bfloat16
from complsparse._matrix.conversions import Conversions
from complsparse._matrix.others import as_scipy, is_foreign, is_scalar
from complsparse._matrix.stored import part_of_matrix


def _via_csr(name: str) -> Callable[..., Any]:
    """A method that converts to CSR and does what `scipy.sparse.csr_array` does."""

    def method(self: LikeScipy, *args: Any, **kwargs: Any) -> Any:
        return getattr(as_scipy(self), name)(*map(as_scipy, args), **kwargs)

    method.__name__ = name
    method.__doc__ = f"As `scipy.sparse.csr_array.{name}`, through CSR; O(nnz) for the conversion."
    return method


def _via_csr_operator(name: str) -> Callable[..., Any]:
    """A binary operator through CSR. What is not a number, an array or a sparse matrix gets its own turn."""

    def method(self: LikeScipy, other: Any) -> Any:
        if is_foreign(other):
            return NotImplemented
        return getattr(as_scipy(self), name)(as_scipy(other))

    method.__name__ = name
    return method


def _of_values(ufunc: np.ufunc) -> Callable[..., Any]:
    """A method that applies a function which keeps zeros to the stored values."""

    def method(self: LikeScipy) -> Any:
        return self._with_stored_values(np.asarray(ufunc(self._data)))

    method.__name__ = ufunc.__name__
    method.__qualname__ = f"ComplementaryMatrix.{ufunc.__name__}"
    method.__doc__ = f"`numpy.{ufunc.__name__}` of each stored value, on the same packing."
    return method


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
    """The part of `ComplementaryMatrix` that is like scipy: public names and operators of `scipy.sparse.csr_array`."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    # --- arithmetic ---------------------------------------------------------------------------------------------------

    @overload
    def __mul__(self, other: float) -> Self: ...
    @overload
    def __mul__(self, other: Any) -> Any: ...
    def __mul__(self, other: Any) -> Any:
        if is_scalar(other):
            if np.iscomplexobj(other):
                return as_scipy(self) * other
            return self._with_stored_values(_scaled(operator.mul, self._data, other))
        return self._entry_by_entry(operator.mul, other, _elementwise_product)

    @overload
    def __rmul__(self, other: float) -> Self: ...
    @overload
    def __rmul__(self, other: Any) -> Any: ...
    def __rmul__(self, other: Any) -> Any:
        return self.__mul__(other)

    def multiply(self, other: Any) -> Any:
        """Element by element.

        Parameters
        ----------
        other : number, array_like or sparse matrix

        Returns
        -------
        ComplementaryMatrix or sparse array
            On the same packing for a real number and for a ComplementaryMatrix of the same pattern, else what
            `csr_array.multiply` gives.
        """
        if is_scalar(other) or is_foreign(other) or isinstance(other, LikeScipy):
            return self * other
        return as_scipy(self).multiply(as_scipy(other))

    @overload
    def __truediv__(self, other: float) -> Self: ...
    @overload
    def __truediv__(self, other: Any) -> Any: ...
    def __truediv__(self, other: Any) -> Any:
        if is_scalar(other):
            if np.iscomplexobj(other):
                return as_scipy(self) / other
            return self._with_stored_values(_scaled(operator.truediv, self._data, other))
        return _quotient(self, other)

    def __add__(self, other: Any) -> Any:
        return self._entry_by_entry(operator.add, other, _sum)

    def __radd__(self, other: Any) -> Any:
        return self.__add__(other)

    def __sub__(self, other: Any) -> Any:
        if self.dtype == np.bool_:  # which NumPy does not subtract
            return _difference(self, other)
        return self._entry_by_entry(operator.sub, other, _difference)

    __rsub__ = _via_csr_operator("__rsub__")

    def _entry_by_entry(
        self, operation: Callable[[Any, Any], Any], other: Any, otherwise: Callable[[Any, Any], Any]
    ) -> Any:
        """On this packing where the other operand is a ComplementaryMatrix of the same pattern: zeros stay stored."""
        if isinstance(other, LikeScipy) and self._has_pattern_of(other):
            values = other._values_in_order_of(self)
            return self._with_stored_values(_scaled(operation, self._data, values))
        try:
            return otherwise(self, other)
        except NotImplementedError as error:  # SciPy's, of a number that is not 0
            raise NotImplementedError(f"{error}; pass W.toarray()") from None

    def _has_pattern_of(self, other: LikeScipy) -> bool:
        if self._packing is other._packing and self._transposed == other._transposed:
            return True
        if self.shape != other.shape or self.nnz != other.nnz:
            return False
        as_stored = self._transposed == other._transposed
        mine, theirs = (A._stored() if as_stored else A._csr() for A in (self, other))
        return np.array_equal(mine.indptr, theirs.indptr) and np.array_equal(mine.indices, theirs.indices)

    def _values_in_order_of(self, other: LikeScipy) -> NDArray[Any]:
        """The values of a matrix of the same pattern in the stored order of `other`."""
        if self._transposed == other._transposed:
            return self._data
        return self.T._csr().data if other._transposed else self._csr().data

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

    def power(self, n: Any, dtype: DTypeLike | None = None) -> Any:
        """Each stored value to the power of n, on the same packing.

        Parameters
        ----------
        n : number
            Not 0, to whose power the unstored zeros would be 1. A complex one gives a `csr_array`.
        dtype : dtype, optional
            What the values are cast to first.

        Raises
        ------
        NotImplementedError
            n is 0, or no number.
        """
        if not is_scalar(n) or not n:
            raise NotImplementedError(f"the power of a sparse matrix must be a number other than 0, not {n!r}")
        if np.iscomplexobj(n):
            return as_scipy(self).power(n, dtype=dtype)
        return self._with_stored_values(_scaled(operator.pow, self.astype(dtype or self.dtype, copy=False)._data, n))

    @property
    def real(self) -> Self:
        """This matrix."""
        return self

    __eq__ = _via_csr_operator("__eq__")
    __ne__ = _via_csr_operator("__ne__")
    __lt__ = _via_csr_operator("__lt__")
    __gt__ = _via_csr_operator("__gt__")
    __le__ = _via_csr_operator("__le__")
    __ge__ = _via_csr_operator("__ge__")

    # The base takes the operand of these two unchecked, and sums by a product, for which it would have layouts built.
    maximum = _via_csr("maximum")
    minimum = _via_csr("minimum")
    sum = _via_csr("sum")
    mean = _via_csr("mean")
    # The base has none of these.
    max = _via_csr("max")
    min = _via_csr("min")
    nanmax = _via_csr("nanmax")
    nanmin = _via_csr("nanmin")
    argmax = _via_csr("argmax")
    argmin = _via_csr("argmin")
    count_nonzero = _via_csr("count_nonzero")
    _getnnz = _via_csr("_getnnz")  # what SciPy's own classes ask each other

    @staticmethod
    def _elementwise_ufunc(name: str, inputs: tuple[Any, ...]) -> Any:
        if len(inputs) == 1:
            return _UNARY[name](inputs[0]) if name in _UNARY else NotImplemented
        a, b = inputs
        if name not in _BINARY:
            return NotImplemented
        forward, reflected = _BINARY[name]
        if isinstance(a, LikeScipy):
            return getattr(a, forward)(b)
        return getattr(b, reflected)(a) if reflected else NotImplemented

    # --- elements -----------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        """What `scipy.sparse.csr_array` gives for this index; O(nnz) where a conversion is needed."""
        return as_scipy(self)[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(as_scipy(self))

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        self._refuse_edit("item assignment")

    def setdiag(self, values: Any, k: int = 0) -> NoReturn:
        """Raises NotImplementedError: a ComplementaryMatrix is immutable."""
        self._refuse_edit("setdiag")

    def resize(self, *shape: Any) -> NoReturn:
        """Raises NotImplementedError: a ComplementaryMatrix is immutable."""
        self._refuse_edit("resize")

    def eliminate_zeros(self) -> NoReturn:
        """Raises NotImplementedError: a ComplementaryMatrix is immutable."""
        self._refuse_edit("eliminate_zeros")

    def sort_indices(self) -> None:
        """Nothing: the indices of each row ascend."""

    def sum_duplicates(self) -> None:
        """Nothing: there are no duplicates."""

    def _refuse_edit(self, what: str) -> NoReturn:
        raise NotImplementedError(
            f"{what} would change a ComplementaryMatrix, whose packing is fixed; edit W.tocsr() and pack the result "
            "again, or give new values with W.with_values"
        )


# The functions that keep zeros, of which scipy.sparse makes methods.
_KEEPING_ZERO = (
    np.sin,
    np.tan,
    np.arcsin,
    np.arctan,
    np.sinh,
    np.tanh,
    np.arcsinh,
    np.arctanh,
    np.rint,
    np.sign,
    np.expm1,
    np.log1p,
    np.deg2rad,
    np.rad2deg,
    np.floor,
    np.ceil,
    np.trunc,
    np.sqrt,
)
for _ufunc in _KEEPING_ZERO:
    setattr(LikeScipy, _ufunc.__name__, _of_values(_ufunc))

_elementwise_product = _via_csr_operator("__mul__")
_quotient = _via_csr_operator("__truediv__")
_sum = _via_csr_operator("__add__")
_difference = _via_csr_operator("__sub__")

_UNARY: dict[str, Callable[[Any], Any]] = {
    "negative": operator.neg,
    "positive": operator.pos,
    "absolute": operator.abs,
    "conjugate": operator.methodcaller("conj"),
    "square": operator.methodcaller("power", 2),
    **{ufunc.__name__: operator.methodcaller(ufunc.__name__) for ufunc in _KEEPING_ZERO},
}
# The methods of ufuncs of two operands: that of the left and that of the right one.
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
    "maximum": ("maximum", "maximum"),
    "minimum": ("minimum", "minimum"),
    "power": ("__pow__", None),
}
