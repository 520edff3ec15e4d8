// SPDX-License-Identifier: BSD-3-Clause
#include "core/plan.hpp"

#include <algorithm>
#include <cstdio>
#include <mutex>

#include "core/isa.hpp"
#include "core/parallel.hpp"

namespace cs {
namespace {

constexpr std::int64_t most_panel_rows = 2048;  // sums of a panel stay in L2 between blocks
constexpr std::int64_t least_panel_rows = 128;  // shorter panels sort too few rows into a run

double density(const StoredMatrix& matrix) {
    const double size = static_cast<double>(matrix.rows) * static_cast<double>(matrix.cols);
    return size > 0 ? static_cast<double>(matrix.row_ptr[matrix.rows]) / size : 0;
}

std::int64_t round_up(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit * unit; }

// A block of x fills L1, unless a row would own so few entries in it that they do not pay for its sums' way to memory
// and back: then x streams from L2 (docs/developer/performance-notes.md).
std::int64_t choose_block_cols(const StoredMatrix& matrix, int widest_tile) {
    constexpr double least_entries = 12;
    const int tile_bytes = widest_tile * type_bytes[static_cast<int>(matrix.type)];
    std::int64_t block = std::clamp<std::int64_t>(cache_sizes().l1d / tile_bytes, 64, max_block_cols);
    while (2 * block <= max_block_cols && static_cast<double>(block) * density(matrix) < least_entries) block *= 2;
    return block;
}

// Panels are what threads share when a batch has too few tiles for them. A matrix of few entries gets higher ones, so
// that the index of (panel, block) parts stays small beside its entries.
std::int64_t choose_panel_rows(const StoredMatrix& matrix, std::int64_t block_cols) {
    constexpr std::int64_t highest = 32768;
    const std::int64_t share = matrix.rows / std::max(1, effective_threads()) + 1;
    std::int64_t panel = round_up(std::clamp(share, least_panel_rows, most_panel_rows), group_rows);
    const std::int64_t n_blocks = matrix.cols / block_cols + 1;
    while (panel < highest && (matrix.rows / panel) * n_blocks > matrix.row_ptr[matrix.rows] / 8) panel *= 2;
    return panel;
}

// Windows per tile. Three cover more lanes of a sparse group than two, for a third more work; rows of few entries leave
// no tile worth taking, and a layout without tiles is built ten times faster.
int choose_windows(const StoredMatrix& matrix) {
    const double d = density(matrix);
    if (d < 0.015 || d * static_cast<double>(matrix.cols) < 16) return 0;
    return d < 0.07 ? 3 : 2;
}

std::string isa_name(int isa) { return isa_levels()[static_cast<std::size_t>(isa)].name; }

std::string spmm_name(const Registered<SpmmRow>& row) {
    return std::string("spmm_") + type_names[static_cast<int>(row.row->type)] + "_" + std::to_string(group_rows) + "x" +
           std::to_string(row.row->tile_cols) + "_" + isa_name(row.isa);
}

std::string spmv_name(const Registered<SpmvRow>& row) {
    return std::string("spmv_") + type_names[static_cast<int>(row.row->type)] + "_" + std::to_string(window_lanes) +
           (row.row->windows > 0 ? "w" + std::to_string(row.row->windows) : std::string("g")) + "_" + isa_name(row.isa);
}

std::string rows_name(const Registered<RowsRow>& row) {
    return std::string("rows_") + type_names[static_cast<int>(row.row->type)] + "_1x" +
           std::to_string(row.row->tile_cols) + "_" + isa_name(row.isa);
}

// Entries per column below which a batch reads x in place: bringing a row of x into a tile costs as much as four
// entries.
constexpr std::int64_t least_reuse = 8;
constexpr std::int64_t wide_batch = 32;

class Chooser {
   public:
    Chooser(const Matrix& matrix, Side side)
        : layouts_(matrix.layouts()), stored_(matrix.stored()), side_(static_cast<int>(side)), isa_(selected_isa()) {}

