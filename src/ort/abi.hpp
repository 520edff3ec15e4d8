// SPDX-License-Identifier: BSD-3-Clause
// The part of ONNX Runtime's C interface that custom operators need, declared here: its header is in no wheel and in no
// distribution's package. The interface is stable by promise: OrtApi is a table of functions to which newer versions
// only append, asked for by version; OrtCustomOp says its own version, and members behind it are not read.
//
// Names are ONNX Runtime's without their prefix. tests/test_ort.py runs every function that is named here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cs::ort {

inline constexpr std::uint32_t api_version = 17;  // of ONNX Runtime 1.17: the first with KernelContext_ParallelFor

// Known by address alone.
struct Status;
struct Value;
struct TensorInfo;  // OrtTensorTypeAndShapeInfo
struct KernelInfo;
struct KernelContext;
struct SessionOptions;
struct CustomOpDomain;

enum ElementType : int { undefined_type = 0, float32_type = 1, int32_type = 6, int64_type = 7 };
enum Characteristic : int { required_operand, optional_operand, variadic_operand };
enum MemoryType : int { default_memory = 0 };
enum ErrorCode : int { invalid_argument = 2, runtime_exception = 6 };

using AnyFunction = void (*)();

// OrtApi.
struct Functions {
    AnyFunction at[275];
};

struct ApiBase {
    const Functions* (*get_api)(std::uint32_t version);  // null where the runtime is older
    const char* (*get_version_string)();
};

// Functions that return a Status, null where all went well, by their place in the table.
template <int place, class... Arguments>
struct Function {
    using Pointer = Status* (*)(Arguments...);
    static_assert(place < static_cast<int>(sizeof(Functions) / sizeof(AnyFunction)));
};
using CreateCustomOpDomain = Function<26, const char*, CustomOpDomain**>;
struct CustomOp;
using CustomOpDomain_Add = Function<27, CustomOpDomain*, const CustomOp*>;
using AddCustomOpDomain = Function<28, SessionOptions*, CustomOpDomain*>;
using GetTensorMutableData = Function<51, Value*, void**>;
using GetTensorElementType = Function<60, const TensorInfo*, ElementType*>;
using GetDimensionsCount = Function<61, const TensorInfo*, std::size_t*>;
using GetDimensions = Function<62, const TensorInfo*, std::int64_t*, std::size_t>;
using GetTensorTypeAndShape = Function<65, const Value*, TensorInfo**>;
using KernelInfoGetAttribute_float = Function<85, const KernelInfo*, const char*, float*>;
using KernelInfoGetAttribute_int64 = Function<86, const KernelInfo*, const char*, std::int64_t*>;
using KernelInfoGetAttribute_string = Function<87, const KernelInfo*, const char*, char*, std::size_t*>;
using KernelContext_GetInput = Function<90, const KernelContext*, std::size_t, const Value**>;
using KernelContext_GetOutput = Function<91, KernelContext*, std::size_t, const std::int64_t*, std::size_t, Value**>;
using KernelInfoGetAttributeArray_int64 = Function<163, const KernelInfo*, const char*, std::int64_t*, std::size_t*>;
using KernelInfo_GetInputCount = Function<230, const KernelInfo*, std::size_t*>;
using HasSessionConfigEntry = Function<237, const SessionOptions*, const char*, int*>;
using GetSessionConfigEntry = Function<238, const SessionOptions*, const char*, char*, std::size_t*>;
using KernelInfoGetConstantInput_tensor = Function<249, const KernelInfo*, std::size_t, int*, const Value**>;
using KernelContext_ParallelFor =
    Function<274, const KernelContext*, void (*)(void*, std::size_t), std::size_t, std::size_t, void*>;
// The others.
inline constexpr int CreateStatus = 0, GetErrorMessage = 2, ReleaseStatus = 93, ReleaseTensorTypeAndShapeInfo = 99;
using CreateStatusPointer = Status* (*)(ErrorCode, const char*);
using GetErrorMessagePointer = const char* (*)(const Status*);
using ReleaseStatusPointer = void (*)(Status*);
using ReleaseTensorInfoPointer = void (*)(TensorInfo*);

// OrtCustomOp, with members up to those that the version has; the runtime keeps its address.
struct CustomOp {
    std::uint32_t version;
    void* (*CreateKernel)(const CustomOp*, const Functions*, const KernelInfo*);
    const char* (*GetName)(const CustomOp*);
    const char* (*GetExecutionProviderType)(const CustomOp*);
    ElementType (*GetInputType)(const CustomOp*, std::size_t);
    std::size_t (*GetInputTypeCount)(const CustomOp*);
    ElementType (*GetOutputType)(const CustomOp*, std::size_t);
    std::size_t (*GetOutputTypeCount)(const CustomOp*);
    void (*KernelCompute)(void* kernel, KernelContext*);
    void (*KernelDestroy)(void* kernel);
    Characteristic (*GetInputCharacteristic)(const CustomOp*, std::size_t);
    Characteristic (*GetOutputCharacteristic)(const CustomOp*, std::size_t);
    MemoryType (*GetInputMemoryType)(const CustomOp*, std::size_t);
    int (*GetVariadicInputMinArity)(const CustomOp*);
    int (*GetVariadicInputHomogeneity)(const CustomOp*);
    int (*GetVariadicOutputMinArity)(const CustomOp*);
    int (*GetVariadicOutputHomogeneity)(const CustomOp*);
    Status* (*CreateKernelV2)(const CustomOp*, const Functions*, const KernelInfo*, void** kernel);
    Status* (*KernelComputeV2)(void* kernel, KernelContext*);
    Status* (*InferOutputShapeFn)(const CustomOp*, void*);
    int (*GetStartVersion)(const CustomOp*);
    int (*GetEndVersion)(const CustomOp*);
    std::size_t (*GetMayInplace)(int**, int**);
    void (*ReleaseMayInplace)(int*, int*);
    std::size_t (*GetAliasMap)(int**, int**);
    void (*ReleaseAliasMap)(int*, int*);
};

}  // namespace cs::ort
