// SPDX-License-Identifier: BSD-3-Clause
// Macro-kernels: tiles, panels, blocks and threads around the micro-kernels. Each output belongs to one task.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/aligned.hpp"
#include "api.hpp"
#include "base/parallel.hpp"
#include "plan/plan.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

// Of the calling thread.
unsigned char* scratch(std::size_t bytes) {
    thread_local Scratch kept;
    return kept.at_least(bytes);
}

template <class T>
struct BatchProduct {
    const Choice& choice;
    const RowGroupsLayout& layout;
    const DenseView &x, &y;
    const Epilogue& finish;
    bool several_panels;  // per task: x is packed once for all of them
    int width;            // columns of a full tile
    std::int64_t tasks_per_tile, x_elements, y_elements;
    T* buffers;

    BatchProduct(const Choice& choice_, const DenseView& x_, const DenseView& y_, const Epilogue& finish_)
        : choice(choice_), layout(*choice_.row_groups), x(x_), y(y_), finish(finish_) {}

    // The narrowest tile that holds n columns, else the widest.
    const SpmmRow& tile_for(std::int64_t n) const {
        const SpmmRow* row = choice.tiles.back().row;
        for (auto it = choice.tiles.rbegin(); it != choice.tiles.rend() && it->row->tile_cols >= n; ++it) row = it->row;
        return *row;
    }

    void run(double work) {
        const int threads = choose_threads(work);
        width = tile_for(y.cols).tile_cols;
        const std::int64_t n_tiles = (y.cols + width - 1) / width;
        tasks_per_tile = threads == 1 || n_tiles >= 2 * threads ? 1 : std::min<std::int64_t>(layout.n_panels, threads);
        several_panels = layout.n_panels > tasks_per_tile;
        x_elements = round_to_lines((several_panels ? layout.n_blocks : 1) * layout.block_cols * width, sizeof(T));
        y_elements = round_to_lines(std::min(layout.panel_rows, y.rows) * width, sizeof(T));
        const std::int64_t n_tasks = n_tiles * tasks_per_tile;
        const auto workers = static_cast<std::size_t>(std::min<std::int64_t>(threads, n_tasks));
        buffers =
            reinterpret_cast<T*>(scratch(workers * static_cast<std::size_t>(x_elements + y_elements) * sizeof(T)));
        parallel_for(n_tasks, threads, *this);
    }

    void operator()(std::int64_t task, int worker) const {
        const std::int64_t first_col = task / tasks_per_tile * width, share = task % tasks_per_tile;
        const auto n = static_cast<int>(std::min<std::int64_t>(width, y.cols - first_col));
        T* const x_tile = buffers + worker * (x_elements + y_elements);
        const std::int64_t first_panel = layout.n_panels * share / tasks_per_tile;
        const std::int64_t last_panel = layout.n_panels * (share + 1) / tasks_per_tile;
        for (std::int64_t panel = first_panel; panel < last_panel; ++panel)
            multiply_panel(tile_for(n), panel, first_col, n, x_tile, x_tile + x_elements, panel == first_panel);
    }

