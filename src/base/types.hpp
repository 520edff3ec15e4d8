// SPDX-License-Identifier: BSD-3-Clause
// Element types, and the products that exist: the one list from which dispatch, the border's NumPy tables and the dtype
// table of the documents come. Plain data only.
#pragma once

#include <cstdint>
#include <type_traits>

namespace cs {

template <class T>
constexpr char kind_of() {
    return std::is_floating_point_v<T> ? 'f' : std::is_unsigned_v<T> ? 'u' : 'i';
}

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

    // As NumPy names them: 'f', 'i' or 'u'.
    static constexpr char kinds[] = {kind_of<First>(), kind_of<Others>()...};

    // Returns body(T{}), T the type at `index`.
    template <class Body>
    static auto call(int index, Body& body) {
        if constexpr (sizeof...(Others) > 0)
            if (index > 0) return TypeList<Others...>::call(index - 1, body);
        return body(First{});
    }
};

// Every type that a micro-kernel reads or writes: a line each.
#define CS_TYPES               \
    CS_TYPE(f32, float)        \
    CS_TYPE(f64, double)       \
    CS_TYPE(i64, std::int64_t) \
    CS_TYPE(s8, std::int8_t)   \
    CS_TYPE(u8, std::uint8_t)  \
    CS_TYPE(s32, std::int32_t)

// The upper half of a float32. Arrays of it are read as they are by some micro-kernels, and widened for all others: no
// matrix is of it in C++, and no result.
enum class Bfloat16 : std::uint16_t {};

// Those types, and behind them the one of micro-kernels alone.
#define CS_TYPE(name, T) name,
enum class Type : std::uint8_t { CS_TYPES bf16 };
#undef CS_TYPE

#define CS_TYPE(name, T) #name,
inline constexpr const char* type_names[] = {CS_TYPES "bf16"};
#undef CS_TYPE

template <class None, class... T>
struct WithoutFirst {
    using List = TypeList<T...>;
};
#define CS_TYPE(name, T) , T
using AllTypes = WithoutFirst<void CS_TYPES>::List;
#undef CS_TYPE
#undef CS_TYPES

template <class T>
inline constexpr Type type_of = static_cast<Type>(AllTypes::index_of<T>());
template <>
inline constexpr Type type_of<Bfloat16> = Type::bf16;

// Returns body(T{}) for the C++ type T that `type` names.
template <class Body>
auto dispatch(Type type, Body body) {
    return AllTypes::call(static_cast<int>(type), body);
}

constexpr int bytes_of(Type type) {
    return type == Type::bf16 ? int{sizeof(Bfloat16)} : AllTypes::bytes[static_cast<int>(type)];
}
constexpr char kind_of(Type type) { return AllTypes::kinds[static_cast<int>(type)]; }
constexpr const char* name_of(Type type) { return type_names[static_cast<int>(type)]; }

// What a product reads and writes: weights, activations, outputs.
struct Types {
    Type w, x, y;
};
constexpr bool operator==(Types a, Types b) { return a.w == b.w && a.x == b.x && a.y == b.y; }
constexpr bool operator!=(Types a, Types b) { return !(a == b); }

// A product in C++ types. Its sums are of the type of its outputs: there is none yet whose outputs are narrower.
template <class W_, class X_, class Y_>
struct Product {
    using W = W_;
    using X = X_;
    using Y = Y_;
    static constexpr Types types{type_of<W>, type_of<X>, type_of<Y>};
};

// The products that exist: those whose three types are one, and those of 8-bit numbers. Every other real dtype is
// stored as it is and converted to one of their types for a product; but where weights and activations are of bfloat16,
// the product of float32 has another one beside it, which reads x as it is (stored_as()).
using OwnProducts =
    TypeList<Product<float, float, float>, Product<double, double, double>,
             Product<std::int32_t, std::int32_t, std::int32_t>, Product<std::int64_t, std::int64_t, std::int64_t>>;
using ByteProducts =
    TypeList<Product<std::int8_t, std::uint8_t, std::int32_t>, Product<std::int8_t, std::int8_t, std::int32_t>>;
template <class... A, class... B>
TypeList<A..., B...> joined(TypeList<A...>, TypeList<B...>);
using PairProducts = TypeList<Product<Bfloat16, Bfloat16, float>>;
using DotProducts = decltype(joined(ByteProducts{}, PairProducts{}));
using Products = decltype(joined(OwnProducts{}, DotProducts{}));

template <class... P>
struct TypesOf {
    Types types[sizeof...(P)]{P::types...};
    explicit constexpr TypesOf(TypeList<P...>) {}
};
inline constexpr TypesOf products{Products{}};

// The place of a product in a list; the length of the list where there is none.
template <class... P>
constexpr int index_in(TypeList<P...> list, Types types) {
    constexpr TypesOf known{list};
    int index = 0;
    while (index < list.count && known.types[index] != types) ++index;
    return index;
}
constexpr int index_of(Types types) { return index_in(Products{}, types); }
constexpr bool is_of_bytes(Types types) { return index_in(ByteProducts{}, types) < ByteProducts::count; }
// That of activations X.
template <class X>
inline constexpr Types dots_of =
    std::is_same_v<X, Bfloat16> ? Types{Type::bf16, Type::bf16, Type::f32} : Types{Type::s8, type_of<X>, Type::s32};
constexpr bool is_of_pairs(Types types) { return index_in(PairProducts{}, types) < PairProducts::count; }
// Of either: four or two neighbouring columns are 32 bits, which an instruction multiplies at once.
constexpr bool is_of_dots(Types types) { return is_of_bytes(types) || is_of_pairs(types); }
// The type of the matrix whose weights a product reads as this one.
constexpr Type stored_as(Type w) { return w == Type::bf16 ? Type::f32 : w; }
// For the border: the products of NumPy's own dtypes come first.
inline const Types* product_list() { return products.types; }
inline constexpr int n_products = Products::count - PairProducts::count, n_types = AllTypes::count;
inline constexpr int pair_product = n_products;

// Returns body(Product<...>{}) for a product of the list.
template <class List = OwnProducts, class Body>
auto dispatch(Types types, Body body) {
    const int index = index_in(List{}, types);
    if (index == List::count) __builtin_trap();  // who asks has a product of the list
    return List::call(index, body);
}

// Stands for no row among 32-bit row numbers.
inline constexpr std::uint32_t no_row = 0xffffffff;

// Returns body(W{}) for the C++ type of the weights of a product whose three types are one.
template <class Body>
auto dispatch_weights(Type w, Body body) {
    return dispatch({w, w, w}, [&](auto product) { return body(typename decltype(product)::W{}); });
}

// Of products whose three types are one.
constexpr Types uniform(Type type) { return {type, type, type}; }

}  // namespace cs