    // The matrix whose rows are the outputs. The transpose is a temporary: only layouts are kept.
    const StoredMatrix& operand() {
        if (side_ == static_cast<int>(Side::rows)) return stored_;
        if (transposed_.row_ptr.empty()) transposed_view_ = transpose(stored_, transposed_);
        return transposed_view_;
    }
    std::int64_t inner() const { return side_ == static_cast<int>(Side::rows) ? stored_.cols : stored_.rows; }

    // The stored rows, where these are W's own and too few to pack x for.
    std::unique_ptr<Choice> batch() {
        if (side_ != static_cast<int>(Side::rows) || stored_.row_ptr[stored_.rows] >= least_reuse * stored_.cols)
            return packed_batch();
        auto choice = start();
        choice->rows = strongest(&Table::rows, isa_, [&](const RowsRow& row) { return row.type == stored_.type; });
        choice->name = rows_name(choice->rows);
        choice->reason = "stored rows: too few entries per column to pack x for";
        return choice;
    }

    std::unique_ptr<Choice> packed_batch() {
        auto choice = start();
        for (const auto& registered : rows_of(&Table::spmm, isa_)) {
            if (registered.row->type != stored_.type) continue;
            auto same = std::find_if(choice->tiles.begin(), choice->tiles.end(), [&](const auto& other) {
                return other.row->tile_cols == registered.row->tile_cols;
            });
            if (same != choice->tiles.end())
                *same = registered;  // a stronger level's
            else
                choice->tiles.push_back(registered);
        }
        std::sort(choice->tiles.begin(), choice->tiles.end(),
                  [](const auto& a, const auto& b) { return a.row->tile_cols < b.row->tile_cols; });
        const int widest = choice->tiles.back().row->tile_cols;
        auto& layout = layouts_.row_groups[side_];
        if (!layout) {
            StoredMatrix matrix = operand();
            std::vector<std::int32_t> used, renumbered;
            drop_unused_columns(operand(), used, renumbered, matrix);
            const std::int64_t block_cols = choose_block_cols(matrix, widest);
            auto built = std::make_unique<RowGroupsLayout>(
                make_row_groups(matrix, choose_panel_rows(matrix, block_cols), block_cols));
            built->used = std::move(used);
            layout = std::move(built);
        }
        choice->row_groups = layout.get();
        choice->name = spmm_name(choice->tiles.back());
        char text[200];
        std::snprintf(text, sizeof text, "row groups: tiles of up to %d columns, blocks of %lld columns of W for L1",
                      widest, static_cast<long long>(layout->block_cols));
        choice->reason = text;
        return choice;
    }

    std::unique_ptr<Choice> one_column() {
        if (inner() > max_windows_cols) return batch();
        auto choice = start();
        const int wanted = choose_windows(operand());
        choice->spmv = strongest(&Table::spmv, isa_, [&](const SpmvRow& row) {
            return row.type == stored_.type && (row.windows == 0 || row.windows == wanted);
        });
        const int windows = choice->spmv.row->windows;
        auto& layout = layouts_.windows[side_];
        if (!layout) layout = std::make_unique<const WindowsLayout>(make_windows(operand(), windows));
        choice->windows = layout.get();
        choice->name = spmv_name(choice->spmv);
        const std::int64_t nnz = stored_.row_ptr[stored_.rows];
        char text[200];
        std::snprintf(text, sizeof text, "windows: %.0f%% of the entries in tiles, the rest gathered",
                      nnz > 0 ? 100.0 * static_cast<double>(layout->tile_entries) / static_cast<double>(nnz) : 0.0);
        choice->reason = text;
        return choice;
    }

   private:
    std::unique_ptr<Choice> start() const {
        auto choice = std::make_unique<Choice>();
        choice->move = strongest(&Table::move, isa_, [&](const MoveRow& row) { return row.type == stored_.type; }).row;
        return choice;
    }

