// SPDX-License-Identifier: BSD-3-Clause
#include "plan/plan.hpp"

#include <algorithm>
#include <cstdio>
#include <mutex>

#include "layouts/costs.hpp"
#include "base/isa.hpp"
#include "kernels/names.hpp"
#include "base/parallel.hpp"

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
// and back: then x streams from L2. Tiles of four cache lines a row pay sooner, because L1 holds few columns beside
// them, and rows that share their columns at once, because they need a quarter of x
// (docs/developer/performance-notes.md).
std::int64_t choose_block_cols(const StoredMatrix& matrix, int widest_tile, int shared_rows) {
    const std::int64_t tile_bytes = widest_tile * bytes_of(matrix.type);
    const double least_entries = shared_rows > 0 ? 96 : tile_bytes >= 256 ? 24 : 12;
    std::int64_t block = std::clamp<std::int64_t>(cache_sizes().l1d / tile_bytes, 64, max_block_cols);
    while (2 * block <= max_block_cols && 2 * block * tile_bytes <= cache_sizes().l2 &&
           static_cast<double>(block) * density(matrix) < least_entries)
        block *= 2;
    return block;
}

// Panels are what threads share when a batch has too few tiles for them. A matrix of few entries gets higher ones, so
// that the index of (panel, block) parts stays small beside its entries.
std::int64_t choose_panel_rows(const StoredMatrix& matrix, std::int64_t block_cols) {
    constexpr std::int64_t highest = 32768;
    const std::int64_t share = matrix.rows / std::max(1, effective_threads()) + 1;
    std::int64_t panel = round_up(std::clamp(share, least_panel_rows, most_panel_rows), most_shared_rows);
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

constexpr std::int64_t least_some_columns = 12, least_batch = 32, least_wide_batch = 128;

class Chooser {
   public:
    Chooser(const Matrix& matrix, Side side)
        : layouts_(matrix.layouts()),
          side_(static_cast<int>(side)),
          isa_(selected_isa()),
          type_(matrix.stored().type),
          model_(matrix, side) {}

    std::vector<Option> options(Layouts::Kind kind) { return model_.options(kind); }

    std::unique_ptr<Choice> build(Family family, Layouts::Kind kind) {
        switch (family) {
            case Family::routed:
                return routed();
            case Family::strips:
                return strips();
            case Family::blocks:
                return blocks();
            case Family::windows:
                return windows();
            case Family::shared_row_groups:
                return row_groups(model_.shared_groups(kind));
            case Family::row_groups:
                return row_groups(0);
            default:
                return rows();
        }
    }

   private:
    const StoredMatrix& operand() { return model_.operand().by_output(); }

    std::unique_ptr<Choice> start() const {
        auto choice = std::make_unique<Choice>();
        choice->move = strongest_of(&Table::move, isa_, type_).row;
        return choice;
    }

    std::unique_ptr<Choice> routed() {
        const RoutedRow& best = *model_.routed_row();
        auto choice = start();
        auto& built = layouts_.routed[side_];
        auto layout = std::find_if(built.begin(), built.end(), [&](const auto& other) { return other->fits(best); });
        if (layout == built.end())
            layout = built.insert(built.end(), std::make_unique<const RoutedLayout>(
                                                   make_routed(operand(), model_.structure().routed, best)));
        choice->routed = layout->get();
        // Tiles so wide that their part of x leaves L1 pay only where weights come from beyond L2.
        const int widest = choice->routed->bytes() > cache_sizes().l2 ? 8 : 4;
        for (const auto& registered : rows_of(&Table::routed, isa_))
            if (choice->routed->fits(*registered.row) && registered.row->tile_cols <= widest)
                choice->routed_tiles.push_back(registered);
        choice->name = name_of(choice->routed_tiles.back());
        char text[200];
        std::snprintf(text, sizeof text,
                      "routed: %zu layers, each from windows of %lld columns, %d row%s to a pattern%s",
                      model_.structure().routed.layers.size(), static_cast<long long>(model_.structure().routed.width),
                      best.block_rows, best.block_rows == 1 ? "" : "s",
                      best.weights == Weights::bf16 ? ", weights as bfloat16" : "");
        choice->reason = text;
        return choice;
    }

    std::unique_ptr<Choice> strips() {
        auto choice = start();
        choice->strips_row = strongest_of(&Table::strips, isa_, type_);
        auto& layout = layouts_.strips[side_];
        if (!layout) layout = std::make_unique<const StripsLayout>(make_strips(operand()));
        choice->strips = layout.get();
        choice->name = name_of(choice->strips_row);
        choice->reason = "strips: 16 rows to a pattern, its columns four at a time";
        return choice;
    }

    std::unique_ptr<Choice> blocks() {
        auto choice = start();
        choice->blocks_row = strongest_of(&Table::blocks, isa_, type_);
        auto& layout = layouts_.blocks[side_];
        if (!layout) layout = std::make_unique<const BlocksLayout>(make_blocks(operand()));
        choice->blocks = layout.get();
        choice->name = name_of(choice->blocks_row);
        choice->reason = "blocks: whole blocks of 4 x 4, a row's values of x by one load";
        return choice;
    }

    std::unique_ptr<Choice> rows() {
        auto choice = start();
        choice->rows = strongest_of(&Table::rows, isa_, type_);
        choice->name = name_of(choice->rows);
        choice->reason = "stored rows: too few entries per column to pack x for";
        return choice;
    }

    std::unique_ptr<Choice> row_groups(int shared) {
        auto choice = start();
        for (const auto& registered : rows_of(&Table::spmm, isa_)) {
            if (registered.row->type != type_ || registered.row->shared_rows != shared) continue;
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
        auto& built = layouts_.row_groups[side_];
        auto layout =
            std::find_if(built.begin(), built.end(), [&](const auto& other) { return other->shared_rows == shared; });
        if (layout == built.end()) {
            StoredMatrix matrix = operand();
            std::vector<std::int32_t> used, renumbered;
            drop_unused_columns(operand(), used, renumbered, matrix);
            const std::int64_t block_cols = choose_block_cols(matrix, widest, shared);
            auto groups = std::make_unique<RowGroupsLayout>(
                make_row_groups(matrix, choose_panel_rows(matrix, block_cols), block_cols, shared));
            groups->used = std::move(used);
            layout = built.insert(built.end(), std::move(groups));
        }
        choice->row_groups = layout->get();
        choice->name = name_of(choice->tiles.back());
        char text[200];
        std::snprintf(text, sizeof text, "row groups%s: tiles of up to %d columns, blocks of %lld columns of W",
                      shared == 0  ? ""
                      : shared > 4 ? ", eight rows to a pattern"
                                   : ", four rows to a pattern",
                      widest, static_cast<long long>(choice->row_groups->block_cols));
        choice->reason = text;
        return choice;
    }

    std::unique_ptr<Choice> windows() {
        auto choice = start();
        const int wanted = choose_windows(operand());
        choice->spmv = strongest(&Table::spmv, isa_, [&](const SpmvRow& row) {
            return row.type == type_ && (row.windows == 0 || row.windows == wanted);
        });
        const int windows = choice->spmv.row->windows;
        auto& built = layouts_.windows[side_];
        auto layout =
            std::find_if(built.begin(), built.end(), [&](const auto& other) { return other->windows == windows; });
        if (layout == built.end())
            layout = built.insert(built.end(), std::make_unique<const WindowsLayout>(make_windows(operand(), windows)));
        choice->windows = layout->get();
        choice->name = name_of(choice->spmv);
        char text[200];
        std::snprintf(text, sizeof text, "windows: %.0f%% of the entries in tiles, the rest gathered",
                      model_.operand().nnz() > 0
                          ? 100.0 * static_cast<double>(choice->windows->tile_entries) / model_.operand().nnz()
                          : 0.0);
        choice->reason = text;
        return choice;
    }

    Layouts& layouts_;
    const int side_;
    const int isa_;
    const Type type_;
    CostModel model_;
};

}  // namespace

Matrix::Matrix(const StoredMatrix& stored) : stored_(stored), layouts_(std::make_unique<Layouts>()) {}
Matrix::~Matrix() = default;

Layouts::Kind kind_of(const PlanRequest& request) {
    return request.deterministic                                  ? Layouts::ordered
           : request.n == 1                                       ? Layouts::one_column
           : request.n < least_some_columns                       ? Layouts::few_columns
           : request.n == line_columns && request.contiguous_rows ? Layouts::whole_line
           : request.n < least_batch                              ? Layouts::some_columns
           : !request.contiguous_rows                             ? Layouts::packed_batch
           : request.n < least_wide_batch                         ? Layouts::batch
                                                                  : Layouts::wide_batch;
}

namespace {

// The first option is built once and kept for all; another one, asked for by its number, is built for the asker.
const Choice* choose(const Matrix& matrix, Side side, Layouts::Kind kind, int candidate = -1) {
    Layouts& layouts = matrix.layouts();
    auto& known = layouts.choices[static_cast<int>(side)][kind];
    if (candidate < 0)
        if (const Choice* choice = known.load(std::memory_order_acquire)) return choice;
    const std::lock_guard<ForkSafeMutex> lock(layouts.mutex);
    if (candidate < 0)
        if (const Choice* choice = known.load(std::memory_order_relaxed)) return choice;
    Chooser chooser(matrix, side);
    const auto options = chooser.options(kind);
    const Option& option = options.at(candidate < 0 ? 0 : static_cast<std::size_t>(candidate));
    layouts.owned.push_back(chooser.build(option.family, kind));
    const Choice* const choice = layouts.owned.back().get();
    if (candidate < 0) known.store(choice, std::memory_order_release);
    return choice;
}

}  // namespace

std::vector<Candidate> candidates(const Matrix& matrix, const PlanRequest& request) {
    const std::lock_guard<ForkSafeMutex> lock(matrix.layouts().mutex);
    std::vector<Candidate> found;
    for (const Option& option : Chooser(matrix, request.side).options(kind_of(request)))
        found.push_back({family_names[static_cast<int>(option.family)], option.cost});
    return found;
}

Plan make_plan(const Matrix& matrix, const PlanRequest& request) {
    return {&matrix, request.side, choose(matrix, request.side, kind_of(request), request.candidate)};
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
        for (const auto& layout : layouts.row_groups[s])
            found.push_back({layout->shared_rows > 0 ? "shared_row_groups" : "row_groups", side, layout->bytes(), nnz});
        for (const auto& layout : layouts.routed[s]) found.push_back({"routed", side, layout->bytes(), layout->slots});
        if (layouts.blocks[s])
            found.push_back(
                {"blocks", side, layouts.blocks[s]->bytes(), layouts.blocks[s]->slots(matrix.stored().type)});
        if (layouts.strips[s]) found.push_back({"strips", side, layouts.strips[s]->bytes(), nnz});
        if (layouts.columns[s])
            found.push_back({"columns", side, layouts.columns[s]->bytes(),
                             layouts.columns[s]->n_units * layouts.columns[s]->block_rows});
        for (const auto& layout : layouts.windows[s])
            found.push_back({"windows", side, layout->bytes(), layout->slots(matrix.stored().type)});
    }
    return found;
}

}  // namespace cs
