// SPDX-License-Identifier: BSD-3-Clause
// Macro-kernels of products with sparse activations. Each output belongs to one task.
#include <algorithm>
#include <cstddef>

#include "api.hpp"
#include "plan/plan.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

// Of the calling thread. Apart from the dense products' own, which run on what lies here.
unsigned char* scratch(std::size_t bytes) {
    thread_local Scratch kept;
    return kept.at_least(bytes);
}

// Vectors whose outputs are interleaved in y are computed so many at a time and transposed.
constexpr std::int64_t vectors_at_once = 16;

template <class T>
struct ColumnsProduct {
    const ColumnsChoice& choice;
    const ColumnsLayout& layout;
    const WinnersView& x;
    const DenseView& y;
    const Epilogue& finish;
    bool interleaved;
    std::int64_t n_chunks, sums_step, of_worker;
    T* buffers;

    ColumnsProduct(const ColumnsChoice& choice_, const WinnersView& x_, const DenseView& y_, const Epilogue& finish_)
        : choice(choice_), layout(*choice_.layout), x(x_), y(y_), finish(finish_) {}

    void run() {
        const double units =
            static_cast<double>(layout.n_units) / static_cast<double>(std::max<std::int64_t>(1, layout.cols));
        const double work = static_cast<double>(x.starts[x.n] - x.starts[0]) * units * layout.block_rows +
                            static_cast<double>(x.n) * static_cast<double>(y.rows);
        const int threads = choose_threads(work);
        interleaved = y.row_stride != 1 && y.rows > 1;
        // Panels come first: the columns of one stay in the cache for all vectors of a task.
        n_chunks = threads == 1 || layout.n_panels >= 4 * threads
                       ? 1
                       : std::min((x.n + vectors_at_once - 1) / vectors_at_once, std::int64_t{4} * threads);
        if (threads > 1 && n_chunks * layout.n_panels < threads) n_chunks = std::min<std::int64_t>(x.n, threads);
        // One line more than the sums need: sums at distances of a power of two would share cache sets.
        const std::int64_t most_rows = std::min(layout.panel_rows, y.rows);
        sums_step = round_to_lines(most_rows + 2 * layout.block_rows + 16, sizeof(T));
        of_worker = sums_step * (interleaved ? std::min(vectors_at_once, x.n) : 1);
        const std::int64_t n_tasks = n_chunks * layout.n_panels;
        const auto workers = static_cast<std::size_t>(std::min<std::int64_t>(threads, n_tasks));
        buffers = reinterpret_cast<T*>(scratch(workers * static_cast<std::size_t>(of_worker) * sizeof(T)));
        parallel_for(n_tasks, threads, *this);
    }

    void operator()(std::int64_t task, int worker) const {
        const std::int64_t panel = task / n_chunks, chunk = task % n_chunks;
        const std::int64_t first = x.n * chunk / n_chunks, last = x.n * (chunk + 1) / n_chunks;
        const std::int64_t first_row = panel * layout.panel_rows;
        T* const sums = buffers + worker * of_worker;
        ColumnsArgs args;
        const std::int64_t first_unit = layout.first_unit[static_cast<std::size_t>(panel)];
        args.starts = layout.starts.data() + panel * (layout.cols + 1);
        args.targets = layout.targets.data() + first_unit;
        args.values = layout.values.data() + static_cast<std::size_t>(first_unit * layout.block_rows) * sizeof(T);
        args.n_rows = std::min(layout.panel_rows, y.rows - first_row);
        args.bias = finish.bias != nullptr ? static_cast<const T*>(finish.bias) + first_row : nullptr;
        args.relu = finish.relu;
        args.prefetch = choice.far;
        if (!interleaved) {
            for (std::int64_t v = first; v < last; ++v) {
                T* const to = element<T>(y, first_row, v);
                // Sums that are whole cache lines of y need no place of their own.
                const bool in_place = !layout.padded && args.n_rows % layout.block_rows == 0 &&
                                      reinterpret_cast<std::uintptr_t>(to) % cache_line == 0;
                one_vector(args, v, in_place ? to : sums, to);
            }
            return;
        }
        for (std::int64_t v = first; v < last; v += vectors_at_once) {
            const std::int64_t n = std::min(vectors_at_once, last - v);
            for (std::int64_t i = 0; i < n; ++i) one_vector(args, v + i, sums + i * sums_step, sums + i * sums_step);
            unpack(sums, first_row, args.n_rows, v, n);
        }
    }

