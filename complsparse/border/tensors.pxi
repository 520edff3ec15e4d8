# SPDX-License-Identifier: BSD-3-Clause
# Tensors of torch where arrays are taken: read where they lie, and given back. Nobody has one before torch is imported.

cdef extern from "Python.h":
    bint Py_IsInitialized() noexcept nogil

cdef object _tensor_class = None
cdef object _from_numpy, _is_grad_enabled, _is_neg, _wrote_to
cdef ExchangeAPI* _exchange = NULL

# What of DLPack's structures in C is used here: a tensor's memory, described, who lets go of it, and how torch is asked
# for a description or a tensor.
cdef struct DLTensor:
    void* data
    int32_t device_type  # 1: the CPU
    int32_t device_id
    int32_t ndim
    uint8_t code  # 2: floating point
    uint8_t bits
    uint16_t lanes
    int64_t* shape
    int64_t* strides  # in entries
    uint64_t byte_offset

cdef struct ManagedTensor:
    uint32_t major
    uint32_t minor
    void* owner
    void (*let_go)(ManagedTensor* managed) noexcept
    uint64_t flags
    DLTensor tensor

cdef struct ExchangeAPI:
    uint32_t major
    uint32_t minor
    void* earlier
    void* allocate
    void* from_object
    int (*to_object)(ManagedTensor* managed, void** tensor) noexcept
    int (*describe)(void* tensor, DLTensor* described) noexcept
    void* current_stream

cdef enum:
    MOST_AXES = 8


cdef ExchangeAPI* exchange_of(object tensor_class):
    """How tensors are described without a call of Python; NULL where this torch has no such thing."""
    capsule = getattr(tensor_class, "__dlpack_c_exchange_api__", None)
    if not PyCapsule_IsValid(capsule, "dlpack_exchange_api"):
        return NULL
    cdef ExchangeAPI* found = <ExchangeAPI*> PyCapsule_GetPointer(capsule, "dlpack_exchange_api")
    return found if found.major == 1 else NULL


cdef bint find_torch():
    """Whether torch is there, and what of it is used."""
    global _tensor_class, _from_numpy, _is_grad_enabled, _is_neg, _wrote_to, _exchange
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "autograd") or not hasattr(torch, "from_numpy"):  # not, or not wholly
        return False
    _from_numpy, _is_grad_enabled, _is_neg = torch.from_numpy, torch.is_grad_enabled, torch.Tensor.is_neg
    _wrote_to = torch.autograd.graph.increment_version
    _exchange = exchange_of(torch.Tensor)
    _tensor_class = torch.Tensor
    return True


cpdef bint is_tensor(object given):
    if given is None or cnp.PyArray_CheckExact(given) or (_tensor_class is None and not find_torch()):
        return False
    return type(given) is _tensor_class or isinstance(given, _tensor_class)


cpdef bint records(object given):
    """Whether a tensor wants the gradient of what is done with it."""
    return is_tensor(given) and given.requires_grad and _is_grad_enabled()


cdef bint describe_floats(object tensor, DLTensor* found):
    """Whether these are floats of 4 or 8 bytes in memory; where and how they lie."""
    if _exchange == NULL:
        return False
    if _exchange.describe(<void*> tensor, found) != 0:
        PyErr_Clear()
        return False
    return (found.device_type == 1 and found.code == 2 and found.lanes == 1 and found.bits in (32, 64)
            and found.ndim <= MOST_AXES and found.data != NULL)


cdef object described_array(object tensor):
    """The array on the memory of a tensor of floats that nothing is recorded of, in a fraction of the time that its own
    `numpy` takes; None where that has to look closer, and for what is no tensor."""
    cdef DLTensor found
    if type(tensor) is not _tensor_class or _is_neg(tensor) or not describe_floats(tensor, &found):
        return None
    cdef int size = found.bits // 8, axis
    cdef cnp.npy_intp shape[MOST_AXES]
    cdef cnp.npy_intp strides[MOST_AXES]
    for axis in range(found.ndim):
        shape[axis], strides[axis] = found.shape[axis], found.strides[axis] * size
    cdef cnp.ndarray array = cnp.PyArray_New(
        cnp.ndarray, found.ndim, shape, cnp.NPY_FLOAT32 if size == 4 else cnp.NPY_FLOAT64, strides,
        <char*> found.data + found.byte_offset, size, cnp.NPY_ARRAY_WRITEABLE, None)
    cnp.set_array_base(array, tensor)
    return array


cpdef object array_of(object given):
    """The array on a tensor's memory. Anything else, and tensors that `_arrays` has to convert or refuse, as they are."""
    if not is_tensor(given):
        return given
    array = None if given.requires_grad else described_array(given)
    if array is not None:
        return array
    try:
        return given.numpy()  # refuses tensors that require grad, wherever that is
    except (RuntimeError, TypeError):
        if not given.requires_grad or _is_grad_enabled():
            return given
    return array_of(given.detach())


