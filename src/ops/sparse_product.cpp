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
#include "layouts/stored.hpp"
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

// Of a column and a value.
constexpr std::size_t entry_bytes(std::size_t value_bytes) { return value_bytes + sizeof(std::int32_t); }

PerThread<SparseMemory> kept_by_thread;

std::int64_t divided_up(std::int64_t n, std::int64_t by) { return (n + by - 1) / by; }

// The way that costs least for a row of so many products.
Collecting way_of(std::int64_t entries, std::int64_t count, std::int64_t columns, bool b_is_canonical,
                  const SparseRowsRow& kernel) {
    if (entries == 1 && b_is_canonical) return Collecting::scaled;
    if (count * kernel.sums_per_mark >= columns) return Collecting::everywhere;
    const bool in_network = kernel.has_networks && columns <= most_network_columns;
    if (count <= (in_network ? most_in_network : most_sorted)) return Collecting::sorted;
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

template <class T>
const T* values_of(const StoredMatrix& matrix) {
    return static_cast<const T*>(matrix.values);
}

}  // namespace

// The rows of one panel after the other.
template <class T>
class SparseProduct::Worker {
   public:
    void multiply(const StoredMatrix& a, const StoredMatrix& b, bool b_is_canonical, const SparseRowsRow& kernel,
                  std::vector<std::int64_t>& row_ptr, Panel& panel) {
        SparseRowArgs args{};
        args.b_row_ptr = b.row_ptr;
        args.b_columns = b.columns;
        args.b_values = b.values;
        args.b_nnz = b.nnz();
        args.n_words = divided_up(b.cols, 64);
        std::int64_t left = panel.room;
        for (std::int64_t row = panel.first_row; row < panel.last_row; ++row) {
            std::int64_t& count = row_ptr[as_size(row) + 1];
            if (count == 0) continue;
            const std::int64_t first = a.row_ptr[row], most = std::min(count, b.cols);
            args.a_columns = a.columns + first;
            args.a_values = values_of<T>(a) + first;
            args.a_count = a.row_ptr[row + 1] - first;
            args.a_known = a.nnz() - first;
            args.how = way_of(args.a_count, count, b.cols, b_is_canonical, kernel);
            if (args.how > Collecting::sorted) {
                table_.make(args.n_words);
                args.sums = table_.sums.data();
                args.marks = table_.marks.data();
                args.marked_words = table_.marked_words.data();
            }
            Part& part = part_with_room(panel, row, most, left);
            args.columns = part.columns + part.count;
            args.values = part.values + as_size(part.count) * sizeof(T);
            count = kernel.function(args);
            part.count += count;
            left -= most;
        }
    }

   private:
    static Part& part_with_room(Panel& panel, std::int64_t row, std::int64_t most, std::int64_t left) {
        std::vector<Part>& parts = panel.parts;
        if (!parts.empty() && parts.back().room - parts.back().count >= most + written_beyond) return parts.back();
        Part part{row, std::min(left, std::max(most, part_room)) + written_beyond, 0, nullptr, nullptr, {}};
        unsigned char* memory = panel.memory;
        if (memory == nullptr) {
            if (part.room > most_entries) throw std::bad_alloc();
            part.owned.reset(new unsigned char[as_size(part.room) * entry_bytes(sizeof(T))]);
            memory = part.owned.get();
        } else {
            part.room = panel.room + written_beyond;
        }
        part.values = memory;
        part.columns = reinterpret_cast<std::int32_t*>(memory + as_size(part.room) * sizeof(T));
        parts.push_back(std::move(part));
        return parts.back();
    }

    SumTable<T> table_;
};

