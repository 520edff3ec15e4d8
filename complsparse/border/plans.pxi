# SPDX-License-Identifier: BSD-3-Clause
# Which plan C++ makes for a matrix and a batch, and what it could have chosen instead.

cdef tuple _described_batches = (1, 2, 4, 8, 12, 16, 17, 32, 64, 128, 256)


cdef object add_choice(list found, n, str name, str reason):
    """One more batch size: in the last range, if the same serves both."""
    last = found[len(found) - 1] if found else None  # no negative index: this module does not wrap around
    if last and last["microkernel"] == name and last["reason"] == reason:
        last["n_last"] = n
    else:
        found.append(dict(n_first=n, n_last=n, microkernel=name, reason=reason))


cdef PlanRequest request_for(Operand W, bint from_right, int64_t n, bint deterministic, bint contiguous_rows) noexcept:
    cdef PlanRequest request
    request.side = Side.columns if W.transposed != from_right else Side.rows
    request.n = n
    request.deterministic = deterministic
    request.contiguous_rows = contiguous_rows
    request.candidate = -1
    return request


cdef CPlan plan_for(Operand W, int compute, bint from_right, int64_t n, bint deterministic,
                    bint contiguous_rows, int candidate=-1) except *:
    cdef const Matrix* matrix = W.store.matrix(compute)
    cdef PlanRequest request = request_for(W, from_right, n, deterministic, contiguous_rows)
    request.candidate = candidate
    cdef CPlan plan
    with nogil:
        plan = c.make_plan(matrix[0], request)
    return plan


def candidates(Operand W, int64_t n, dtype, bint batch_major=False):
    """The layouts that could serve ``W @ X`` with n columns, cheapest first as the cost model sees it."""
    cdef const Matrix* matrix = W.store.matrix(compute_type(np.dtype(dtype).num))
    cdef PlanRequest request = request_for(W, False, n, False, not batch_major)
    cdef vector[c.Candidate] found
    with nogil:
        found = c.c_candidates(matrix[0], request)
    return [dict(layout=found[i].layout.decode(), cost=found[i].cost) for i in range(<int64_t> found.size())]


cdef c.WinnersPlan winners_plan_for(Operand W, int compute, bint from_right, int64_t n, int64_t winners,
                                    bint deterministic, int candidate=-1) except *:
    cdef const Matrix* matrix = W.store.matrix(compute)
    cdef c.WinnersRequest request
    request.side = Side.columns if W.transposed != from_right else Side.rows
    request.n = n
    request.winners = winners
    request.deterministic = deterministic
    request.candidate = candidate
    cdef c.WinnersPlan plan
    with nogil:
        plan = c.make_winners_plan(matrix[0], request)
    return plan


def winners_candidates(Operand W, int64_t n, int64_t winners, dtype):
    """The ways to ``W @ x`` for n vectors of so many winners each, cheapest first as the cost model sees it."""
    cdef const Matrix* matrix = W.store.matrix(compute_type(np.dtype(dtype).num))
    cdef c.WinnersRequest request
    request.side = Side.columns if W.transposed else Side.rows
    request.n = n
    request.winners = n * winners
    request.deterministic = False
    request.candidate = -1
    cdef vector[c.Candidate] found
    with nogil:
        found = c.c_winners_candidates(matrix[0], request)
    return [dict(layout=found[i].layout.decode(), cost=found[i].cost) for i in range(<int64_t> found.size())]
