# SPDX-License-Identifier: BSD-3-Clause
# The contest of k winners.

cdef bint is_vector_like(object given, cnp.ndarray x, int64_t n, const void** data) noexcept:
    """Whether an optional vector has n contiguous entries of the type of x."""
    data[0] = NULL
    if given is None:
        return True
    if not cnp.PyArray_CheckExact(given):
        return False
    cdef cnp.ndarray v = given
    if (cnp.PyArray_TYPE(v) != cnp.PyArray_TYPE(x) or cnp.PyArray_NDIM(v) != 1 or cnp.PyArray_DIMS(v)[0] != n
            or not cnp.PyArray_ISCARRAY_RO(v)):
        return False
    data[0] = cnp.PyArray_DATA(v)
    return True


cdef bint is_contest(cnp.ndarray x, int axis, object bias, object boost, bint relu, c.Contest* contest) noexcept:
    """Whether C++ can rank these arrays as they are; if so, all of the contest but k."""
    cdef int type = value_type(x)
    if type < 0 or not is_batch(x, axis, &contest.x):
        return False
    # What the contract of contests leaves out.
    if (bias is not None and c.bytes_of(<Type> type) < 4) or (boost is not None and c.kind_of(<Type> type) != c'f'):
        return False
    contest.type = <Type> type
    contest.relu = relu
    return is_vector_like(bias, x, contest.x.n, &contest.bias) and is_vector_like(boost, x, contest.x.n, &contest.boost)


cdef Compressed run_contest(cnp.ndarray x, c.Contest* contest, tuple shape, object axis):
    cdef int64_t vectors = contest.x.outer * contest.x.inner
    cdef cnp.dtype dtype = type_dtypes[<int> contest.type]
    cdef Compressed made = new_compressed(_winners_class, dtype, vectors * contest.k, vectors, contest.x.n, shape, axis)
    cdef void* values = <void*> made.entries
    cdef int32_t* indices = <int32_t*> made.places
    cdef int64_t* starts = <int64_t*> made.starts
    if vectors * contest.x.n < 20_000:
        c.c_compete(contest[0], NULL, values, indices, starts)
    else:
        with nogil:
            c.c_compete(contest[0], NULL, values, indices, starts)
    return made


def compete(cnp.ndarray x not None, int64_t k, int axis, bint relu, bias, boost, tuple shape, as_axis):
    """`kwta` for arrays that `_ops` has brought into a form that C++ walks; the shape and axis are the result's."""
    cdef c.Contest contest
    if not is_contest(x, axis, bias, boost, relu, &contest) or not 0 <= k <= contest.x.n:
        raise AssertionError("compete takes aligned native arrays, of one type, and k within the vectors")
    contest.k = k
    return run_contest(x, &contest, shape, as_axis)


cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object, int*)


cdef inline long long small_integer(object number) noexcept:
    """The value of an int; one that no size has, where 64 bits do not hold it. Comparing objects would take longer."""
    cdef int overflow
    cdef long long value = PyLong_AsLongLongAndOverflow(number, &overflow)
    return value if overflow == 0 else -(1 << 62)


cdef object _integer = np.integer, _floating = np.floating


cdef int64_t count_of_winners(object k, int64_t n) noexcept:
    """k of a contest as a count, at most n; -1 where it is neither a count nor a share, or not of a size that fits."""
    cdef double share
    if type(k) is not int:
        if isinstance(k, float) or isinstance(k, _floating):
            share = k
            return <int64_t> rint(share * n) if 0 <= share <= 1 else -1
        if not isinstance(k, (int, _integer)):
            return -1
        k = int(k)
    cdef int64_t count = small_integer(k)
    return min(count, n) if count >= 0 else -1


def winners_wanted(k, int64_t n):
    """`count_of_winners`."""
    return count_of_winners(k, n)


cdef inline object fast_contest(object x, object k, object axis, object relu, object bias, object boost):
    """The winners if the fast checks accept everything, else None."""
    cdef c.Contest contest
    cdef int64_t at
    if not cnp.PyArray_CheckExact(x) or type(axis) is not int or type(relu) is not bool:
        return None
    at = small_integer(axis)
    if at < 0:
        at += cnp.PyArray_NDIM(<cnp.ndarray> x)
    if not 0 <= at < 64 or not is_contest(x, <int> at, bias, boost, relu, &contest):
        return None
    contest.k = count_of_winners(k, contest.x.n)
    return run_contest(x, &contest, (<object> x).shape, at) if contest.k >= 0 else None


