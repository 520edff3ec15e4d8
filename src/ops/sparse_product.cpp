// SPDX-License-Identifier: BSD-3-Clause
#include "ops/sparse_product.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <numeric>

#include "base/isa.hpp"
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
std::int64_t divided_up(std::int64_t n, std::int64_t by) { return (n + by - 1) / by; }

// The way that costs least for a row of so many products. A sum that is looked at costs a fifteenth of a product in
// order; a word of marks costs two, a mark of a word one.
Collecting way_of(std::int64_t entries, std::int64_t count, std::int64_t columns, bool b_is_canonical) {
    if (entries == 1 && b_is_canonical) return Collecting::scaled;
    if (count * 16 >= columns) return Collecting::everywhere;
    if (count <= most_sorted) return Collecting::sorted;
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
    void multiply(const StoredMatrix& a, const StoredMatrix& b, bool b_is_canonical, SparseRowFunction function,
                  std::vector<std::int64_t>& row_ptr, Panel& panel) {
        SparseRowArgs args{};
        args.b_row_ptr = b.row_ptr;
        args.b_columns = b.columns;
        args.b_values = b.values;
        args.b_nnz = b.nnz();
        args.n_words = divided_up(b.cols, 64);
        std::int64_t left = 0;  // room that the rest of the panel needs at most
        for (std::int64_t row = panel.first_row; row < panel.last_row; ++row)
            left += std::min(row_ptr[as_size(row) + 1], b.cols);
        for (std::int64_t row = panel.first_row; row < panel.last_row; ++row) {
            std::int64_t& count = row_ptr[as_size(row) + 1];
            if (count == 0) continue;
            const std::int64_t first = a.row_ptr[row], most = std::min(count, b.cols);
            args.a_columns = a.columns + first;
            args.a_values = values_of<T>(a) + first;
            args.a_count = a.row_ptr[row + 1] - first;
            args.how = way_of(args.a_count, count, b.cols, b_is_canonical);
            if (args.how > Collecting::sorted) {
                table_.make(args.n_words);
                args.sums = table_.sums.data();
                args.marks = table_.marks.data();
                args.marked_words = table_.marked_words.data();
            }
            Part& part = part_with_room(panel.parts, row, most, left);
            args.columns = part.columns.get() + part.count;
            args.values = part.values.get() + as_size(part.count) * sizeof(T);
            count = function(args);
            part.count += count;
            left -= most;
        }
    }

   private:
    static Part& part_with_room(std::vector<Part>& parts, std::int64_t row, std::int64_t most, std::int64_t left) {
        if (parts.empty() || parts.back().room - parts.back().count < most + written_beyond) {
            const std::int64_t room = std::min(left, std::max(most, part_room)) + written_beyond;
            const std::size_t n = as_size(room);
            if (n > static_cast<std::size_t>(-1) / 2 / sizeof(T)) throw std::bad_alloc();
            parts.push_back({row, room, 0, std::unique_ptr<std::int32_t[]>(new std::int32_t[n]),
                             std::unique_ptr<unsigned char[]>(new unsigned char[n * sizeof(T)])});
        }
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
    cut_into_panels(threads_, work);
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

void SparseProduct::cut_into_panels(int threads, double work) {
    const auto rows = static_cast<std::int64_t>(row_ptr_.size()) - 1;
    const double share = threads == 1 ? work : work / (8.0 * threads);
    double done = 0;
    for (std::int64_t first = 0, row = 0; row < rows;) {
        done += static_cast<double>(row_ptr_[as_size(++row)]);
        if (row < rows && (threads == 1 || done < share)) continue;
        panels_.push_back({first, row, {}});
        first = row;
        done = 0;
    }
}

template <class T>
void SparseProduct::multiply(const StoredMatrix& a, const StoredMatrix& b, bool b_is_canonical) {
    const SparseRowFunction function = strongest_of(&cs::Table::sparse_rows, usable_levels(), type_).row->function;
    std::vector<Worker<T>> workers(as_size(threads_));
    std::atomic<bool> failed{false};  // an exception must not leave a thread
    auto panel = [&](std::int64_t at, int worker) {
        if (failed.load(std::memory_order_relaxed)) return;
        try {
            workers[as_size(worker)].multiply(a, b, b_is_canonical, function, row_ptr_, panels_[as_size(at)]);
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
            std::copy_n(part.columns.get(), part.count, columns + to);
            std::memcpy(static_cast<unsigned char*>(values) + to * width, part.values.get(),
                        as_size(part.count * width));
        }
    };
    parallel_for(static_cast<std::int64_t>(panels_.size()), threads_, panel);
}
template void SparseProduct::copy_to(std::int32_t*, std::int32_t*, void*) const;
template void SparseProduct::copy_to(std::int64_t*, std::int64_t*, void*) const;

RowName row_name(const SparseRowsRow& row) { return {"spspmm", "rows", name_of(row.type), "", 1, 0}; }

}  // namespace cs
