// SPDX-License-Identifier: BSD-3-Clause
#include "core/plan.hpp"

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <tuple>

#include "core/isa.hpp"
#include "core/names.hpp"
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

// How a product can be done: a layout and its family of micro-kernels.
enum class Family { routed, strips, blocks, windows, shared_row_groups, row_groups, rows };
constexpr const char* family_names[] = {"routed",     "strips", "blocks", "windows", "shared_row_groups",
                                        "row_groups", "rows"};

struct Option {
    Family family;
    double cost;  // cycles per column of x
};

class Chooser {
   public:
    Chooser(const Matrix& matrix, Side side)
        : layouts_(matrix.layouts()),
          stored_(matrix.stored()),
          side_(static_cast<int>(side)),
          isa_(selected_isa()),
          nnz_(static_cast<double>(stored_.row_ptr[stored_.rows])) {
        // The vectors of this level, as its tiles tell.
        lanes_ = strongest_of(&Table::move, isa_, stored_.type).row->lanes;
    }

    // By ascending cost. The figures are measured (docs/developer/performance-notes.md, "The cost model").
    std::vector<Option> options(Layouts::Kind kind) {
        std::vector<Option> found;
        auto add = [&](Family family, double cost) { found.push_back({family, cost}); };
        if (kind == Layouts::ordered) return {{Family::row_groups, 0}};
        if (const RoutedRow* row = routed_row()) add(Family::routed, routed_cost(*row, kind));
        const bool own_rows = side_ == static_cast<int>(Side::rows);
        if (kind == Layouts::one_column) {
            const double value_bytes = nnz_ * bytes_of(stored_.type);
            if (structure().strips) add(Family::strips, std::max(nnz_ / lanes_ * 1.2, streaming(value_bytes * 1.01)));
            if (structure().square_blocks && stored_.type == Type::f32)
                add(Family::blocks, std::max(nnz_ / lanes_ * 1.6, streaming(value_bytes * 1.03)));
            if (inner() <= max_windows_cols) add(Family::windows, nnz_ * 0.9 + static_cast<double>(outer()));
            if (own_rows) add(Family::rows, nnz_ * 3 + static_cast<double>(outer()) * 8);
        } else {
            const double n = columns_of(kind), used = std::min<double>(n, lanes_);
            const bool in_place = kind == Layouts::batch || kind == Layouts::wide_batch;
            const bool wide = kind == Layouts::packed_batch || in_place;
            if (const int rows = shared_groups(kind))
                add(Family::shared_row_groups, nnz_ / used * (wide ? 0.75 : rows > 4 ? 0.95 : 1.3));
            add(Family::row_groups, nnz_ / used * (wide ? 1.6 : 2.0) + static_cast<double>(inner() + outer()) *
                                                                           (kind == Layouts::packed_batch ? 0.6 : 0.1));
            // Bringing a row of x into a tile costs as much as a few entries.
            const double few = kind == Layouts::wide_batch ? 12 : 8;
            if (in_place && own_rows && nnz_ < few * static_cast<double>(stored_.cols)) add(Family::rows, nnz_ / used);
        }
        if (found.empty()) add(Family::row_groups, 0);
        std::stable_sort(found.begin(), found.end(), [](const Option& a, const Option& b) { return a.cost < b.cost; });
        return found;
    }

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
                return row_groups(shared_groups(kind));
            case Family::row_groups:
                return row_groups(0);
            default:
                return rows();
        }
    }

   private:
    static double columns_of(Layouts::Kind kind) {
        return kind == Layouts::one_column     ? 1
               : kind == Layouts::few_columns  ? 4
               : kind == Layouts::some_columns ? 16
               : kind == Layouts::wide_batch   ? 256
                                               : 64;
    }

    // The matrix whose rows are the outputs. The transpose is a temporary: only layouts are kept.
    const StoredMatrix& operand() {
        if (side_ == static_cast<int>(Side::rows)) return stored_;
        if (transposed_.row_ptr.empty()) transposed_view_ = transpose(stored_, transposed_);
        return transposed_view_;
    }
    std::int64_t inner() const { return side_ == static_cast<int>(Side::rows) ? stored_.cols : stored_.rows; }
    std::int64_t outer() const { return side_ == static_cast<int>(Side::rows) ? stored_.rows : stored_.cols; }

    const Structure& structure() {
        auto& known = layouts_.structure[side_];
        if (!known) {
            auto found = std::make_unique<Structure>();
            int widest = 0;
            for (const auto& registered : rows_of(&Table::routed, static_cast<int>(isa_levels().size()) - 1))
                widest = std::max(widest, registered.row->window);
            found->routed = find_routed_pattern(operand(), widest);
            found->shared_rows = shared_rows(operand());
            found->square_blocks = found->shared_rows >= block_side && is_blocked(operand());
            found->strips = found->shared_rows >= 4 && is_of_strips(operand());
            found->fits_bf16 = !found->routed.layers.empty() && fits_bf16(operand());
            known = std::move(found);
        }
        return *known;
    }

    // Of this level's widest vectors: narrow weights where they come from beyond L2 and lose nothing, the narrowest
    // window, the most rows of a pattern. Null where the pattern is not for it.
    const RoutedRow* routed_row() {
        const auto all = rows_of(&Table::routed, isa_);
        const RoutedRow* best = nullptr;
        if (stored_.type != Type::f32 || structure().routed.layers.empty()) return best;
        int lanes = 0;
        for (const auto& registered : all) lanes = std::max(lanes, registered.row->lanes);
        const bool narrow = structure().fits_bf16 && nnz_ * sizeof(float) > static_cast<double>(cache_sizes().l2);
        auto rank = [](const RoutedRow& row) {
            return std::make_tuple(row.weights == Weights::bf16, -row.window, row.block_rows);
        };
        for (const auto& registered : all) {
            const RoutedRow& row = *registered.row;
            if (row.lanes != lanes || row.window < structure().routed.width ||
                row.block_rows > structure().shared_rows || (row.weights == Weights::bf16 && !narrow))
                continue;
            if (best == nullptr || rank(row) > rank(*best)) best = &row;
        }
        return best;
    }

    // Rows of the groups that share their columns, of those that the pattern and a micro-kernel have; 0: none. Wide
    // batches take the groups with the widest tiles, others those with the most rows.
    int shared_groups(Layouts::Kind kind) {
        const bool wide = columns_of(kind) >= 64;
        const SpmmRow* best = nullptr;
        auto rank = [&](const SpmmRow& row) {
            return wide ? std::make_tuple(row.tile_cols, row.shared_rows)
                        : std::make_tuple(row.shared_rows, row.tile_cols);
        };
        for (const auto& registered : rows_of(&Table::spmm, isa_)) {
            const SpmmRow& row = *registered.row;
            if (row.type == stored_.type && row.shared_rows > 0 && row.shared_rows <= structure().shared_rows &&
                outer() % row.shared_rows == 0 && (best == nullptr || rank(row) > rank(*best)))
                best = &row;
        }
        return best == nullptr ? 0 : best->shared_rows;
    }

    // Cycles to bring so many bytes from where they stay between products: in L2, beside x and y, or beyond.
    static double streaming(double bytes) {
        return bytes / (bytes > 0.8 * static_cast<double>(cache_sizes().l2) ? 9 : 32);
    }

    double routed_cost(const RoutedRow& row, Layouts::Kind kind) {
        const double n = columns_of(kind), vectors = nnz_ / row.lanes;
        const double registers = static_cast<double>(row.window) / row.lanes;
        const double permute = row.lanes == 4   ? 8
                               : row.lanes == 8 ? (n == 1 ? 2 * registers - 1 : 3 * registers)
                               : registers <= 1 ? 1
                               : registers <= 2 ? 1.5
                                                : 3;
        const double ports = vectors * 0.65 * (1 + permute / row.block_rows);
        const double bytes = nnz_ * ((row.weights == Weights::bf16 ? 2 : 4) + 0.5 / row.block_rows);
        const double together = n < 4 ? 1 : 4;
        // Columns of x and y are contiguous in a batch-major product; otherwise they are transposed, the wider the
        // costlier.
        const double convert = kind == Layouts::batch || kind == Layouts::wide_batch ? 1.2
                               : kind == Layouts::packed_batch || n == 1             ? 0
                                                                                     : 0.6;
        return std::max(ports, streaming(bytes) / together) + convert * static_cast<double>(inner() + outer());
    }

    std::unique_ptr<Choice> start() const {
        auto choice = std::make_unique<Choice>();
        choice->move = strongest_of(&Table::move, isa_, stored_.type).row;
        return choice;
    }

    std::unique_ptr<Choice> routed() {
        const RoutedRow& best = *routed_row();
        auto choice = start();
        auto& built = layouts_.routed[side_];
        auto layout = std::find_if(built.begin(), built.end(), [&](const auto& other) { return other->fits(best); });
        if (layout == built.end())
            layout = built.insert(
                built.end(), std::make_unique<const RoutedLayout>(make_routed(operand(), structure().routed, best)));
        choice->routed = layout->get();
        // Tiles so wide that their part of x leaves L1 pay only where weights come from beyond L2.
        const int widest = choice->routed->bytes() > cache_sizes().l2 ? 8 : 4;
        for (const auto& registered : rows_of(&Table::routed, isa_))
            if (choice->routed->fits(*registered.row) && registered.row->tile_cols <= widest)
                choice->routed_tiles.push_back(registered);
        choice->name = name_of(choice->routed_tiles.back());
        char text[200];
        std::snprintf(
            text, sizeof text, "routed: %zu layers, each from windows of %lld columns, %d row%s to a pattern%s",
            structure().routed.layers.size(), static_cast<long long>(structure().routed.width), best.block_rows,
            best.block_rows == 1 ? "" : "s", best.weights == Weights::bf16 ? ", weights as bfloat16" : "");
        choice->reason = text;
        return choice;
    }

    std::unique_ptr<Choice> strips() {
        auto choice = start();
        choice->strips_row = strongest_of(&Table::strips, isa_, stored_.type);
        auto& layout = layouts_.strips[side_];
        if (!layout) layout = std::make_unique<const StripsLayout>(make_strips(operand()));
        choice->strips = layout.get();
        choice->name = name_of(choice->strips_row);
        choice->reason = "strips: 16 rows to a pattern, its columns four at a time";
        return choice;
    }

    std::unique_ptr<Choice> blocks() {
        auto choice = start();
        choice->blocks_row = strongest_of(&Table::blocks, isa_, stored_.type);
        auto& layout = layouts_.blocks[side_];
        if (!layout) layout = std::make_unique<const BlocksLayout>(make_blocks(operand()));
        choice->blocks = layout.get();
        choice->name = name_of(choice->blocks_row);
        choice->reason = "blocks: whole blocks of 4 x 4, a row's values of x by one load";
        return choice;
    }

    std::unique_ptr<Choice> rows() {
        auto choice = start();
        choice->rows = strongest_of(&Table::rows, isa_, stored_.type);
        choice->name = name_of(choice->rows);
        choice->reason = "stored rows: too few entries per column to pack x for";
        return choice;
    }

    std::unique_ptr<Choice> row_groups(int shared) {
        auto choice = start();
        for (const auto& registered : rows_of(&Table::spmm, isa_)) {
            if (registered.row->type != stored_.type || registered.row->shared_rows != shared) continue;
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
            return row.type == stored_.type && (row.windows == 0 || row.windows == wanted);
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
                      nnz_ > 0 ? 100.0 * static_cast<double>(choice->windows->tile_entries) / nnz_ : 0.0);
        choice->reason = text;
        return choice;
    }

    Layouts& layouts_;
    const StoredMatrix& stored_;
    const int side_;
    const int isa_;
    const double nnz_;
    int lanes_ = 1;
    OwnedCsr transposed_;
    StoredMatrix transposed_view_{};
};

}  // namespace

Matrix::Matrix(const StoredMatrix& stored) : stored_(stored), layouts_(std::make_unique<Layouts>()) {}
Matrix::~Matrix() = default;

Layouts::Kind kind_of(const PlanRequest& request) {
    return request.deterministic            ? Layouts::ordered
           : request.n == 1                 ? Layouts::one_column
           : request.n < least_some_columns ? Layouts::few_columns
           : request.n < least_batch        ? Layouts::some_columns
           : !request.contiguous_rows       ? Layouts::packed_batch
           : request.n < least_wide_batch   ? Layouts::batch
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
