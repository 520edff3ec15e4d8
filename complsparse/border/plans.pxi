# SPDX-License-Identifier: BSD-3-Clause
# Which plan C++ makes for a matrix and a batch, and what it could have chosen instead.

def batch_widths():
    """Where other kinds of batches begin, for which another choice may be cheaper: the least numbers of columns."""
    cdef int i
    return tuple([c.batch_widths[i].least for i in range(c.n_batch_widths)])


cdef tuple _described_batches = (1, *batch_widths())


cdef object add_choice(list found, n, str name, str reason):
    """One more batch size: in the last range, if the same serves both."""
    last = found[len(found) - 1] if found else None  # no negative index: this module does not wrap around
    if last and last["microkernel"] == name and last["reason"] == reason:
        last["n_last"] = n
    else:
        found.append(dict(n_first=n, n_last=n, microkernel=name, reason=reason))


cdef int64_t winners_of_all(int64_t n, winners) except? -2:
    """Of n vectors together, as plans count them: -1 where activations are dense."""
    return -1 if winners is None else min(n * int(winners), 2**62)


cdef int product_with(Operand W, dtype) except -1:
    """That of W with activations of 8 bits, where it has one; else `product_in`, whose dtype they are converted to."""
    cdef int found = product_of(W.w_num, np.dtype(dtype).num) if np.dtype(dtype).itemsize == 1 else -1
    return found if found >= 0 else product_in(dtype)


cdef int planned_with(Operand W, dtype, winners) except -1:
    """Likewise; of dense activations where both are of bfloat16, the product that plans may take for that of float32."""
    if winners is None and np.dtype(dtype).name == "bfloat16" and is_bfloat16(W.store.data):
        return c.pair_product
    return product_with(W, dtype)


cdef inline void fill_request(PlanRequest* request, Operand W, int product, bint from_right, int64_t n, int64_t winners,
                              bint deterministic, bint contiguous_rows, int candidate) noexcept:
    """Where it lies: copying what was just written byte by byte would cost as much as finding the plan."""
    request.side = Side.columns if W.transposed != from_right else Side.rows
    request.types = c.product_list()[product]
    request.n = n
    request.winners = winners
    request.deterministic = deterministic
    request.contiguous_rows = contiguous_rows
    request.candidate = candidate


cdef CPlan plan_for(Operand W, int product, bint from_right, int64_t n, int64_t winners, bint deterministic,
                    bint contiguous_rows, int candidate=-1) except *:
    """The plan of a product for n vectors; winners: of all of them together, -1 where they are dense."""
    cdef const Matrix* matrix = W.store.matrix(product)
    cdef PlanRequest request
    cdef CPlan plan
    fill_request(&request, W, product, from_right, n, winners, deterministic, contiguous_rows, candidate)
    plan = c.known_plan(matrix[0], request)
    if plan.choice == NULL:
        with nogil:
            plan = c.make_plan(matrix[0], request)
    return plan


def candidates(Operand W, int64_t n, dtype, bint batch_major=False, winners=None):
    """What could serve ``W @ X`` with n columns (of so many winners each), cheapest first as the cost model sees it."""
    cdef int product = planned_with(W, dtype, winners)
    cdef const Matrix* matrix = W.store.matrix(product)
    cdef int64_t all_winners = winners_of_all(n, winners)
    cdef PlanRequest request
    cdef vector[c.Candidate] found
    fill_request(&request, W, product, False, n, all_winners, False, not batch_major, -1)
    with nogil:
        found = c.c_candidates(matrix[0], request)
    return [dict(layout=found[i].layout.decode(), cost=found[i].cost) for i in range(<int64_t> found.size())]
