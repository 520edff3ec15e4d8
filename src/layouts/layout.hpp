// SPDX-License-Identifier: BSD-3-Clause
// Layouts: orders of a matrix's entries in memory that kinds of micro-kernels read; the choice of one for a product;
// and what every kind of layout says of itself.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/epilogue.hpp"
#include "base/views.hpp"
#include "base/workspace.hpp"
#include "layouts/batch.hpp"

namespace cs {

// Derived once from the stored matrix, on first need (kernels/<kind>.hpp says how it is read).
class Layout {
   public:
    virtual ~Layout() = default;
    virtual std::int64_t bytes() const = 0;
    virtual std::int64_t slots() const = 0;  // stored entries and padding
};

class Matrix;
class Subject;
struct Requantizing;

// What one product reads and writes. Shapes and types fit, and x and y do not overlap.
struct Operands {
    DenseView x;                 // unless there are winners or patches
    const WinnersView* winners;  // or null
    DenseView y;
    Epilogue finish;
    const PatchesView* patches = nullptr;
    // y is of 8 bits, for a choice that requantizes(); finish asks for nothing.
    const Requantizing* requantizing = nullptr;
    // x is of bfloat16: choices of products of float32 widen it, those of pairs read it as it is.
    bool widens = false;

    std::int64_t vectors() const { return y.cols; }
};

// Micro-kernels and the layout that they read, chosen for one side of a matrix and a kind of batch.
class Choice {
   public:
    virtual ~Choice() = default;
    // y = epilogue(W x). The workspace has at least the bytes that are said here, for these operands.
    virtual void run(const Operands& operands, Workspace workspace) const = 0;
    virtual std::int64_t workspace_bytes(const Operands& operands) const = 0;
    // Likewise, in a workspace that grows to what it takes.
    virtual void run(const Operands& operands, KeptWorkspace& kept) const = 0;

    const std::string& name() const { return name_; }      // of the widest micro-kernel
    const std::string& reason() const { return reason_; }  // why, in words
    // What it is a choice for.
    const Matrix& matrix() const { return matrix_; }
    Side side() const { return side_; }
    Types types() const { return types_; }
    // Whether outputs of 8 bits can be asked for.
    virtual bool requantizes() const { return false; }
    // Whether rows without entries are left alone where y is zero: then a fresh y should be (Epilogue::over_zeros).
    virtual bool leaves_zeros() const { return false; }
    // x and y must lie in contiguous rows, or be one column.
    bool reads_in_place() const { return reads_in_place_; }

   protected:
    Choice(const Subject& subject, std::string name, std::string reason, bool reads_in_place = false);

   private:
    const std::string name_, reason_;
    const Matrix& matrix_;
    const Side side_;
    const Types types_;
    const bool reads_in_place_;
};

// What is asked for: a choice for this kind of batch. winners: of a vector, about; negative: activations are dense.
struct Request {
    Batch batch;
    double winners = -1;
};

// One kind of layout. The functions are called under the lock of what the matrix holds.
struct LayoutKind {
    const char* name;
    // Cycles per column of x, measured (docs/developer/performance/cost_model.md); nothing where the pattern or the
    // batch is not for this kind.
    std::optional<double> (*cost)(Subject& subject, const Request& request);
    // Where cost() gave a figure.
    std::unique_ptr<const Choice> (*build)(Subject& subject, const Request& request);
    // some: dense activations, of what has a cost. all: of every matrix and batch, columns ascending in one
    // accumulator; what is left where no other kind serves, and the one order of summation of deterministic products.
    // winners: not dense activations.
    enum class Serves : std::uint8_t { some, all, winners };
    Serves serves = Serves::some;
};

template <class Item>
struct List {
    const Item* first;
    int count;
    const Item* begin() const { return first; }
    const Item* end() const { return first + count; }
};

// Each layout's file lists its kinds; equal costs are decided by the order of the table in src/meson.build.
#define CS_LAYOUT(stem) List<LayoutKind> stem##_kinds();
#include "kinds.inc"
#undef CS_LAYOUT

// All of them.
const std::vector<const LayoutKind*>& layout_kinds();

}  // namespace cs
