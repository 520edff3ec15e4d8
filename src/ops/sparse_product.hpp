// SPDX-License-Identifier: BSD-3-Clause
// The product of two sparse matrices as a sparse matrix.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/views.hpp"
#include "layouts/stored.hpp"

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
// Nobody knows beforehand how many entries there will be, only that there are no more than products. The operands'
// arrays must stay until it is multiplied, once.
class SparseProduct {
   public:
    SparseProduct(const SparseOperand& a, const SparseOperand& b);  // may throw std::bad_alloc
    ~SparseProduct();
    SparseProduct(const SparseProduct&) = delete;
    SparseProduct& operator=(const SparseProduct&) = delete;

    // How many entries there must be room for where the product is to be written at once where it stays; 0 where it
    // is not: threads do not know where their rows begin, and much memory is not asked for in the hope of few products
    // of one column.
    std::int64_t room_in_place() const;
    void multiply_in_place(std::int32_t* columns, void* values);
    // Entries lie in parts until copy_to() brings them together.
    void multiply();  // may throw std::bad_alloc

    std::int64_t nnz() const { return row_ptr_.back(); }
    // The arrays of a CSR matrix, or its row pointers alone. Index is std::int32_t, where the columns and nnz() fit it,
    // or std::int64_t.
    template <class Index>
    void copy_to(Index* row_ptr, Index* columns, void* values) const;
    template <class Index>
    void copy_to(Index* row_ptr) const;

   private:
    // Entries of neighbouring rows, in memory that nobody has touched before them.
    struct Part {
        std::int64_t first_row, room, count;
        std::int32_t* columns;
        unsigned char* values;
        std::unique_ptr<unsigned char[]> owned;  // the memory, unless somebody else's
    };
    // Neighbouring rows, the work of one thread; room for all their entries, and the part that is that room if it is
    // there from the beginning.
    struct Panel {
        std::int64_t first_row, last_row, room;
        std::vector<Part> parts;
    };

    std::size_t value_bytes() const { return static_cast<std::size_t>(bytes_of(a_.type)); }
    void count_products();
    void cut_into_panels(std::int64_t in_all);
    void give_kept_memory();
    void multiply_panels();
    template <class T>
    class Worker;

    OwnedCsr a_owned_, b_owned_;
    StoredMatrix a_, b_;
    bool b_is_canonical_;
    int threads_;
    std::vector<std::int64_t> row_ptr_;  // until the sums are there, each row's number of products
    std::vector<Panel> panels_;
    SparseMemory kept_;
};

}  // namespace cs
