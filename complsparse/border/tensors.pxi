# SPDX-License-Identifier: BSD-3-Clause
# Tensors of torch where arrays are taken: read where they lie, and given back. Nobody has one before torch is imported.

cdef object _tensor_class = None
cdef object _from_numpy, _is_grad_enabled, _wrote_to
cdef ExchangeAPI* _exchange = NULL

# What of DLPack's structures in C is read here: a tensor's memory, described, and how torch is asked for it.
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

cdef struct ExchangeAPI:
    uint32_t major
    uint32_t minor
    void* earlier
    void* allocate
    void* from_object
    void* to_object
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
    global _tensor_class, _from_numpy, _is_grad_enabled, _wrote_to, _exchange
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "autograd") or not hasattr(torch, "from_numpy"):  # not, or not wholly
        return False
    _from_numpy, _is_grad_enabled = torch.from_numpy, torch.is_grad_enabled
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


cdef object described_array(object tensor):
    """The array on the memory of a tensor of floats that nothing is recorded of, in a fraction of the time that its own
    `numpy` takes; None where that has to look closer, and for what is no tensor."""
    cdef DLTensor found
    if _exchange == NULL or type(tensor) is not _tensor_class or tensor.is_neg():
        return None
    if _exchange.describe(<void*> tensor, &found) != 0:
        PyErr_Clear()
        return None
    if (found.device_type != 1 or found.code != 2 or found.lanes != 1 or found.bits not in (32, 64)
            or found.ndim > MOST_AXES or found.data == NULL):
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


cpdef object given_back(object y, object out):
    """A result as a tensor: `out` if it was given, which was written to."""
    if out is None:
        try:
            return _from_numpy(y)
        except TypeError:
            return ops().as_tensor(y)
    if is_tensor(out):
        _wrote_to(out)
    return out


def recorded(call, *args):
    """The call of this name in complsparse.torch, which records gradients."""
    return ops().recorded(call, *args)
