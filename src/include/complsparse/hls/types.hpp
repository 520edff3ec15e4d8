// SPDX-License-Identifier: BSD-3-Clause
// Integers of a given width. Three kinds, with equal results: those of the machine (the next wider one), `ap_int` of a
// synthesis tool (COMPLSPARSE_AP_INT), `_BitInt` of Clang (COMPLSPARSE_BIT_INT).
//
// Everything in this folder is C++14 with <stdint.h> alone: no heap, exceptions, recursion, floating point or loop of
// unknown length.
#pragma once

#include <stdint.h>

#if defined(COMPLSPARSE_AP_INT)
#include <ap_int.h>
#endif

namespace complsparse {
namespace hls {

#if defined(COMPLSPARSE_AP_INT)

template <int Bits>
struct Signed {
    typedef ap_int<Bits> type;
};
template <int Bits>
struct Unsigned {
    typedef ap_uint<Bits> type;
};

#elif defined(COMPLSPARSE_BIT_INT)

template <int Bits>
struct Signed {
    typedef _BitInt(Bits < 2 ? 2 : Bits) type;
};
template <int Bits>
struct Unsigned {
    typedef unsigned _BitInt(Bits) type;
};

#else

// Log of the bytes that a width takes.
constexpr int machine_size(int bits) { return bits <= 8 ? 0 : bits <= 16 ? 1 : bits <= 32 ? 2 : 3; }

template <int Size>
struct Machine;
template <>
struct Machine<0> {
    typedef int8_t signed_type;
    typedef uint8_t unsigned_type;
};
template <>
struct Machine<1> {
    typedef int16_t signed_type;
    typedef uint16_t unsigned_type;
};
template <>
struct Machine<2> {
    typedef int32_t signed_type;
    typedef uint32_t unsigned_type;
};
template <>
struct Machine<3> {
    typedef int64_t signed_type;
    typedef uint64_t unsigned_type;
};

template <int Bits>
struct Signed {
    typedef typename Machine<machine_size(Bits)>::signed_type type;
};
template <int Bits>
struct Unsigned {
    typedef typename Machine<machine_size(Bits)>::unsigned_type type;
};

#endif

// Bits that count from 0 to `most`; at least 1.
constexpr int bits_up_to(int64_t most) {
    int bits = 1;
    for (int bit = 1; bit < 63; ++bit) bits += (most >> bit) != 0 ? 1 : 0;
    return bits;
}

constexpr int parts(int whole, int size) { return (whole + size - 1) / size; }

// Called once in every clock by the loops of this folder. A test bench that counts defines `count_clock`.
#if defined(COMPLSPARSE_COUNT_CLOCKS)
void count_clock();
inline void tick() { count_clock(); }
#else
inline void tick() {}
#endif

}  // namespace hls
}  // namespace complsparse
