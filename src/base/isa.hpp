// SPDX-License-Identifier: BSD-3-Clause
// ISA levels: which the build has, which the CPU supports, which one is in use.
//
// A level is a set of features. Their order is one of preference: a level may lack features of one before it, and the
// rows of a level that the CPU does not support are never run, whatever comes after it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace cs {

struct IsaLevel {
    const char* name;
    bool supported;  // by this CPU and operating system, with all its features and permissions
};

// In the order of the ISA table in src/meson.build, the preferred ones last.
const std::vector<IsaLevel>& isa_levels();

// Index of the level in use: the last that is supported, or the cap set by select_isa().
int selected_isa();

// Some of the levels; walking it gives their indices, ascending.
class LevelSet {
   public:
    explicit LevelSet(std::uint32_t bits) : bits_(bits) {}

    class Iterator {
       public:
        explicit Iterator(std::uint32_t left) : left_(left) {}
        int operator*() const { return __builtin_ctz(left_); }
        Iterator& operator++() {
            left_ &= left_ - 1;
            return *this;
        }
        bool operator!=(const Iterator& other) const { return left_ != other.left_; }

       private:
        std::uint32_t left_;
    };
    Iterator begin() const { return Iterator(bits_); }
    Iterator end() const { return Iterator(0); }

   private:
    std::uint32_t bits_;
};

// The levels whose rows may run: the supported ones up to that in use.
LevelSet usable_levels();
// All that the CPU supports, whatever the cap; and all that the build has, whatever the CPU.
LevelSet supported_levels();
LevelSet all_levels();

// Caps the level. Returns false (and changes nothing) for a name that the build lacks or the CPU does not support.
bool select_isa(std::string_view name);

// Linux saves AMX's tile registers only for processes that have asked; asking twice does no harm.
bool amx_permitted();

// What the library is built of.
const char* build_compiler();
const char* build_flags();
const char* isa_levels_left_out();

}  // namespace cs
