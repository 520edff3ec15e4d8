// SPDX-License-Identifier: BSD-3-Clause
// A matrix, what it holds for its products, and one side of it as the subject of a choice.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/isa.hpp"
#include "base/parallel.hpp"
#include "base/views.hpp"
#include "kernels/registry.hpp"
#include "layouts/layout.hpp"
#include "layouts/operand.hpp"

namespace cs {

// What products with winners cost: plan/winners.cpp.
struct WinnersModel;

// What one side of a matrix has so far; all but the atomics under the lock.
struct Holdings {
    std::atomic<const Choice*> choices[Products::count][n_batches]{};
    std::atomic<const Choice*> winners_choices[Products::count]{};
    std::atomic<const WinnersModel*> winners_models[Products::count]{};
    std::vector<std::shared_ptr<const void>> owned;
    std::vector<std::pair<const LayoutKind*, std::shared_ptr<const Layout>>> layouts;
    std::vector<std::pair<void (*)(), std::shared_ptr<const void>>> facts;  // what was found out, by who found it
};

// One stored matrix in one type of weights, with the layouts that its products needed so far. The arrays it is made
// from must outlive it. Safe to use from several threads.
class Matrix {
   public:
    explicit Matrix(const StoredMatrix& stored) : stored_(stored) {}
    Matrix(const Matrix&) = delete;
    Matrix& operator=(const Matrix&) = delete;

    const StoredMatrix& stored() const { return stored_; }
    ForkSafeMutex& mutex() const { return mutex_; }
    Holdings& holdings(Side side) const { return holdings_[static_cast<int>(side)]; }

   private:
    const StoredMatrix stored_;
    mutable ForkSafeMutex mutex_;
    mutable Holdings holdings_[2];
};

// One side of a matrix, for one product and the ISA levels in use. Used under the matrix's lock.
class Subject {
   public:
    Subject(const Matrix& matrix_, Side side_, Types of)
        : matrix(matrix_),
          side(side_),
          types(of),
          levels(usable_levels()),
          operand(matrix.stored(), side),
          holdings_(matrix.holdings(side)) {}

    const Matrix& matrix;
    const Side side;
    const Types types;
    const LevelSet levels;
    Operand operand;

    // Elements of x in a vector of the level in use, as its tiles tell.
    int lanes() const;

    // What `find` finds out about the pattern, once for each matrix and side.
    template <class Found>
    const Found& known(Found (*find)(Subject&)) {
        const auto key = reinterpret_cast<void (*)()>(find);
        for (const auto& [who, found] : holdings_.facts)
            if (who == key) return *static_cast<const Found*>(found.get());
        auto found = std::make_shared<const Found>(find(*this));
        holdings_.facts.emplace_back(key, found);
        return *found;
    }

    // The layout of this kind for which fits() holds, else that which make() makes.
    template <class L, class Fits, class Make>
    std::shared_ptr<const L> layout(const LayoutKind& kind, Fits fits, Make make) {
        for (const auto& [of, held] : holdings_.layouts)
            if (of == &kind)
                if (auto own = std::static_pointer_cast<const L>(held); fits(*own)) return own;
        auto made = std::make_shared<const L>(make());
        holdings_.layouts.emplace_back(&kind, made);
        return made;
    }

    // Likewise where the pattern alone says what the layout is.
    template <class L, class Make>
    std::shared_ptr<const L> layout(const LayoutKind& kind, Make make) {
        return layout<L>(kind, [](const L&) { return true; }, make);
    }

   private:
    Holdings& holdings_;
};

// shared_rows() of the matrix by output: several kinds ask.
int rows_to_a_pattern(Subject& subject);
// Columns that row groups read: all, or those that own an entry.
std::int64_t columns_read(Subject& subject);

struct LayoutInfo {
    const char* layout;
    Side side;
    std::int64_t bytes, slots;
};
std::vector<LayoutInfo> built_layouts(const Matrix& matrix);

}  // namespace cs
