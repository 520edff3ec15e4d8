// SPDX-License-Identifier: BSD-3-Clause
// What the choices of dense kinds have in common: their source and sink, and how many threads they get.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/names.hpp"
#include "layouts/costs.hpp"
#include "layouts/layout.hpp"
#include "layouts/matrix.hpp"
#include "tiles/patches.hpp"
#include "tiles/requantizing_sink.hpp"
#include "tiles/sink.hpp"
#include "tiles/source.hpp"
#include "tiles/widened.hpp"
#include "tiles/work.hpp"

namespace cs {

// A product P on tiles or columns of a source. Whatever is a source serves as x: winners and patches are written out.
template <class P>
class DenseChoice : public Choice {
   public:
    using X = typename P::X;
    using Y = typename P::Y;

    void run(const Operands& operands, Workspace workspace) const final { run_in(operands, workspace, nullptr); }
    void run(const Operands& operands, KeptWorkspace& kept) const final { run_in(operands, {}, &kept); }

    std::int64_t workspace_bytes(const Operands& operands) const final {
        return with_source(operands, [&](const Source<X>& source) {
            return with_sink<Y>(operands.y, operands.finish, operands.requantizing, *move_y_, [&](const Sink<Y>& sink) {
                const int threads = threads_for(operands);
                const std::int64_t alone = bytes(source, sink, 1);
                return threads == 1 ? alone : std::max(alone, bytes(source, sink, threads));
            });
        });
    }

   protected:
    DenseChoice(Subject& subject, std::string name, std::string reason, bool reads_in_place = false)
        : Choice(subject, std::move(name), std::move(reason), reads_in_place),
          move_x_(strongest_of(&Table::move, subject.levels, type_of<X>).row),
          move_y_(strongest_of(&Table::move, subject.levels, type_of<Y>).row),
          // Inputs and outputs count like multiplications: a matrix of few entries is all reading and writing.
          work_(subject.operand.nnz() + static_cast<double>(subject.operand.inner() + subject.operand.outer())) {}

    // `memory`: of as many bytes as bytes() says for this number of threads.
    virtual void multiply(const Source<X>& source, const Sink<Y>& sink, int threads, unsigned char* memory) const = 0;
    virtual std::int64_t bytes(const Source<X>& source, const Sink<Y>& sink, int threads) const = 0;

   private:
    // In the workspace given, on one thread where it has no room for more; or in one that grows.
    void run_in(const Operands& operands, Workspace workspace, KeptWorkspace* kept) const {
        with_source(operands, [&](const Source<X>& source) {
            with_sink<Y>(operands.y, operands.finish, operands.requantizing, *move_y_, [&](const Sink<Y>& sink) {
                int threads = threads_for(operands);
                if (kept != nullptr) {
                    const std::int64_t needed = bytes(source, sink, threads);
                    if (needed > 0) workspace = kept->at_least(needed);
                } else if (threads > 1 && bytes(source, sink, threads) > workspace.bytes) {
                    threads = 1;
                }
                multiply(source, sink, threads, workspace.memory);
            });
        });
    }

    template <class Body>
    auto with_source(const Operands& operands, Body body) const {
        if (operands.winners != nullptr) return body(WinnersSource<X>(*operands.winners));
        if (operands.patches != nullptr) return body(PatchesSource<X>(*operands.patches));
        if constexpr (std::is_same_v<X, float>)
            if (operands.widens) return body(WidenedSource(operands.x, *move_x_));
        if constexpr (std::is_same_v<X, Bfloat16>)
            return body(StridedSource<X>(operands.x));
        else
            return body(DenseSource<X>(operands.x, *move_x_));
    }

    int threads_for(const Operands& operands) const {
        return choose_threads(work_ * static_cast<double>(operands.vectors()));
    }

    const MoveRow *move_x_, *move_y_;  // null: of a type that is in no tile
    const double work_;                // per column of x
};

// Of x as one column: where it lies, or copied with zeros behind it.
template <class T>
std::int64_t column_bytes(const Source<T>& source, std::int64_t zeros) {
    if (zeros == 0 && source.has_contiguous_columns()) return 0;
    return round_to_lines(source.rows() + zeros, sizeof(T)) * static_cast<std::int64_t>(sizeof(T));
}

template <class T>
const T* column_of(const Source<T>& source, std::int64_t zeros, unsigned char* memory) {
    if (zeros == 0 && source.has_contiguous_columns()) return static_cast<const T*>(source.view()->data);
    T* const to = reinterpret_cast<T*>(memory);
    source.pack_columns({0, 1}, source.rows() + zeros, to);
    std::fill_n(to + source.rows(), zeros, T{});
    return to;
}

// A choice of one micro-kernel for all there is to do, and of its layout.
template <class P, class Row, class L>
class OneRowChoice : public DenseChoice<P> {
   public:
    OneRowChoice(Subject& subject, std::string reason, Registered<Row> row, std::shared_ptr<const L> layout)
        : DenseChoice<P>(subject, name_of(row), std::move(reason)), row_(*row.row), layout_(std::move(layout)) {}

   protected:
    const Row& row() const { return row_; }
    const L& layout() const { return *layout_; }

   private:
    const Row& row_;
    const std::shared_ptr<const L> layout_;
};

// A choice among tiles of ascending width on one layout; it goes by the name of the widest.
template <class P, class Row, class L>
class TilesChoice : public DenseChoice<P> {
   public:
    using Tiles = std::vector<Registered<Row>>;
    TilesChoice(Subject& subject, std::string reason, Tiles tiles, std::shared_ptr<const L> layout)
        : DenseChoice<P>(subject, name_of(tiles.back()), std::move(reason)),
          tiles_(std::move(tiles)),
          layout_(std::move(layout)) {}

   protected:
    const Tiles& tiles() const { return tiles_; }
    const L& layout() const { return *layout_; }

   private:
    const Tiles tiles_;
    const std::shared_ptr<const L> layout_;
};

// The micro-kernel for the subject's product, of a kind that has one for each product of the list; null for others.
template <class Of, class Row>
Registered<Row> only_row(Rows<Row> Table::* kind, const Subject& subject) {
    if (index_in(Of{}, subject.types) == Of::count) return {nullptr, 0};
    return strongest_of(kind, subject.levels, subject.types);
}

// Cycles of one column whose entries fill vectors: so many for each, or the weights' way, whose indices take a share of
// the values' bytes.
inline double cost_of_vectors(Subject& subject, double of_vector, double index_share) {
    const Operand& operand = subject.operand;
    return std::max(operand.nnz() / subject.lanes() * of_vector,
                    streaming_cost(operand.nnz() * operand.value_bytes() * (1 + index_share)));
}

// The choice Kind<Product> for the subject's product, made of what follows. Of: the products that the kind has
// micro-kernels for; what is not listed is not compiled.
template <template <class> class Kind, class Of = OwnProducts, class... Parts>
std::unique_ptr<const Choice> make_choice(Subject& subject, Parts&&... parts) {
    return dispatch<Of>(subject.types, [&](auto product) -> std::unique_ptr<const Choice> {
        return std::make_unique<const Kind<decltype(product)>>(subject, std::forward<Parts>(parts)...);
    });
}

}  // namespace cs