    void multiply_panel(const SpmmRow& row, std::int64_t panel, std::int64_t first_col, int n, T* x_tile, T* sums,
                        bool pack) const {
        const int tile = row.tile_cols;
        const std::int64_t first_row = panel * layout.panel_rows;
        const std::int64_t n_rows = std::min(layout.panel_rows, y.rows - first_row);
        // The last block's sums go straight to y where they are final there; earlier sums stay in scratch (or in y, if
        // its rows are as close).
        const bool direct = y.col_stride == 1 && n == tile && finish.bias == nullptr && !finish.relu;
        T* const y_part = element<T>(y, first_row, first_col);
        T* const partial = direct && y.row_stride == tile ? y_part : sums;
        const std::size_t tile_bytes = static_cast<std::size_t>(tile) * sizeof(T);
        const bool in_place =
            layout.used.empty() && x.col_stride == 1 && x.row_stride == tile && n == tile &&
            reinterpret_cast<std::uintptr_t>(element<T>(x, 0, first_col)) % std::min(tile_bytes, cache_line) == 0;
        for (std::int64_t block = 0; block < layout.n_blocks; ++block) {
            const std::int64_t first_k = block * layout.block_cols;
            const std::int64_t n_k = std::min(layout.block_cols, layout.cols - first_k);
            const RowGroupsLayout::Part& part = layout.parts[static_cast<std::size_t>(panel * layout.n_blocks + block)];
            T* const packed = x_tile + (several_panels ? first_k * tile : 0);
            if (pack && !in_place && (several_panels || part.n_runs > 0))
                pack_x(first_k, n_k, first_col, n, tile, packed);
            const bool last = block == layout.n_blocks - 1;
            SpmmArgs args;
            args.runs = layout.runs.data() + part.run;
            args.tails = layout.tails.data() + part.tail;
            args.n_runs = part.n_runs;
            args.n_tails = part.n_tails;
            args.rows = layout.rows.data() + part.row;
            args.columns =
                layout.columns.data() + (layout.shared_rows > 0 ? part.entry / layout.shared_rows : part.entry);
            args.values = layout.values.data() + static_cast<std::size_t>(part.entry) * sizeof(T);
            args.x = in_place ? element<T>(x, first_k, first_col) : packed;
            args.from = partial;
            args.from_stride = partial == sums ? tile : y.row_stride;
            args.to = last && direct ? y_part : partial;
            args.to_stride = args.to == sums ? tile : y.row_stride;
            args.first = block == 0;
            args.last = last && args.to != args.from;
            row.function(args);
        }
        if (!direct) write_out(sums, first_row, n_rows, first_col, n, tile);
    }

    // x[first_k : first_k + n_k, first_col : first_col + n] as rows of `tile` columns; columns beyond n are zero.
    void pack_x(std::int64_t first_k, std::int64_t n_k, std::int64_t first_col, int n, int tile, T* to) const {
        if (n < tile) std::memset(to, 0, static_cast<std::size_t>(n_k * tile) * sizeof(T));
        if (!layout.used.empty()) {
            for (std::int64_t k = 0; k < n_k; ++k)
                for (int j = 0; j < n; ++j)
                    to[k * tile + j] =
                        *element<const T>(x, layout.used[static_cast<std::size_t>(first_k + k)], first_col + j);
            return;
        }
        const T* const from = element<const T>(x, first_k, first_col);
        if (x.col_stride == 1)
            choice.move->epilogue({from, to, n_k, n, x.row_stride, tile, nullptr, false});
        else if (x.row_stride == 1)
            choice.move->transpose({from, to, n, n_k, x.col_stride, tile});
        else
            for (std::int64_t k = 0; k < n_k; ++k)
                for (int j = 0; j < n; ++j) to[k * tile + j] = from[k * x.row_stride + j * x.col_stride];
    }

    void write_out(T* sums, std::int64_t first_row, std::int64_t n_rows, std::int64_t first_col, int n,
                   int tile) const {
        T* const to = element<T>(y, first_row, first_col);
        const T* const bias = finish.bias ? static_cast<const T*>(finish.bias) + first_row : nullptr;
        if (y.col_stride == 1) {
            choice.move->epilogue({sums, to, n_rows, n, tile, y.row_stride, bias, finish.relu});
            return;
        }
        if (bias != nullptr || finish.relu)
            choice.move->epilogue({sums, sums, n_rows, n, tile, tile, bias, finish.relu});
        if (y.row_stride == 1)
            choice.move->transpose({sums, to, n_rows, n, tile, y.col_stride});
        else
            for (std::int64_t row = 0; row < n_rows; ++row)
                for (int j = 0; j < n; ++j) to[row * y.row_stride + j * y.col_stride] = sums[row * tile + j];
    }
};