SparseProduct::SparseProduct(const SparseOperand& a, const SparseOperand& b) : type_(a.matrix.type) {
    OwnedCsr a_owned, b_owned;
    const StoredMatrix left = a.side == Side::rows ? a.matrix : transpose(a.matrix, a_owned);
    const StoredMatrix right = b.side == Side::rows ? b.matrix : transpose(b.matrix, b_owned);
    row_ptr_.assign(as_size(left.rows) + 1, 0);
    count_products(left, right);
    const auto sum = [](double all, std::int64_t more) { return all + static_cast<double>(more); };
    const double work = std::accumulate(row_ptr_.begin(), row_ptr_.end(), 0.0, sum);
    threads_ = choose_threads(cost_of_product * work);
    cut_into_panels(threads_, work, right.cols);
    give_kept_memory();
    dispatch_weights(type_, [&](auto zero) { multiply<decltype(zero)>(left, right, b.canonical); });
    std::partial_sum(row_ptr_.begin(), row_ptr_.end(), row_ptr_.begin());
}

void SparseProduct::count_products(const StoredMatrix& a, const StoredMatrix& b) {
    const int threads = choose_threads(cost_of_product * static_cast<double>(a.nnz()));
    parallel_shares(a.rows, threads, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t row = first; row < last; ++row) {
            std::int64_t count = 0;
            for (std::int64_t i = a.row_ptr[row]; i < a.row_ptr[row + 1]; ++i)
                count += b.row_ptr[a.columns[i] + 1] - b.row_ptr[a.columns[i]];
            row_ptr_[as_size(row) + 1] = count;
        }
    });
}

void SparseProduct::cut_into_panels(int threads, double work, std::int64_t columns) {
    const auto rows = static_cast<std::int64_t>(row_ptr_.size()) - 1;
    const double share = threads == 1 ? work : work / (8.0 * threads);
    double done = 0;
    std::int64_t room = 0;
    for (std::int64_t first = 0, row = 0; row < rows;) {
        const std::int64_t count = row_ptr_[as_size(++row)];
        done += static_cast<double>(count);
        room += std::min(count, columns);
        if (row < rows && (threads == 1 || done < share)) continue;
        panels_.push_back({first, row, room, nullptr, {}});
        first = row;
        done = 0;
        room = 0;
    }
}

// Where the entries surely fit memory that is kept between products, it is used: fresh memory costs a page fault every
// 4 KiB, which takes longer than the entries in it.
void SparseProduct::give_kept_memory() {
    const std::size_t entry = entry_bytes(as_size(bytes_of(type_)));
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
        panel.memory = memory;
        memory += (as_size(panel.room + written_beyond) * entry + cache_line - 1) / cache_line * cache_line;
    }
}

SparseProduct::~SparseProduct() {
    SparseMemory* const kept = kept_by_thread.find();
    if (kept != nullptr && kept_.bytes > kept->bytes) *kept = std::move(kept_);
}

template <class T>
void SparseProduct::multiply(const StoredMatrix& a, const StoredMatrix& b, bool b_is_canonical) {
    const SparseRowsRow& kernel = *strongest_of(&Table::sparse_rows, usable_levels(), type_).row;
    std::vector<Worker<T>> workers(as_size(threads_));
    std::atomic<bool> failed{false};  // an exception must not leave a thread
    auto panel = [&](std::int64_t at, int worker) {
        if (failed.load(std::memory_order_relaxed)) return;
        try {
            workers[as_size(worker)].multiply(a, b, b_is_canonical, kernel, row_ptr_, panels_[as_size(at)]);
        } catch (const std::bad_alloc&) {
            failed.store(true, std::memory_order_relaxed);
        }
    };
    parallel_for(static_cast<std::int64_t>(panels_.size()), threads_, panel);
    if (failed.load(std::memory_order_relaxed)) throw std::bad_alloc();
}

template <class Index>
void SparseProduct::copy_to(Index* row_ptr, Index* columns, void* values) const {
    std::transform(row_ptr_.begin(), row_ptr_.end(), row_ptr, [](std::int64_t at) { return static_cast<Index>(at); });
    const std::int64_t width = bytes_of(type_);
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