    Layouts& layouts_;
    const StoredMatrix& stored_;
    const int side_;
    const int isa_;
    OwnedCsr transposed_;
    StoredMatrix transposed_view_{};
};

}  // namespace

Matrix::Matrix(const StoredMatrix& stored) : stored_(stored), layouts_(std::make_unique<Layouts>()) {}
Matrix::~Matrix() = default;

namespace {

const Choice* choose(const Matrix& matrix, Side side, Layouts::Kind kind) {
    Layouts& layouts = matrix.layouts();
    auto& known = layouts.choices[static_cast<int>(side)][kind];
    if (const Choice* choice = known.load(std::memory_order_acquire)) return choice;
    const std::lock_guard<ForkSafeMutex> lock(layouts.mutex);
    if (const Choice* choice = known.load(std::memory_order_relaxed)) return choice;
    Chooser chooser(matrix, side);
    auto& owned = layouts.owned[static_cast<int>(side)][kind];
    owned = kind == Layouts::batch          ? chooser.batch()
            : kind == Layouts::packed_batch ? chooser.packed_batch()
                                            : chooser.one_column();
    known.store(owned.get(), std::memory_order_release);
    return owned.get();
}

}  // namespace

Plan make_plan(const Matrix& matrix, const PlanRequest& request) {
    const auto kind = request.n >= wide_batch && request.contiguous_rows ? Layouts::batch
                      : request.n == 1 && !request.deterministic         ? Layouts::one_column
                                                                         : Layouts::packed_batch;
    return {&matrix, request.side, choose(matrix, request.side, kind)};
}

Plan plan_for_strides(const Plan& plan, const DenseView& x, const DenseView& y) {
    if (plan.choice->rows.row == nullptr || (x.col_stride == 1 && y.col_stride == 1)) return plan;
    return {plan.matrix, plan.side, choose(*plan.matrix, plan.side, Layouts::packed_batch)};
}

std::string microkernel_name(const Plan& plan) { return plan.choice->name; }
std::string choice_reason(const Plan& plan) { return plan.choice->reason; }

std::vector<LayoutInfo> built_layouts(const Matrix& matrix) {
    Layouts& layouts = matrix.layouts();
    const std::lock_guard<ForkSafeMutex> lock(layouts.mutex);
    std::vector<LayoutInfo> found;
    for (const Side side : {Side::rows, Side::columns}) {
        const auto s = static_cast<int>(side);
        const std::int64_t nnz = matrix.stored().row_ptr[matrix.stored().rows];
        if (layouts.row_groups[s]) found.push_back({"row_groups", side, layouts.row_groups[s]->bytes(), nnz});
        if (layouts.windows[s])
            found.push_back(
                {"windows", side, layouts.windows[s]->bytes(), layouts.windows[s]->slots(matrix.stored().type)});
    }
    return found;
}

std::vector<MicroKernelInfo> microkernels() {
    std::vector<MicroKernelInfo> found;
    const int all = static_cast<int>(isa_levels().size()) - 1;
    auto add = [&](std::string name, const char* op, Type type, int isa, const char* layout, int rows, int cols) {
        const IsaLevel& level = isa_levels()[static_cast<std::size_t>(isa)];
        found.push_back(
            {std::move(name), op, type_names[static_cast<int>(type)], level.name, layout, rows, cols, level.supported});
    };
    for (const auto& row : rows_of(&Table::spmm, all))
        add(spmm_name(row), "spmm", row.row->type, row.isa, "row_groups", group_rows, row.row->tile_cols);
    for (const auto& row : rows_of(&Table::rows, all))
        add(rows_name(row), "rows", row.row->type, row.isa, "csr", 1, row.row->tile_cols);
    for (const auto& row : rows_of(&Table::spmv, all))
        add(spmv_name(row), "spmv", row.row->type, row.isa, "windows", window_lanes, 1);
    for (const auto& row : rows_of(&Table::sampled, all))
        add(std::string("sampled_") + type_names[static_cast<int>(row.row->type)] + "_" + isa_name(row.isa), "sampled",
            row.row->type, row.isa, "csr", 1, 1);
    return found;
}

}  // namespace cs
