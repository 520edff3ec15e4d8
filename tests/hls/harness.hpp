// SPDX-License-Identifier: BSD-3-Clause
// Runs blocks of the header on cases from standard input: for each, the number of a configuration and its operands as
// 32-bit integers; results go to standard output in the same form.
#pragma once

#include <stdio.h>

#include "complsparse/hls/convolution.hpp"
#include "complsparse/hls/kwinners.hpp"
#include "complsparse/hls/layer.hpp"
#include "complsparse/hls/pool.hpp"
#include "complsparse/hls/requantise.hpp"
#include "complsparse/hls/selected.hpp"

inline bool next_number(int& number) { return fread(&number, sizeof number, 1, stdin) == 1; }

template <class T>
struct Operand {
    static void read(T& one) {
        int number = 0;
        next_number(number);
        one = T(number);
    }
    static void write(const T& one) {
        const int number = int(one);
        fwrite(&number, sizeof number, 1, stdout);
    }
};
template <class T, size_t N>
struct Operand<T[N]> {
    static void read(T (&all)[N]) {
        for (T& one : all) Operand<T>::read(one);
    }
    static void write(const T (&all)[N]) {
        for (const T& one : all) Operand<T>::write(one);
    }
};
template <class T>
void read(T& operand) {
    Operand<T>::read(operand);
}
template <class T>
void write(const T& result) {
    Operand<T>::write(result);
}

// Arrays are static: they may be larger than a stack.
template <class C, int Vectors>
void dense_case() {
    using namespace complsparse::hls;
    static typename C::activation_t x[Vectors][Shape<C>::groups][C::lanes];
    static typename C::weight_t weights[Shape<C>::groups][C::lanes][C::sets];
    static typename C::id_t ids[Shape<C>::groups][C::lanes][C::sets];
    static int rows[C::sets][C::set_size];
    static typename C::sum_t y[Vectors][C::rows];
    read(x), read(weights), read(ids), read(rows);
    sparse_dense<C, Vectors>(x, weights, ids, rows, y);
    write(y);
}

template <class C, int Vectors>
void selected_case() {
    using namespace complsparse::hls;
    static typename C::activation_t x[Vectors][Shape<C>::groups][C::lanes];
    static typename C::weight_t weights[Shape<C>::groups][C::sets][C::set_size][C::turns];
    static typename C::place_t places[Shape<C>::groups][C::sets][C::set_size][C::turns];
    static int rows[C::sets][C::set_size];
    static typename C::sum_t y[Vectors][C::rows];
    read(x), read(weights), read(places), read(rows);
    sparse_dense_selected<C, Vectors>(x, weights, places, rows, y);
    write(y);
}

template <class C, int Vectors>
void winners_case() {
    using namespace complsparse::hls;
    static typename C::activation_t values[Vectors][Beats<C>::value][C::lanes];
    static typename C::index_t indices[Vectors][Beats<C>::value][C::lanes];
    static typename C::weight_t weights[C::columns][C::sets];
    static typename C::id_t ids[C::columns][C::sets];
    static int rows[C::sets][C::set_size];
    static typename C::sum_t y[Vectors][C::rows];
    read(values), read(indices), read(weights), read(ids), read(rows);
    sparse_sparse<C, Vectors>(values, indices, weights, ids, rows, y);
    write(y);
}

template <class C>
void convolution_case() {
    using namespace complsparse::hls;
    static typename C::activation_t x[C::height * C::width][C::channels];
    static typename C::activation_t zero;
    static typename C::weight_t weights[Shape<C>::groups][C::lanes][C::sets];
    static typename C::id_t ids[Shape<C>::groups][C::lanes][C::sets];
    static int rows[C::sets][C::set_size];
    static typename C::sum_t y[Sliding<C, Shape<C>::groups>::outputs][C::rows];
    read(x), read(zero), read(weights), read(ids), read(rows);
    convolution<C>(x, zero, weights, ids, rows, y);
    write(y);
}

template <class C>
void convolution_of_winners_case() {
    using namespace complsparse::hls;
    static typename C::activation_t values[C::height * C::width][C::pixel_winners];
    static typename C::channel_t channels[C::height * C::width][C::pixel_winners];
    static typename C::weight_t weights[C::columns][C::sets];
    static typename C::id_t ids[C::columns][C::sets];
    static int rows[C::sets][C::set_size];
    static typename C::sum_t y[Sliding<C, WindowOfWinners<C>::words>::outputs][C::rows];
    read(values), read(channels), read(weights), read(ids), read(rows);
    convolution_of_winners<C>(values, channels, weights, ids, rows, y);
    write(y);
}

template <class C>
void pool_case() {
    using namespace complsparse::hls;
    static typename C::value_t x[C::height * C::width][C::channels];
    static typename C::value_t y[Pool<C>::out_height * Pool<C>::out_width][C::channels];
    read(x);
    max_pool<C>(x, y);
    write(y);
}

template <class C, bool Sorted>
void contest_case() {
    using namespace complsparse::hls;
    static typename C::value_t x[C::size];
    static typename C::value_t values[C::winners];
    static typename C::index_t indices[C::winners];
    read(x);
    if (Sorted) {
        sorted_winners<C>(x, values, indices);
    } else {
        histogram_winners<C>(x, values, indices);
    }
    write(values), write(indices);
}

template <class C>
void requantise_case() {
    using namespace complsparse;
    static typename C::sum_t sums[1][C::rows];
    static int32_t bias[C::rows], multipliers[C::rows], shifts[C::rows], zero_point;
    static arith::Factor factors[C::rows];
    static typename C::value_t range[2], y[1][C::rows];
    read(sums), read(bias), read(multipliers), read(shifts), read(zero_point), read(range);
    for (int row = 0; row < C::rows; ++row) factors[row] = {multipliers[row], shifts[row]};
    hls::requantise<C, 1>(sums, bias, factors, zero_point, {range[0], range[1]}, y);
    write(y);
}
