// SPDX-License-Identifier: BSD-3-Clause
#include "ort/api.hpp"

namespace cs::ort {

void Api::check(Status* status) const {
    if (status == nullptr) return;
    const std::string text = reinterpret_cast<GetErrorMessagePointer>(functions_.at[GetErrorMessage])(status);
    release(status);
    throw std::runtime_error(text);
}

Tensor Api::tensor(const Value* value) const {
    TensorInfo* info = nullptr;
    call(GetTensorTypeAndShape{}, value, &info);
    struct Released {
        const Functions& functions;
        TensorInfo* info;
        ~Released() { reinterpret_cast<ReleaseTensorInfoPointer>(functions.at[ReleaseTensorTypeAndShapeInfo])(info); }
    } released{functions_, info};
    Tensor tensor{};
    call(GetTensorElementType{}, info, &tensor.type);
    call(GetDimensionsCount{}, info, &tensor.shape.axes);
    if (tensor.shape.axes > most_axes)
        throw std::invalid_argument("a tensor has " + std::to_string(tensor.shape.axes) + " axes; " +
                                    std::to_string(most_axes) + " are the most");
    call(GetDimensions{}, info, tensor.shape.sizes, tensor.shape.axes);
    call(GetTensorMutableData{}, const_cast<Value*>(value), &tensor.data);  // there is no other in this version
    return tensor;
}

Tensor Api::input(const KernelContext* context, std::size_t i) const {
    const Value* value = nullptr;
    call(KernelContext_GetInput{}, context, i, &value);
    if (value == nullptr) throw std::invalid_argument("input " + std::to_string(i) + " is missing");
    return tensor(value);
}

void* Api::output(KernelContext* context, const Shape& shape) const {
    Value* value = nullptr;
    call(KernelContext_GetOutput{}, context, std::size_t{0}, shape.sizes, shape.axes, &value);
    void* data = nullptr;
    call(GetTensorMutableData{}, value, &data);
    return data;
}

std::size_t Api::n_inputs(const KernelInfo* info) const {
    std::size_t n = 0;
    call(KernelInfo_GetInputCount{}, info, &n);
    return n;
}

Tensor Api::constant_input(const KernelInfo* info, std::size_t i, ElementType type, const char* name) const {
    int is_constant = 0;
    const Value* value = nullptr;
    call(KernelInfoGetConstantInput_tensor{}, info, i, &is_constant, &value);
    if (is_constant == 0 || value == nullptr)
        throw std::invalid_argument(std::string(name) + " must be an initializer: it is packed once");
    const Tensor found = tensor(value);
    if (found.type != type || found.shape.axes != 1)
        throw std::invalid_argument(std::string(name) + " has " + std::to_string(found.shape.axes) + " axes and type " +
                                    std::to_string(found.type) + ", not one axis and type " + std::to_string(type));
    return found;
}

std::int64_t Api::integer(const KernelInfo* info, const char* name) const {
    std::int64_t value = 0;
    attribute(KernelInfoGetAttribute_int64{}, info, name, &value);
    return value;
}

std::vector<std::int64_t> Api::integers(const KernelInfo* info, const char* name, std::size_t length) const {
    std::size_t found = 0;
    attribute(KernelInfoGetAttributeArray_int64{}, info, name, nullptr, &found);
    if (found != length)
        throw std::invalid_argument("attribute " + std::string(name) + " has " + std::to_string(found) +
                                    " integers, not " + std::to_string(length));
    std::vector<std::int64_t> values(length);
    attribute(KernelInfoGetAttributeArray_int64{}, info, name, values.data(), &found);
    return values;
}

float Api::number(const KernelInfo* info, const char* name) const {
    float value = 0;
    attribute(KernelInfoGetAttribute_float{}, info, name, &value);
    return value;
}

std::string Api::text(const KernelInfo* info, const char* name) const {
    std::size_t size = 0;
    attribute(KernelInfoGetAttribute_string{}, info, name, nullptr, &size);
    std::string value(size, '\0');
    attribute(KernelInfoGetAttribute_string{}, info, name, value.data(), &size);
    value.resize(size > 0 ? size - 1 : 0);  // the size counts the zero behind it
    return value;
}

}  // namespace cs::ort
