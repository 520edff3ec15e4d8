# SPDX-License-Identifier: BSD-3-Clause
# Tensors of torch where arrays are taken: read where they lie, and given back. Nobody has one before torch is imported.

cdef object _tensor_class = None
cdef object _from_numpy, _is_grad_enabled, _wrote_to


cdef bint find_torch():
    """Whether torch is there, and what of it is used."""
    global _tensor_class, _from_numpy, _is_grad_enabled, _wrote_to
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "autograd") or not hasattr(torch, "from_numpy"):  # not, or not wholly
        return False
    _from_numpy, _is_grad_enabled = torch.from_numpy, torch.is_grad_enabled
    _wrote_to = torch.autograd.graph.increment_version
    _tensor_class = torch.Tensor
    return True


cpdef bint is_tensor(object given):
    if given is None or cnp.PyArray_CheckExact(given) or (_tensor_class is None and not find_torch()):
        return False
    return type(given) is _tensor_class or isinstance(given, _tensor_class)


cpdef bint records(object given):
    """Whether a tensor wants the gradient of what is done with it."""
    return is_tensor(given) and given.requires_grad and _is_grad_enabled()


cpdef object array_of(object given):
    """The array on a tensor's memory. Anything else, and tensors that `_arrays` has to convert or refuse, as they are."""
    if not is_tensor(given):
        return given
    try:
        return given.numpy()  # refuses tensors that require grad, wherever that is
    except (RuntimeError, TypeError):
        if not given.requires_grad or _is_grad_enabled():
            return given
    return array_of(given.detach())


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
