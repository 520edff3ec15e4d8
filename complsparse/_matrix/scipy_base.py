# SPDX-License-Identifier: BSD-3-Clause
"""From which of SciPy's classes `ComplementaryMatrix` derives: the only file that knows a private name of SciPy.

All of SciPy's sparse arrays derive from `_spbase`, which `scipy.sparse.issparse` looks for, and from `sparray`, which
tells arrays from matrices. In SciPy 1.15 to 1.17 these are two classes; later `sparray` may derive from the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scipy.sparse import sparray
from scipy.sparse._base import _spbase


class Format(str):
    """The name of a format that SciPy does not have: equal to the plain name, and a way out where it is formatted.

    SciPy refuses by format in a few functions (`save_npz`, `expm`, `inv`), with messages that hold nothing of the
    matrix but this name.
    """

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return format(f"{self!s} (use W.tocsr())", spec)


if TYPE_CHECKING:  # SciPy has no types, and with a base without any a checker would take a matrix for everything

    class SciPysOwn:
        imag: Any
        asformat: Any
        conj: Any
        conjugate: Any
        diagonal: Any
        nonzero: Any
        reshape: Any
        tobsr: Any
        todense: Any
        todia: Any
        todok: Any
        tolil: Any
        trace: Any

        def __bool__(self) -> bool: ...

else:

    class SciPysOwn(*((sparray,) if issubclass(sparray, _spbase) else (_spbase, sparray))):
        __slots__ = ()


class SparseArray(SciPysOwn):
    """What SciPy's base expects of a two-dimensional format beside the public members. Holds nothing itself."""

    __slots__ = ()

    _format = Format("cmp")
    ndim = 2
    maxprint = 50  # of entries, where SciPy prints some
    has_sorted_indices = has_canonical_format = True

    @property
    def _shape(self) -> tuple[int, int]:
        return self.shape  # type: ignore[attr-defined, no-any-return]
