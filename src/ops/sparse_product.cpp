// SPDX-License-Identifier: BSD-3-Clause
#include "ops/sparse_product.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <numeric>

#include "base/isa.hpp"
#include "base/per_thread.hpp"
#include "base/sizes.hpp"
#include "kernels/names.hpp"
#include "kernels/sparse_rows.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

// Multiplications of a dense product that take as long as one product here.
constexpr double cost_of_product = 8;
// Entries of a part, unless a row needs more: a few pages of each array.
constexpr std::int64_t part_room = 65536;
// Of a part, whose bytes can then be counted.
constexpr std::int64_t most_entries = std::int64_t{1} << 48;
constexpr std::int64_t most_kept_bytes = std::int64_t{16} << 20;
// Of a result's arrays before it is known how much of them there is.
constexpr std::int64_t most_in_place_bytes = std::int64_t{128} << 20;

// Of a column and a value.
constexpr std::size_t entry_bytes(std::size_t value_bytes) { return value_bytes + sizeof(std::int32_t); }

PerThread<SparseMemory> kept_by_thread;

std::int64_t divided_up(std::int64_t n, std::int64_t by) { return (n + by - 1) / by; }

// Rows of fewer products are short.
std::int64_t short_below(std::int64_t columns, const SparseRowsRow& kernel) {
    const bool in_network = kernel.has_networks && columns <= most_network_columns;
    const int most = in_network ? most_in_network : most_sorted;
    return std::min<std::int64_t>(most + 1, divided_up(columns, kernel.sums_per_mark));
}

// The way that costs least for another row of so many products.
Collecting way_of(std::int64_t entries, std::int64_t count, std::int64_t columns, bool b_is_canonical,
                  const SparseRowsRow& kernel) {
    if (entries == 1 && b_is_canonical) return Collecting::scaled;
    if (count * kernel.sums_per_mark >= columns) return Collecting::everywhere;
    return columns <= 128 * count ? Collecting::marked : Collecting::marked_twice;
}

// Sums and marks of one thread: all zero between rows, and there once the first row needs them.
template <class T>
struct SumTable {
    AlignedVector<T> sums;
    std::vector<std::uint64_t> marks, marked_words;

    void make(std::int64_t words) {
        if (!sums.empty()) return;
        marks.resize(as_size(words));
        marked_words.resize(as_size(divided_up(words, 64)));
        sums.resize(as_size(words * 64));
    }
};

// Of a part whose values begin its memory.
std::int32_t* columns_behind(unsigned char* values, std::int64_t room, std::size_t value_bytes) {
    return reinterpret_cast<std::int32_t*>(values + as_size(room) * value_bytes);
}

}  // namespace

// The rows of one panel after the other.
template <class T>
class SparseProduct::Worker {
   public:
    Worker(const SparseProduct& product, const SparseRowsRow& kernel)
        : a_(product.a_),
          b_(product.b_),
          b_is_canonical_(product.b_is_canonical_),
          kernel_(kernel),
          short_below_(short_below(b_.cols, kernel)) {
        args_.b_row_ptr = b_.row_ptr;
        args_.b_columns = b_.columns;
        args_.b_values = b_.values;
        args_.b_nnz = b_.nnz();
        args_.n_words = divided_up(b_.cols, 64);
    }

    void multiply(std::vector<std::int64_t>& row_ptr, Panel& panel) {
        std::int64_t left = panel.room;
        for (std::int64_t row = panel.first_row; row < panel.last_row;) {
            std::int64_t* const counts = row_ptr.data() + row + 1;
            const std::int64_t rows_left = panel.last_row - row;
            std::int64_t short_rows = 0, their_products = 0;
            while (short_rows < rows_left && counts[short_rows] < short_below_ && their_products < part_room)
                their_products += counts[short_rows++];
            const std::int64_t rows = std::max<std::int64_t>(short_rows, 1);
            const std::int64_t most = short_rows > 0 ? their_products : std::min(counts[0], b_.cols);
            if (most > 0) {
                Part& part = part_with_room(panel, row, most, left);
                begin(row, part);
                if (short_rows > 0)
                    part.count += kernel_.short_rows(args_, a_.row_ptr + row, counts, short_rows);
                else
                    part.count += counts[0] = one_row(row, counts[0]);
            }
            left -= most;
            row += rows;
        }
    }

