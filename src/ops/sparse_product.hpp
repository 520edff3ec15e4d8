// SPDX-License-Identifier: BSD-3-Clause
// The product of two sparse matrices as a sparse matrix.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/views.hpp"

namespace cs {

// One side of a matrix whose columns may stand in any order within a row, and several times, unless it is canonical.
struct SparseOperand {
    StoredMatrix matrix;
    Side side;
    bool canonical;
};

// Memory of a product's entries.
struct SparseMemory {
    std::unique_ptr<unsigned char[]> memory;
    std::size_t bytes = 0;
};

// A B of one type, row by row. Its columns ascend; sums that are zero are no entries. O(rows + products + B's columns).
// The entries lie in parts until copy_to() brings them together: nobody knows beforehand how many there will be.
class SparseProduct {
   public:
    SparseProduct(const SparseOperand& a, const SparseOperand& b);  // may throw std::bad_alloc
    ~SparseProduct();
    SparseProduct(const SparseProduct&) = delete;
    SparseProduct& operator=(const SparseProduct&) = delete;

    std::int64_t nnz() const { return row_ptr_.back(); }
    // The arrays of a CSR matrix. Index is std::int32_t, where the columns and nnz() fit it, or std::int64_t.
    template <class Index>
    void copy_to(Index* row_ptr, Index* columns, void* values) const;

   private:
    // Entries of neighbouring rows, in memory that nobody has touched before them.
    struct Part {
        std::int64_t first_row, room, count;
        std::int32_t* columns;
        unsigned char* values;
        std::unique_ptr<unsigned char[]> owned;  // the memory, unless it is the panel's
    };
    // Neighbouring rows, the work of one thread; room for all their entries and memory for that, or none.
    struct Panel {
        std::int64_t first_row, last_row, room;
        unsigned char* memory;
        std::vector<Part> parts;
    };

    template <class T>
    void multiply(const StoredMatrix& a, const StoredMatrix& b, bool b_is_canonical);
    void count_products(const StoredMatrix& a, const StoredMatrix& b);
    void cut_into_panels(int threads, double work, std::int64_t columns);
    void give_kept_memory();
    template <class T>
    class Worker;

    Type type_;
    int threads_;
    std::vector<std::int64_t> row_ptr_;  // until the sums are there, each row's number of products
    std::vector<Panel> panels_;
    SparseMemory kept_;
};

}  // namespace cs