template <class T>
void multiply_column(const Choice& choice, const DenseView& x, const DenseView& y, const Epilogue& finish,
                     double work) {
    const WindowsLayout& layout = *choice.windows;
    const auto n_extra = static_cast<std::int64_t>(layout.extra_rows.size());
    const bool copy_x = x.row_stride != 1 && x.rows > 1;
    const std::int64_t x_elements = copy_x ? round_to_lines(x.rows, sizeof(T)) : 0;
    const std::int64_t sum_elements = n_extra > 0 ? y.rows + n_extra : 0;
    T* const buffer =
        x_elements + sum_elements > 0
            ? reinterpret_cast<T*>(scratch(static_cast<std::size_t>(x_elements + sum_elements) * sizeof(T)))
            : nullptr;
    if (copy_x)
        for (std::int64_t k = 0; k < x.rows; ++k) buffer[k] = *element<const T>(x, k, 0);
    const void* const from = copy_x ? buffer : x.data;
    T* const sums = buffer + x_elements;  // of rows in several parts; otherwise the sums go straight to y
    const bool direct = n_extra == 0;

    const int threads = choose_threads(work);
    const auto n_groups = static_cast<std::int64_t>(layout.groups.size());
    parallel_shares(n_groups, threads, [&](std::int64_t first, std::int64_t last) {
        choice.spmv.row->function(
            {layout.groups.data() + first, last - first, layout.rows.data() + first * window_lanes, layout.picks.data(),
             layout.bases.data(), layout.tile_values.data(), layout.columns.data(), layout.values.data(), from,
             direct ? y.data : sums, direct ? y.row_stride : 1, direct ? finish.bias : nullptr, direct && finish.relu});
    });
    if (direct) return;
    for (std::int64_t i = 0; i < n_extra; ++i) sums[layout.extra_rows[static_cast<std::size_t>(i)]] += sums[y.rows + i];
    choice.move->epilogue({sums, y.data, y.rows, 1, 1, y.row_stride, finish.bias, finish.relu});
}

// Columns of x and y are contiguous for the micro-kernels: where they are not, panels of columns are transposed.
struct RoutedProduct {
    const Choice& choice;
    const RoutedLayout& layout;
    const DenseView &x, &y;
    const Epilogue& finish;
    const RoutedRow& row;
    bool copy_x, copy_y;
    std::int64_t panel_cols, shares, n_groups, x_step, y_step;
    float* buffers;

    RoutedProduct(const Choice& choice_, const DenseView& x_, const DenseView& y_, const Epilogue& finish_)
        : choice(choice_),
          layout(*choice_.routed),
          x(x_),
          y(y_),
          finish(finish_),
          row(*choice_.routed_tiles.front().row) {}

    void run(double work) {
        constexpr std::int64_t widest_panel = 16;  // a cache line of floats
        const int threads = choose_threads(work);
        // A window's registers are loaded whole: x needs so many columns.
        copy_x = (x.row_stride != 1 && x.rows > 1) || x.rows < row.window;
        copy_y = y.row_stride != 1 && y.rows > 1;
        panel_cols = copy_x || copy_y || threads > 1 ? std::min(widest_panel, y.cols) : y.cols;
        n_groups = (layout.n_units + group_units - 1) / group_units;
        const std::int64_t n_panels = (y.cols + panel_cols - 1) / panel_cols;
        shares = threads == 1 || n_panels >= 2 * threads ? 1 : std::min<std::int64_t>(n_groups, 2 * threads);
        // One line more than a column needs: columns whose distance is a power of two would share cache sets.
        x_step = copy_x ? line_step(std::max<std::int64_t>(x.rows, row.window)) : x.col_stride;
        y_step = copy_y ? line_step(y.rows) : y.col_stride;
        const std::int64_t n_tasks = n_panels * shares;
        const auto workers = static_cast<std::size_t>(std::min<std::int64_t>(threads, n_tasks));
        buffers =
            copy_x || copy_y
                ? reinterpret_cast<float*>(scratch(workers * static_cast<std::size_t>(of_worker()) * sizeof(float)))
                : nullptr;
        parallel_for(n_tasks, threads, *this);
    }

    static std::int64_t line_step(std::int64_t n) { return round_to_lines(n + 16, sizeof(float)); }
    std::int64_t of_worker() const { return (copy_x ? x_step * panel_cols : 0) + (copy_y ? y_step * panel_cols : 0); }

