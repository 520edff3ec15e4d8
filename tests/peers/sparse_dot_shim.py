# SPDX-License-Identifier: BSD-3-Clause
"""A pytest plugin: sparse_dot_mkl's tests multiply by ComplementaryMatrix instead of MKL.

Loaded before the tests, which then import the function below under the name of the one that they test.
"""

import warnings

import numpy as np
import scipy.sparse
import sparse_dot_mkl

import complsparse as cs

FORMATS = ("csr", "csc", "bsr")


def _check(a, b, out, cast):
    """The error contract of sparse_dot_mkl: ValueError for other formats, dtypes that differ, and a bad `out`."""
    for x in (a, b):
        if scipy.sparse.issparse(x) and x.format not in FORMATS:
            raise ValueError(f"format {x.format} is not one of {FORMATS}")
    if a.dtype != b.dtype and not cast:
        raise ValueError(f"dtypes {a.dtype} and {b.dtype} differ, and cast is False")
    inner = (a.shape[-1], b.shape[0])
    if inner[0] != inner[1]:
        raise ValueError(f"inner sizes {inner} differ")
    if out is not None:
        shape = (*a.shape[:-1], *b.shape[1:])
        dtype = np.result_type(a.dtype, b.dtype)
        if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype:
            raise ValueError(f"out must be an array of shape {shape} and dtype {dtype}")
        if not (out.flags.c_contiguous or out.flags.f_contiguous):
            raise ValueError("out must be contiguous")


def _parts(x):
    return (x.real, x.imag) if np.iscomplexobj(x) else (x,)


def _real_product(a, b, dense, out=None):
    """One operand becomes a ComplementaryMatrix; a sparse result where both are sparse and `dense` is not asked for."""
    if scipy.sparse.issparse(a):
        W = cs.from_scipy(a)
        return W @ b if scipy.sparse.issparse(b) and not dense else cs.matmul(W, b, out=out)
    return cs.matmul(a, cs.from_scipy(b), out=out)


def _product(a, b, dense):
    (ar, *ai), (br, *bi) = _parts(a), _parts(b)
    total = _real_product(ar, br, dense)
    if ai and bi:
        total = total - _real_product(ai[0], bi[0], dense)
    for x, y in [(ar, y) for y in bi] + [(x, br) for x in ai]:
        total = total + _real_product(x, y, dense) * np.complex64(1j)
    return total


def dot_product_mkl(
    matrix_a,
    matrix_b,
    cast=False,
    copy=True,
    reorder_output=False,
    dense=False,
    debug=False,
    out=None,
    out_scalar=None,
):
    if debug:
        warnings.warn("debug is set elsewhere", DeprecationWarning, stacklevel=2)
    if not (scipy.sparse.issparse(matrix_a) or scipy.sparse.issparse(matrix_b)):
        return original(matrix_a, matrix_b, cast, copy, reorder_output, dense, debug, out, out_scalar)
    _check(matrix_a, matrix_b, out, cast)
    real = not (np.iscomplexobj(matrix_a) or np.iscomplexobj(matrix_b))
    if real and out is not None and out_scalar is None:
        return _real_product(matrix_a, matrix_b, True, out)
    product = _product(matrix_a, matrix_b, dense or out is not None)
    if out is None:
        return product
    if out_scalar is None:
        out[...] = product  # Never 0 * out: memory that nobody wrote may hold NaN.
        return out
    out *= out_scalar
    out += product
    return out


original = sparse_dot_mkl.dot_product_mkl
sparse_dot_mkl.dot_product_mkl = dot_product_mkl
