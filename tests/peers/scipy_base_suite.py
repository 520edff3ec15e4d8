# SPDX-License-Identifier: BSD-3-Clause
"""scipy's own tests of its sparse classes, run on ComplementaryMatrix. Started by test_peers.py, not collected."""

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.tests.test_base as base

from complsparse import ComplementaryMatrix

base._formats.setdefault("cmp", (20, "Complementary"))  # scipy's table of names in repr
base.supported_dtypes = [dtype for dtype in base.supported_dtypes if not np.issubdtype(dtype, np.complexfloating)]
base._TestCommon.math_dtypes = base.supported_dtypes

# Assignment is not there; scipy's factory then turns refusals into skips.
Suite = base.sparse_test_class(getset=False, slicing_assign=False, fancy_assign=False)


class AllComparisons:
    """The module pytest for the suite, which leaves out comparisons with bool results of formats it does not list."""

    def __getattr__(self, name):
        return getattr(pytest, name)

    @staticmethod
    def skip(reason):
        if not reason.startswith("Bool comparisons only implemented"):
            pytest.skip(reason)


base.pytest = AllComparisons()


class RealOrScipys(ComplementaryMatrix):
    """The class under test for all that it stores; complex matrices stay SciPy's, and the tests have the two meet."""

    def __new__(cls, A, *args, **kwargs):
        values = A[0] if isinstance(A, tuple) else A
        dtypes = [values.dtype if scipy.sparse.issparse(values) else np.asarray(values).dtype, kwargs.get("dtype")]
        is_complex = any(dtype is not None and np.issubdtype(dtype, np.complexfloating) for dtype in dtypes)
        return (scipy.sparse.csr_array if is_complex else ComplementaryMatrix)(A, *args, **kwargs)


class TestComplementaryMatrix(Suite):
    spcreator = RealOrScipys
    math_dtypes = (np.bool_, np.int_, np.float64)


TestComplementaryMatrix.init_class()
TestComplementaryMatrix.is_array_test = True  # `*` is element by element and nothing is an np.matrix, as of csr_array
