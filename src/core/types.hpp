// SPDX-License-Identifier: BSD-3-Clause
// The words that the border, the macro-kernels and the micro-kernels share. Plain data only.
#pragma once

#include <cstdint>

namespace cs {

// Types that compute. Every other real dtype is stored as it is and converted to one of these for a product.
enum class Type : std::uint8_t { f32, f64, i64 };
inline constexpr int n_types = 3;
inline constexpr const char* type_names[n_types] = {"f32", "f64", "i64"};
inline constexpr int type_bytes[n_types] = {4, 8, 8};

template <class T>
struct TypeOf;
template <>
struct TypeOf<float> {
    static constexpr Type type = Type::f32;
};
template <>
struct TypeOf<double> {
    static constexpr Type type = Type::f64;
};
template <>
struct TypeOf<std::int64_t> {
    static constexpr Type type = Type::i64;
};

// Types that activations compete in.
enum class ValueType : std::uint8_t { f32, f64, i8, u8, i32, i64 };
inline constexpr const char* value_type_names[] = {"f32", "f64", "s8", "u8", "s32", "i64"};
inline constexpr int value_type_bytes[] = {4, 8, 1, 1, 4, 8};

template <class T>
struct ValueOf;
template <>
struct ValueOf<float> {
    static constexpr ValueType type = ValueType::f32;
};
template <>
struct ValueOf<double> {
    static constexpr ValueType type = ValueType::f64;
};
template <>
struct ValueOf<std::int8_t> {
    static constexpr ValueType type = ValueType::i8;
};
template <>
struct ValueOf<std::uint8_t> {
    static constexpr ValueType type = ValueType::u8;
};
template <>
struct ValueOf<std::int32_t> {
    static constexpr ValueType type = ValueType::i32;
};
template <>
struct ValueOf<std::int64_t> {
    static constexpr ValueType type = ValueType::i64;
};

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