def kwta(x, k, *, axis=-1, relu=False, bias=None, boost=None):
    """The k winners of each vector: its largest entries, in their places.

    Parameters
    ----------
    x : array_like
        At least one axis; any strides. float32, float64, int8, uint8, int32 or int64; 16-bit floats become float32.
    k : int or float
        How many win in each vector of n entries: an int of at least 0 (all, from n on), or a share from 0.0 to 1.0 that
        stands for ``round(k * n)``.
    axis : int or tuple of int
        The entries along this axis compete. A tuple makes one contest over several axes, in the order of the shape.
    relu : bool
        Winners that are not above zero (NaN is not) are dropped: fewer than k may be left.
    bias : array_like, optional
        One entry per entry of a vector, or what broadcasts to the axes of the contest: added before the contest,
        and part of the values. Integers are added as int32 at least.
    boost : array_like, optional
        Factors, likewise: ranked is ``(x + bias) * boost``, the values are those of ``x + bias``. With duty cycles d, a
        target share a and strength s, usual factors are ``exp(s * (a - d))``. Floats are ranked in their dtype: products that
        overflow or underflow in it are equal. Integers are ranked in float64, and are at most 2**53 in magnitude.

    Returns
    -------
    Winners
        Of the shape of x, compressed along `axis`.

    Raises
    ------
    ValueError
        k below 0, a share outside 0 to 1, an axis that x has not, `bias` or `boost` of another size, a vector of 2**31
        entries or more, integers beyond 2**53 with a `boost`.
    TypeError
        Another dtype, a masked array, k that is no number, relu that is no bool.

    Notes
    -----
    Exactly k win (all, if there are fewer). Of equal entries the first win; 0.0 and -0.0 are equal; NaN comes last, behind
    -inf. Expected time is O(n) per vector, in parallel over vectors; the result is the same for every number of threads.

    Examples
    --------
    >>> import complsparse as cs
    >>> w = cs.kwta([0.5, -1.0, 3.0, 0.5], 2)
    >>> w.values, w.indices
    (array([0.5, 3. ]), array([0, 2], dtype=int32))
    >>> cs.kwta([[-1.0, 3.0], [2.0, 4.0]], 0.5, axis=(0, 1)).toarray()
    array([[0., 3.],
           [0., 4.]])
    """
    made = fast_contest(x, k, axis, relu, bias, boost)
    return ops().kwta(x, k, axis, relu, bias, boost) if made is None else made


def kwta_dense(x, k, *, axis=-1, relu=False, bias=None, boost=None):
    """The winners of `complsparse.kwta` in a dense array: zero wherever an entry lost.

    Parameters
    ----------
    x, k, axis, relu, bias, boost
        As for `complsparse.kwta`.

    Returns
    -------
    ndarray, or Tensor where x is one
        Of the shape of x; of its dtype, except that 16-bit floats become float32 and that a bias widens 8-bit integers.

    Raises
    ------
    ValueError, TypeError
        As `complsparse.kwta`.

    Notes
    -----
    Expected time is O(size of x).

    Examples
    --------
    >>> import complsparse as cs
    >>> cs.kwta_dense([0.5, -1.0, 3.0, 0.5], 2)
    array([0.5, 0. , 3. , 0. ])
    """
    if is_tensor(x):
        if records(x) or records(bias):
            return ops().recorded("kwta_dense", x, k, axis, relu, bias, boost)
        x, bias, boost = array_of(x), array_of(bias), array_of(boost)
        return given_back(winners_written_out(x, k, axis, relu, bias, boost), None)
    return winners_written_out(x, k, axis, relu, bias, boost)


cdef object winners_written_out(object x, object k, object axis, object relu, object bias, object boost):
    made = fast_contest(x, k, axis, relu, bias, boost)
    return ops().kwta(x, k, axis, relu, bias, boost).toarray() if made is None else expand(made)


@cython.final
cdef class BoundContest:
    """`kwta` along the last axis of a matrix as a C function, one row after the other at each call.

    `function` is the address of ``void (*)(void*)``, `context` its argument; both are valid while this object lives.
    `warm`: each contest begins where the last one was decided.
    """
    cdef c.BoundContest bound
    cdef cnp.ndarray x
    cdef readonly cnp.ndarray values, indices, starts

    def __cinit__(self, cnp.ndarray x not None, int64_t k, bint warm):
        if (cnp.PyArray_NDIM(x) != 2 or not is_contest(x, 1, None, None, False, &self.bound.contest)
                or not 0 <= k <= x.shape[1] or x.shape[0] == 0):
            raise ValueError("BoundContest takes an aligned native matrix with rows, and k within them")
        self.bound.contest.k = k
        self.bound.warm = warm
        self.x = x
        self.values = np.empty(k, dtype=x.dtype)
        self.indices = np.empty(k, dtype=np.int32)
        self.starts = np.zeros(2, dtype=np.int64)
        self.bound.values = cnp.PyArray_DATA(self.values)
        self.bound.indices = <int32_t*> cnp.PyArray_DATA(self.indices)
        self.bound.starts = <int64_t*> cnp.PyArray_DATA(self.starts)

    @property
    def function(self):
        return <uintptr_t> &c.run_bound_contest

    @property
    def context(self):
        return <uintptr_t> &self.bound

    def __reduce__(self):
        raise TypeError("a BoundContest holds addresses of this process")

    def __call__(self):
        c.run_bound_contest(&self.bound)
