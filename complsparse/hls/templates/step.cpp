// SPDX-License-Identifier: BSD-3-Clause
// The step as a function of its own, from which Verilog is printed.
#include "config.hpp"

#if COMPLSPARSE_SELECTED
extern "C" void complsparse_step(const Config::activation_t (&x)[Config::lanes],
                                 const Config::weight_t (&weights)[Config::sets][Config::set_size][Config::turns],
                                 const Config::place_t (&ids)[Config::sets][Config::set_size][Config::turns],
                                 const Config::sum_t (&sums)[Config::sets][Config::set_size],
                                 Config::sum_t (&next)[Config::sets][Config::set_size]) {
    complsparse::hls::accumulate_selected<Config>(x, weights, ids, sums, next);
}
#else
extern "C" void complsparse_step(const Config::activation_t (&x)[Config::lanes],
                                 const Config::weight_t (&weights)[Config::lanes][Config::sets],
                                 const Config::id_t (&ids)[Config::lanes][Config::sets],
                                 const Config::sum_t (&sums)[Config::sets][Config::set_size],
                                 Config::sum_t (&next)[Config::sets][Config::set_size]) {
    complsparse::hls::accumulate<Config>(x, weights, ids, sums, next);
}
#endif