    void one_vector(ColumnsArgs& args, std::int64_t v, T* sums, T* to) const {
        const std::int64_t start = x.starts[v];
        args.winners = x.indices + start;
        args.activations = static_cast<const T*>(x.values) + start;
        args.n_winners = x.starts[v + 1] - start;
        args.sums = sums;
        args.y = to;
        choice.row.row->function(args);
    }

    void unpack(const T* sums, std::int64_t first_row, std::int64_t n_rows, std::int64_t v, std::int64_t n) const {
        T* const to = element<T>(y, first_row, v);
        if (y.col_stride == 1)
            choice.move->transpose({sums, to, n, n_rows, sums_step, y.row_stride});
        else
            for (std::int64_t row = 0; row < n_rows; ++row)
                for (std::int64_t i = 0; i < n; ++i)
                    to[row * y.row_stride + i * y.col_stride] = sums[i * sums_step + row];
    }
};

// Vectors are written out with their zeros, some at a time, and multiplied as any dense operand.
template <class T>
struct WrittenOut {
    const Plan& plan;
    const std::int64_t inner;
    const WinnersView& x;
    const DenseView& y;
    const Epilogue& finish;

    void run() const {
        // As the micro-kernels want them: in tiles, which are then not packed, or one vector after the other.
        const auto& tiles = plan.choice->tiles;
        const bool by_tile = !tiles.empty() || plan.choice->rows.row != nullptr;
        constexpr std::int64_t usual_width = 64, most_bytes = std::int64_t{16} << 20;
        const std::int64_t widest = tiles.empty() ? usual_width : tiles.back().row->tile_cols;
        const std::int64_t affordable = most_bytes / (std::max<std::int64_t>(inner, 1) * static_cast<int>(sizeof(T)));
        const std::int64_t width = std::clamp<std::int64_t>(std::min(x.n, affordable), 1, widest);
        const std::int64_t step = by_tile ? width : round_to_lines(inner + 16, sizeof(T));
        T* const dense =
            reinterpret_cast<T*>(scratch(static_cast<std::size_t>(by_tile ? inner * width : width * step) * sizeof(T)));
        for (std::int64_t first = 0; first < x.n; first += width) {
            const std::int64_t n = std::min(width, x.n - first);
            const std::int64_t row_stride = by_tile ? width : 1, col_stride = by_tile ? 1 : step;
            write(first, n, dense, row_stride, col_stride, by_tile ? inner * width : n * step);
            const DenseView dense_view{dense, inner, n, row_stride, col_stride};
            const DenseView y_view{element<T>(y, 0, first), y.rows, n, y.row_stride, y.col_stride};
            multiply(plan, dense_view, y_view, finish);
        }
    }

    void write(std::int64_t first, std::int64_t n, T* to, std::int64_t row_stride, std::int64_t col_stride,
               std::int64_t elements) const {
        const int threads = choose_threads(static_cast<double>(elements) / 4);
        const std::int64_t shares = threads;
        auto clear = [&](std::int64_t share, int) {
            std::fill(to + elements * share / shares, to + elements * (share + 1) / shares, T{});
        };
        parallel_for(shares, threads, clear);
        auto place = [&](std::int64_t share, int) {
            const T* const values = static_cast<const T*>(x.values);
            for (std::int64_t v = n * share / shares; v < n * (share + 1) / shares; ++v)
                for (std::int64_t at = x.starts[first + v]; at < x.starts[first + v + 1]; ++at)
                    to[x.indices[at] * row_stride + v * col_stride] = values[at];
        };
        parallel_for(shares, threads, place);
    }
};

template <class T>
void multiply_typed(const WinnersPlan& plan, const WinnersView& x, const DenseView& y, const Epilogue& finish) {
    if (plan.columns != nullptr) return ColumnsProduct<T>(*plan.columns, x, y, finish).run();
    const StoredMatrix& stored = plan.dense.matrix->stored();
    WrittenOut<T>{plan.dense, plan.dense.side == Side::rows ? stored.cols : stored.rows, x, y, finish}.run();
}

}  // namespace

void multiply_winners(const WinnersPlan& plan, const WinnersView& x, const DenseView& y, const Epilogue& epilogue) {
    if (y.rows == 0 || y.cols == 0) return;
    const Type type = plan.columns != nullptr ? plan.columns->row.row->type : plan.dense.matrix->stored().type;
    dispatch(type, [&](auto zero) { multiply_typed<decltype(zero)>(plan, x, y, epilogue); });
}

void run_bound_winners_call(void* call) noexcept {
    const auto& bound = *static_cast<const BoundWinnersCall*>(call);
    multiply_winners(bound.plan, bound.x, bound.y, bound.epilogue);
}

}  // namespace cs
