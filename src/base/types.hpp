// SPDX-License-Identifier: BSD-3-Clause
// The words that the border, the macro-kernels and the micro-kernels share. Plain data only.
#pragma once

#include <cstdint>
#include <type_traits>

namespace cs {

// The C++ types that an enumeration names, in its order: what else is known of a type follows from its place.
template <class First, class... Others>
struct TypeList {
    static constexpr int count = 1 + sizeof...(Others);
    static constexpr int bytes[] = {sizeof(First), sizeof(Others)...};

    template <class T>
    static constexpr int index_of() {
        if constexpr (std::is_same_v<T, First>)
            return 0;
        else
            return 1 + TypeList<Others...>::template index_of<T>();
    }

    // Returns body(T{}), T the type at `index`.
    template <class Body>
    static auto call(int index, Body& body) {
        if constexpr (sizeof...(Others) > 0)
            if (index > 0) return TypeList<Others...>::call(index - 1, body);
        return body(First{});
    }
};

// Types that compute. Every other real dtype is stored as it is and converted to one of these for a product.
enum class Type : std::uint8_t { f32, f64, i64 };
using ComputeTypes = TypeList<float, double, std::int64_t>;
inline constexpr const char* type_names[ComputeTypes::count] = {"f32", "f64", "i64"};

// Types that activations compete in.
enum class ValueType : std::uint8_t { f32, f64, i8, u8, i32, i64 };
using ValueTypes = TypeList<float, double, std::int8_t, std::uint8_t, std::int32_t, std::int64_t>;
inline constexpr const char* value_type_names[ValueTypes::count] = {"f32", "f64", "s8", "u8", "s32", "i64"};

template <class T>
inline constexpr Type type_of = static_cast<Type>(ComputeTypes::index_of<T>());
template <class T>
inline constexpr ValueType value_type_of = static_cast<ValueType>(ValueTypes::index_of<T>());

// Returns body(T{}) for the C++ type T that `type` names.
template <class Body>
auto dispatch(Type type, Body body) {
    return ComputeTypes::call(static_cast<int>(type), body);
}
template <class Body>
auto dispatch(ValueType type, Body body) {
    return ValueTypes::call(static_cast<int>(type), body);
}

constexpr int bytes_of(Type type) { return ComputeTypes::bytes[static_cast<int>(type)]; }
constexpr int bytes_of(ValueType type) { return ValueTypes::bytes[static_cast<int>(type)]; }
constexpr const char* name_of(Type type) { return type_names[static_cast<int>(type)]; }
constexpr const char* name_of(ValueType type) { return value_type_names[static_cast<int>(type)]; }

// A canonical CSR matrix: columns ascend within a row, none twice. It owns nothing.
struct StoredMatrix {
    std::int64_t rows, cols;
    const std::int64_t* row_ptr;
    const std::int32_t* columns;
    const void* values;
    Type type;
};

// A dense operand: element (i, j) is data[i * row_stride + j * col_stride], strides in elements, of any sign.
struct DenseView {
    void* data;
    std::int64_t rows, cols;
    std::int64_t row_stride, col_stride;
};

// Done to each output before it is stored: y = activation(sum + bias[row]).
struct Epilogue {
    const void* bias = nullptr;  // one entry per output row, or none
    bool relu = false;
};

// Which product of the stored matrix S: S x, or its transpose's S' x.
enum class Side : std::uint8_t { rows, columns };

}  // namespace cs
