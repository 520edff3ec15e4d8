# SPDX-License-Identifier: BSD-3-Clause
# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The border between Python and C++: checks arrays fast, releases the GIL, calls one C++ function.

What a fast check does not accept goes to functions that `set_fallbacks` was given (`complsparse._ops`): they convert it
or explain in words why they cannot.

The files of `border/` are its parts, each built on those before it:

    config             what holds for the whole process: ISA level, threads, determinism
    arrays             how C++ reads NumPy's arrays: types, products, activations, views, shared memory
    packing            patterns: checked, searched for blocks, packed
    operand            the stored matrix
    plans              which micro-kernel and layout serve a matrix and a batch
    tensors            torch's tensors where arrays are taken
    winners            the memory of winners, from and to dense arrays
    kwta               k winners
    products           W @ X, X @ W and x @ W.T of dense arrays; the functions that users call
    winners_products   the same of winners
    linear_winners     x @ W.T whose outputs compete at once
    bound_calls        products bound to a matrix and a batch size, and to arrays
    sparse_product     products of two sparse matrices with a sparse result
    convolutions       convolutions bound to filters and the shape of an image
    networks           networks compiled for the shape of their input

They are included, and no modules of their own: each module would link a copy of the C++ library with a choice of ISA
level, threads and locks of its own, and a small product, which walks through several of them, would pay for calls that
the compiler cannot see through. What they import stands here.
"""

import os
import sys
import threading
from types import SimpleNamespace

import numpy as np

cimport cython
cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals, PyErr_Clear
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer, PyCapsule_IsValid
from cpython.ref cimport Py_DECREF, Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.math cimport rint
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.optional cimport optional
from libcpp.utility cimport move
from libcpp.vector cimport vector

from complsparse._cpp cimport (
    Block,
    CsrReport,
    CsrRule,
    DenseView,
    Epilogue,
    Interrupt,
    Matrix,
    Packed,
    PackingReport,
    PackingRule,
    Pattern,
    PlanRequest,
    Sets,
    Side,
    StoredMatrix,
    ThreadReport,
    Type,
    Types,
)
from complsparse._cpp cimport Plan as CPlan
from complsparse cimport _cpp as c
from complsparse cimport _cpp_networks as cn

cnp.import_array()

include "border/config.pxi"
include "border/arrays.pxi"
include "border/packing.pxi"
include "border/operand.pxi"
include "border/plans.pxi"
include "border/tensors.pxi"
include "border/winners.pxi"
include "border/kwta.pxi"
include "border/products.pxi"
include "border/winners_products.pxi"
include "border/linear_winners.pxi"
include "border/bound_calls.pxi"
include "border/sparse_product.pxi"
include "border/convolutions.pxi"
include "border/requantize.pxi"
include "border/quantized_calls.pxi"
include "border/step_arguments.pxi"
include "border/steps.pxi"
include "border/networks.pxi"
