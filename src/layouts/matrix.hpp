// SPDX-License-Identifier: BSD-3-Clause
// A matrix, what it holds for its products, and one side of it as the subject of a choice.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
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

// What was found out, by who found it.
using Facts = std::vector<std::pair<void (*)(), std::shared_ptr<const void>>>;
using Layouts = std::vector<std::pair<const LayoutKind*, std::shared_ptr<const Layout>>>;

// What one side of a matrix has so far; all but the atomics under the lock.
struct Holdings {
    std::atomic<const Choice*> choices[Products::count][n_batches]{};
    std::atomic<const Choice*> winners_choices[Products::count]{};
    std::atomic<const WinnersModel*> winners_models[Products::count]{};
    std::vector<std::shared_ptr<const void>> owned;
    Layouts layouts;
    Facts value_facts;

    // Of the pattern alone: every matrix that has it may take them over.
    struct OfPattern {
        Facts facts;
        Layouts orders;  // of the numbers of the entries: where each value goes
    } of_pattern;
};

// One stored matrix in one type of weights, with the layouts that its products needed so far. The arrays it is made
// from must outlive it. Safe to use from several threads.
class Matrix {
   public:
    explicit Matrix(const StoredMatrix& stored) : stored_(stored) {}
    // Of the same rows and columns in the same type, with other values: what was found out about the pattern is taken
    // over.
    Matrix(const StoredMatrix& stored, const Matrix& earlier);
    Matrix(const Matrix&) = delete;
    Matrix& operator=(const Matrix&) = delete;

    const StoredMatrix& stored() const { return stored_; }
    // Whether values come and go: from the second change on layouts are refilled, in an order that is kept.
    bool changes() const { return changes_ >= 2; }
    ForkSafeMutex& mutex() const { return mutex_; }
    Holdings& holdings(Side side) const { return holdings_[static_cast<int>(side)]; }

   private:
    const StoredMatrix stored_;
    const int changes_ = 0;
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

    // What `find` finds out about the pattern, once for each pattern and side.
    template <class Found>
    const Found& known(Found (*find)(Subject&)) {
        return found_by(find, holdings_.of_pattern.facts);
    }
    // Likewise about the values, once for each matrix and side.
    template <class Found>
    const Found& known_of_values(Found (*find)(Subject&)) {
        return found_by(find, holdings_.value_facts);
    }

    // The layout of this kind for which fits() holds, else that which make() makes.
    template <class L, class Fits, class Make>
    std::shared_ptr<const L> layout(const LayoutKind& kind, Fits fits, Make make) {
        return held<L>(holdings_.layouts, kind, fits, make);
    }

    // Likewise where the pattern alone says what the layout is.
    template <class L, class Make>
    std::shared_ptr<const L> layout(const LayoutKind& kind, Make make) {
        return layout<L>(kind, [](const L&) { return true; }, make);
    }

    // Likewise where make() takes the operand, whose values it does not look at, and refilled() gives a layout the
    // values of a matrix, in the order of a layout of their numbers.
    template <class L, class Fits, class Make>
    std::shared_ptr<const L> refillable_layout(const LayoutKind& kind, Fits fits, Make make) {
        return layout<L>(kind, fits, [&] {
            if (!matrix.changes() || matrix.stored().nnz() > std::numeric_limits<std::int32_t>::max())
                return make(operand);
            auto of_numbers = [&] {
                std::vector<std::int32_t> numbers(static_cast<std::size_t>(matrix.stored().nnz()));
                std::iota(numbers.begin(), numbers.end(), 0);
                StoredMatrix numbered = matrix.stored();
                numbered.values = numbers.data();
                numbered.type = Type::f32;  // four bytes that are carried about, and nothing else
                Operand of_these(numbered, side);
                return make(of_these);
            };
            return refilled(*held<L>(holdings_.of_pattern.orders, kind, fits, of_numbers), matrix.stored());
        });
    }

   private:
    template <class Found>
    const Found& found_by(Found (*find)(Subject&), Facts& facts) {
        const auto key = reinterpret_cast<void (*)()>(find);
        for (const auto& [who, found] : facts)
            if (who == key) return *static_cast<const Found*>(found.get());
        auto found = std::make_shared<const Found>(find(*this));
        facts.emplace_back(key, found);
        return *found;
    }

    template <class L, class Fits, class Make>
    static std::shared_ptr<const L> held(Layouts& layouts, const LayoutKind& kind, Fits fits, Make make) {
        for (const auto& [of, layout] : layouts)
            if (of == &kind)
                if (auto own = std::static_pointer_cast<const L>(layout); fits(*own)) return own;
        auto made = std::make_shared<const L>(make());
        layouts.emplace_back(&kind, made);
        return made;
    }

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