   private:
    void begin(std::int64_t row, const Part& part) {
        const std::int64_t first = a_.row_ptr[row];
        args_.a_columns = a_.columns + first;
        args_.a_values = static_cast<const T*>(a_.values) + first;
        args_.a_known = a_.nnz() - first;
        args_.columns = part.columns + part.count;
        args_.values = part.values + as_size(part.count) * sizeof(T);
    }

    std::int64_t one_row(std::int64_t row, std::int64_t count) {
        args_.a_count = a_.row_ptr[row + 1] - a_.row_ptr[row];
        args_.how = way_of(args_.a_count, count, b_.cols, b_is_canonical_, kernel_);
        if (args_.how != Collecting::scaled) {
            table_.make(args_.n_words);
            args_.sums = table_.sums.data();
            args_.marks = table_.marks.data();
            args_.marked_words = table_.marked_words.data();
        }
        return kernel_.function(args_);
    }

    static Part& part_with_room(Panel& panel, std::int64_t row, std::int64_t most, std::int64_t left) {
        std::vector<Part>& parts = panel.parts;
        if (!parts.empty() && parts.back().room - parts.back().count >= most + written_beyond) return parts.back();
        Part part{row, std::min(left, std::max(most, part_room)) + written_beyond, 0, nullptr, nullptr, {}};
        if (part.room > most_entries) throw std::bad_alloc();
        part.owned.reset(new unsigned char[as_size(part.room) * entry_bytes(sizeof(T))]);
        part.values = part.owned.get();
        part.columns = columns_behind(part.values, part.room, sizeof(T));
        parts.push_back(std::move(part));
        return parts.back();
    }

    const StoredMatrix &a_, &b_;
    const bool b_is_canonical_;
    const SparseRowsRow& kernel_;
    const std::int64_t short_below_;
    SparseRowArgs args_{};
    SumTable<T> table_;
};

SparseProduct::SparseProduct(const SparseOperand& a, const SparseOperand& b)
    : a_(a.side == Side::rows ? a.matrix : transpose(a.matrix, a_owned_)),
      b_(b.side == Side::rows ? b.matrix : transpose(b.matrix, b_owned_)),
      b_is_canonical_(b.canonical) {
    row_ptr_.assign(as_size(a_.rows) + 1, 0);
    count_products();
    const std::int64_t in_all = std::accumulate(row_ptr_.begin(), row_ptr_.end(), std::int64_t{0});
    threads_ = choose_threads(cost_of_product * static_cast<double>(in_all));
    cut_into_panels(in_all);
}

void SparseProduct::count_products() {
    const int threads = choose_threads(cost_of_product * static_cast<double>(a_.nnz()));
    parallel_shares(a_.rows, threads, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t row = first; row < last; ++row) {
            std::int64_t count = 0;
            for (std::int64_t i = a_.row_ptr[row]; i < a_.row_ptr[row + 1]; ++i)
                count += b_.row_ptr[a_.columns[i] + 1] - b_.row_ptr[a_.columns[i]];
            row_ptr_[as_size(row) + 1] = count;
        }
    });
}

void SparseProduct::cut_into_panels(std::int64_t in_all) {
    const std::int64_t share = threads_ == 1 ? in_all : in_all / (8 * threads_);
    std::int64_t done = 0, room = 0;
    for (std::int64_t first = 0, row = 0; row < a_.rows;) {
        const std::int64_t count = row_ptr_[as_size(++row)];
        done += count;
        room += std::min(count, b_.cols);
        if (row < a_.rows && (threads_ == 1 || done < share)) continue;
        panels_.push_back({first, row, room, {}});
        first = row;
        done = 0;
        room = 0;
    }
}

std::int64_t SparseProduct::room_in_place() const {
    if (panels_.size() != 1) return 0;
    const std::int64_t room = panels_[0].room + written_beyond;
    return room <= most_in_place_bytes / static_cast<std::int64_t>(entry_bytes(value_bytes())) ? room : 0;
}