    void operator()(std::int64_t task, int worker) const {
        const std::int64_t first_col = task / shares * panel_cols, share = task % shares;
        const std::int64_t n = std::min(panel_cols, y.cols - first_col);
        const std::int64_t first_group = n_groups * share / shares, last_group = n_groups * (share + 1) / shares;
        const std::int64_t unit_rows = std::int64_t{row.lanes} * row.block_rows;
        const std::int64_t first_unit = first_group * group_units;
        const std::int64_t n_units = std::min(last_group * group_units, layout.n_units) - first_unit;
        const std::int64_t first_row = first_unit * unit_rows;
        const std::int64_t n_rows = std::min(n_units * unit_rows, y.rows - first_row);
        float* const x_buffer = buffers + worker * of_worker();
        float* const y_buffer = x_buffer + (copy_x ? x_step * panel_cols : 0);
        if (copy_x) pack_x(first_col, n, x_buffer);

        RoutedArgs args;
        const std::int64_t super = superlayer(row.window), n_super = (layout.n_layers + super - 1) / super;
        args.bases = layout.bases.data();
        args.n_layers = layout.n_layers;
        args.ids = layout.ids.data() + first_unit * n_super * row.lanes;
        args.values =
            layout.values.data() + first_unit * layout.n_layers * unit_rows / (row.weights == Weights::bf16 ? 2 : 1);
        args.n_units = n_units;
        args.n_rows = n_rows;
        args.x_stride = x_step;
        args.y_stride = y_step;
        args.bias = finish.bias ? static_cast<const float*>(finish.bias) + first_row : nullptr;
        args.relu = finish.relu;
        args.padded = layout.padded;
        for (std::int64_t col = 0; col < n;) {
            const RoutedRow& tile = tile_for(n - col);
            args.x = copy_x ? x_buffer + col * x_step : element<float>(x, 0, first_col + col);
            args.y = copy_y ? y_buffer + col * y_step : element<float>(y, first_row, first_col + col);
            tile.function(args);
            col += tile.tile_cols;
        }
        if (copy_y) unpack_y(first_row, n_rows, first_col, n, y_buffer);
    }

    // The widest tile that n columns fill.
    const RoutedRow& tile_for(std::int64_t n) const {
        const RoutedRow* tile = choice.routed_tiles.front().row;
        for (const auto& registered : choice.routed_tiles)
            if (registered.row->tile_cols <= n) tile = registered.row;
        return *tile;
    }

    void pack_x(std::int64_t first_col, std::int64_t n, float* to) const {
        const float* const from = element<const float>(x, 0, first_col);
        for (std::int64_t j = 0; j < n && x.rows < row.window; ++j)
            std::fill_n(to + j * x_step + x.rows, row.window - x.rows, 0.0f);
        if (x.col_stride == 1)
            choice.move->transpose({from, to, x.rows, n, x.row_stride, x_step});
        else
            for (std::int64_t j = 0; j < n; ++j)
                for (std::int64_t k = 0; k < x.rows; ++k)
                    to[j * x_step + k] = from[k * x.row_stride + j * x.col_stride];
    }

    void unpack_y(std::int64_t first_row, std::int64_t n_rows, std::int64_t first_col, std::int64_t n,
                  const float* from) const {
        float* const to = element<float>(y, first_row, first_col);
        if (y.col_stride == 1)
            choice.move->transpose({from, to, n, n_rows, y_step, y.row_stride});
        else
            for (std::int64_t i = 0; i < n_rows; ++i)
                for (std::int64_t j = 0; j < n; ++j) to[i * y.row_stride + j * y.col_stride] = from[j * y_step + i];
    }
};

// x as it lies where that will do, else copied, with so many zeros behind it.
template <class T>
const T* contiguous_column(const DenseView& x, int zeros) {
    if (zeros == 0 && (x.row_stride == 1 || x.rows == 1)) return static_cast<const T*>(x.data);
    T* const to = reinterpret_cast<T*>(scratch(static_cast<std::size_t>(x.rows + zeros) * sizeof(T)));
    if (x.row_stride == 1)
        std::copy_n(static_cast<const T*>(x.data), x.rows, to);
    else
        for (std::int64_t k = 0; k < x.rows; ++k) to[k] = *element<const T>(x, k, 0);
    std::fill_n(to + x.rows, zeros, T{});
    return to;
}