cdef inline object unrecorded_array(object given):
    """As `array_of`, of what `records` said no to."""
    if given is None or _tensor_class is None:
        return given
    array = described_array(given)
    return array_of(given) if array is None else array


cpdef object memory_of(object out):
    """The array that writes to the tensor `out`; anything else as it is."""
    if not is_tensor(out):
        return out
    if out.requires_grad:
        raise ValueError("out is a tensor that requires grad, which nothing writes to: pass out.detach()")
    memory = array_of(out)
    return memory if cnp.PyArray_Check(memory) else ops().memory_of(out, "out")


# An array lent to a tensor: the structure that torch keeps, and behind it the shape that it points to.
cdef struct Lent:
    ManagedTensor managed
    int64_t shape[MOST_AXES]


cdef void let_go_of_array(ManagedTensor* managed) noexcept nogil:
    if Py_IsInitialized():  # tensors may outlive Python
        with gil:
            Py_DECREF(<object> managed.owner)
    free(managed)


cdef object described_tensor(cnp.ndarray array):
    """The tensor on the memory of an array of floats, in half the time of `torch.from_numpy`; None where that is asked."""
    cdef int axis, type_num = cnp.PyArray_TYPE(array), axes = cnp.PyArray_NDIM(array)
    cdef int size = 4 if type_num == cnp.NPY_FLOAT32 else 8
    if (_exchange == NULL or type_num not in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64) or axes > MOST_AXES
            or not cnp.PyArray_CHKFLAGS(array, cnp.NPY_ARRAY_CARRAY)):
        return None
    cdef Lent* lent = <Lent*> calloc(1, sizeof(Lent))
    if lent == NULL:
        raise MemoryError
    cdef ManagedTensor* managed = &lent.managed
    managed.major, managed.owner, managed.let_go = _exchange.major, <void*> array, let_go_of_array
    cdef DLTensor* lies = &managed.tensor
    lies.data, lies.device_type = cnp.PyArray_DATA(array), 1
    lies.code, lies.bits, lies.lanes = 2, 8 * size, 1
    lies.ndim, lies.shape = axes, &lent.shape[0]  # no strides: the array is contiguous
    for axis in range(axes):
        lent.shape[axis] = array.shape[axis]
    cdef void* found = NULL
    Py_INCREF(array)
    if _exchange.to_object(managed, &found) != 0:
        PyErr_Clear()  # nobody says whether torch has it by now: so it stays
        return None
    tensor = <object> found
    Py_DECREF(tensor)  # the reference that came with it
    return tensor


cpdef object given_back(object y, object out):
    """A result as a tensor: `out` if it was given, which was written to."""
    if out is None:
        tensor = described_tensor(y) if cnp.PyArray_Check(y) else None
        if tensor is not None:
            return tensor
        try:
            return _from_numpy(y)
        except TypeError:
            return ops().as_tensor(y)
    if is_tensor(out):
        _wrote_to(out)
    return out


cdef class FrozenLinear:
    """A linear layer of torch whose matrix is made already. Called with a tensor x and what the layer's parameters are now,
    it gives the outputs; None where these, or their numbers, may have changed, where gradients are recorded, and of an x
    that it does not take as it lies."""

    cdef Operand W
    cdef object values, bias, offset, version
    cdef DLTensor values_lie, bias_lies

    def __call__(self, object x, object values, object bias):
        if values is not self.values or bias is not self.bias or values._version != self.version or _is_grad_enabled():
            return None
        if not lies_there(values, &self.values_lie) or (bias is not None and not lies_there(bias, &self.bias_lies)):
            return None
        array = described_array(x)
        if array is None or 8 * cnp.PyArray_ITEMSIZE(array) != self.values_lie.bits:
            return None
        y = product(self.W, array, False, True, None, self.offset, None)
        return None if y is None else given_back(y, None)

    def __reduce__(self):
        return type(None), ()  # a copy of the layer makes its own


def frozen_linear(Operand W not None, values, bias):
    """`FrozenLinear` of W, which was made of these values; None where torch does not describe its tensors in C."""
    cdef FrozenLinear frozen = FrozenLinear.__new__(FrozenLinear)
    if not describe_floats(values, &frozen.values_lie):
        return None
    if bias is not None:
        frozen.offset = array_of(bias.detach())
        if not describe_floats(bias, &frozen.bias_lies) or frozen.bias_lies.bits != frozen.values_lie.bits:
            return None
    frozen.W, frozen.values, frozen.bias, frozen.version = W, values, bias, values._version
    return frozen


cdef bint lies_there(object tensor, const DLTensor* before):
    """Whether a tensor of floats has the memory and the type that it had."""
    cdef DLTensor now
    return describe_floats(tensor, &now) and now.data == before.data and now.bits == before.bits


def recorded(call, *args):
    """The call of this name in complsparse.torch, which records gradients."""
    return ops().recorded(call, *args)