void SparseProduct::multiply_in_place(std::int32_t* columns, void* values) {
    panels_[0].parts.push_back({0, room_in_place(), 0, columns, static_cast<unsigned char*>(values), {}});
    multiply_panels();
}

void SparseProduct::multiply() {
    give_kept_memory();
    multiply_panels();
}

// Where the entries surely fit memory that is kept between products, it is used: fresh memory costs a page fault every
// 4 KiB, which takes longer than the entries in it.
void SparseProduct::give_kept_memory() {
    const std::size_t entry = entry_bytes(value_bytes());
    std::int64_t room = 0;
    for (const Panel& panel : panels_) {
        if (panel.room > most_kept_bytes) return;
        room += panel.room + written_beyond;
        if (as_size(room) * entry > as_size(most_kept_bytes)) return;
    }
    SparseMemory& kept = kept_by_thread.get();
    kept_ = std::move(kept);
    kept = {};
    const std::size_t bytes = as_size(room) * entry + cache_line * panels_.size();
    if (kept_.bytes < bytes) kept_ = {std::unique_ptr<unsigned char[]>(new unsigned char[bytes]), bytes};
    unsigned char* memory = kept_.memory.get();
    for (Panel& panel : panels_) {
        const std::int64_t own = panel.room + written_beyond;
        panel.parts.push_back({panel.first_row, own, 0, columns_behind(memory, own, value_bytes()), memory, {}});
        memory += (as_size(own) * entry + cache_line - 1) / cache_line * cache_line;
    }
}

SparseProduct::~SparseProduct() {
    SparseMemory* const kept = kept_by_thread.find();
    if (kept != nullptr && kept_.bytes > kept->bytes) *kept = std::move(kept_);
}

void SparseProduct::multiply_panels() {
    const SparseRowsRow& kernel = *strongest_of(&Table::sparse_rows, usable_levels(), a_.type).row;
    std::atomic<bool> failed{false};  // an exception must not leave a thread
    dispatch_weights(a_.type, [&](auto zero) {
        std::vector<Worker<decltype(zero)>> workers(as_size(threads_), {*this, kernel});
        auto panel = [&](std::int64_t at, int worker) {
            if (failed.load(std::memory_order_relaxed)) return;
            try {
                workers[as_size(worker)].multiply(row_ptr_, panels_[as_size(at)]);
            } catch (const std::bad_alloc&) {
                failed.store(true, std::memory_order_relaxed);
            }
        };
        parallel_for(static_cast<std::int64_t>(panels_.size()), threads_, panel);
    });
    if (failed.load(std::memory_order_relaxed)) throw std::bad_alloc();
    std::partial_sum(row_ptr_.begin(), row_ptr_.end(), row_ptr_.begin());
}

template <class Index>
void SparseProduct::copy_to(Index* row_ptr) const {
    std::transform(row_ptr_.begin(), row_ptr_.end(), row_ptr, [](std::int64_t at) { return static_cast<Index>(at); });
}
template void SparseProduct::copy_to(std::int32_t*) const;
template void SparseProduct::copy_to(std::int64_t*) const;

template <class Index>
void SparseProduct::copy_to(Index* row_ptr, Index* columns, void* values) const {
    copy_to(row_ptr);
    const auto width = static_cast<std::int64_t>(value_bytes());
    auto panel = [&](std::int64_t at, int) {
        for (const Part& part : panels_[as_size(at)].parts) {
            const std::int64_t to = row_ptr_[as_size(part.first_row)];
            std::copy_n(part.columns, part.count, columns + to);
            std::memcpy(static_cast<unsigned char*>(values) + to * width, part.values, as_size(part.count * width));
        }
    };
    parallel_for(static_cast<std::int64_t>(panels_.size()), threads_, panel);
}
template void SparseProduct::copy_to(std::int32_t*, std::int32_t*, void*) const;
template void SparseProduct::copy_to(std::int64_t*, std::int64_t*, void*) const;

RowName row_name(const SparseRowsRow& row) { return {"spgemm", "stored_rows", name_of(row.type), "", 1, 0}; }

}  // namespace cs
