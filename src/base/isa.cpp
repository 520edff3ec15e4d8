// SPDX-License-Identifier: BSD-3-Clause
#include "base/isa.hpp"

#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <atomic>
#include <cstddef>

// After the headers: one expansion lists the levels, the definitions stay.
#include "isa_levels.inc"

namespace cs {

bool amx_permitted() {
#if defined(__linux__) && defined(__x86_64__) && defined(SYS_arch_prctl)
    constexpr int request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
    return false;
#endif
}

const std::vector<IsaLevel>& isa_levels() {
    static const std::vector<IsaLevel> levels = [] {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_cpu_init();  // also checks that the operating system saves the wide registers
#endif
        return std::vector<IsaLevel>{
#define CS_ISA_LEVEL(identifier, name, test) {name, static_cast<bool>(test)},
#include "isa_levels.inc"
#undef CS_ISA_LEVEL
        };
    }();
    return levels;
}

namespace {

constexpr std::uint32_t up_to(int level) { return (std::uint32_t{2} << level) - 1; }

std::uint32_t supported_bits() {
    static const std::uint32_t found = [] {
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < isa_levels().size(); ++i)
            bits |= static_cast<std::uint32_t>(isa_levels()[i].supported) << i;
        return bits;
    }();
    return found;
}

std::atomic<int>& selection() {
    static std::atomic<int> level{31 - __builtin_clz(supported_bits())};
    return level;
}

}  // namespace

int selected_isa() { return selection().load(std::memory_order_relaxed); }

LevelSet usable_levels() { return LevelSet(supported_bits() & up_to(selected_isa())); }

LevelSet supported_levels() { return LevelSet(supported_bits()); }

LevelSet all_levels() { return LevelSet(up_to(static_cast<int>(isa_levels().size()) - 1)); }

bool select_isa(std::string_view name) {
    for (const int i : supported_levels())
        if (isa_levels()[static_cast<std::size_t>(i)].name == name) {
            selection().store(i, std::memory_order_relaxed);
            return true;
        }
    return false;
}

const char* build_compiler() { return CS_COMPILER; }
const char* build_flags() { return CS_FLAGS; }
const char* isa_levels_left_out() { return CS_ISA_LEFT_OUT; }

}  // namespace cs