void multiply_blocks(const Choice& choice, const DenseView& x, const DenseView& y, const Epilogue& finish,
                     double work) {
    const BlocksLayout& layout = *choice.blocks;
    // Steps that a shorter row of blocks does not have read the zeros behind x.
    const float* const from = contiguous_column<float>(x, layout.padded ? block_side : 0);
    const int threads = choose_threads(work);
    const auto n_groups = static_cast<std::int64_t>(layout.counts.size());
    parallel_shares(n_groups, threads, [&](std::int64_t first, std::int64_t last) {
        const auto block = static_cast<std::size_t>(layout.first_block[static_cast<std::size_t>(first)]);
        choice.blocks_row.row->function({layout.first_rows.data() + first * rows_at_once, layout.counts.data() + first,
                                         last - first, layout.columns.data() + block,
                                         layout.values.data() + block * block_side * block_side * sizeof(float), from,
                                         y.data, y.row_stride, finish.bias, finish.relu});
    });
}

template <class T>
void multiply_strips(const Choice& choice, const DenseView& x, const DenseView& y, const Epilogue& finish,
                     double work) {
    const StripsLayout& layout = *choice.strips;
    const T* const from = contiguous_column<T>(x, 0);
    const auto* const bias = static_cast<const T*>(finish.bias);
    const int threads = choose_threads(work);
    const auto n_strips = static_cast<std::int64_t>(layout.counts.size());
    parallel_shares(n_strips, threads, [&](std::int64_t first, std::int64_t last) {
        const std::int64_t row = first * strip_rows, quad = layout.first_quad[static_cast<std::size_t>(first)];
        choice.strips_row.row->function(
            {layout.counts.data() + first, layout.columns.data() + quad,
             reinterpret_cast<const T*>(layout.values.data()) + quad * strip_rows * strip_cols, last - first, from,
             element<T>(y, row, 0), y.row_stride, bias == nullptr ? nullptr : bias + row, finish.relu});
    });
}

void multiply_rows(const Choice& choice, const StoredMatrix& stored, const DenseView& x, const DenseView& y,
                   const Epilogue& finish, double work) {
    parallel_shares(stored.rows, choose_threads(work), [&](std::int64_t first, std::int64_t last) {
        choice.rows.row->function({stored.row_ptr, stored.columns, stored.values, first, last, x.data, y.data, y.cols,
                                   x.row_stride, y.row_stride, finish.bias, finish.relu});
    });
}

template <class T>
void multiply_typed(const Plan& plan, const DenseView& x, const DenseView& y, const Epilogue& finish) {
    const StoredMatrix& stored = plan.matrix->stored();
    // Inputs and outputs count like multiplications: a matrix of few entries is all reading and writing.
    const double work =
        static_cast<double>(stored.row_ptr[stored.rows] + stored.rows + stored.cols) * static_cast<double>(y.cols);
    const Choice& choice = *plan_for_strides(plan, x, y).choice;
    if (choice.windows != nullptr)
        multiply_column<T>(choice, x, y, finish, work);
    else if (choice.blocks != nullptr)
        multiply_blocks(choice, x, y, finish, work);
    else if (choice.strips != nullptr)
        multiply_strips<T>(choice, x, y, finish, work);
    else if (choice.routed != nullptr)
        RoutedProduct(choice, x, y, finish).run(work);
    else if (choice.rows.row != nullptr)
        multiply_rows(choice, stored, x, y, finish, work);
    else
        BatchProduct<T>(choice, x, y, finish).run(work);
}

}  // namespace

void multiply(const Plan& plan, const DenseView& x, const DenseView& y, const Epilogue& epilogue) {
    if (y.rows == 0 || y.cols == 0) return;
    dispatch(plan.matrix->stored().type, [&](auto zero) { multiply_typed<decltype(zero)>(plan, x, y, epilogue); });
}

void run_bound_call(void* call) noexcept {
    const auto& bound = *static_cast<const BoundCall*>(call);
    multiply(bound.plan, bound.x, bound.y, bound.epilogue);
}

}  // namespace cs
