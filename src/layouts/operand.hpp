// SPDX-License-Identifier: BSD-3-Clause
// One side of a matrix as layouts see it: what its products read and write, whichever way round it is stored.
#pragma once

#include <cstdint>

#include "base/views.hpp"
#include "layouts/stored.hpp"

namespace cs {

class Operand {
   public:
    Operand(const StoredMatrix& stored, Side side) : stored_(stored), side_(side) {}
    Operand(const Operand&) = delete;
    Operand& operator=(const Operand&) = delete;

    bool is_stored() const { return side_ == Side::rows; }
    std::int64_t inner() const { return is_stored() ? stored_.cols : stored_.rows; }
    std::int64_t outer() const { return is_stored() ? stored_.rows : stored_.cols; }
    double nnz() const { return static_cast<double>(stored_.nnz()); }
    int value_bytes() const { return bytes_of(stored_.type); }

    // The matrix whose rows are the outputs, and that whose rows are the inputs. One of them is stored; the other is
    // made on first need and lives as long as this: only layouts are kept.
    const StoredMatrix& by_output() { return is_stored() ? stored_ : transposed(); }
    const StoredMatrix& by_input() { return is_stored() ? transposed() : stored_; }

   private:
    const StoredMatrix& transposed() {
        if (owned_.row_ptr.empty()) transposed_ = transpose(stored_, owned_);
        return transposed_;
    }

    const StoredMatrix& stored_;
    const Side side_;
    OwnedCsr owned_;
    StoredMatrix transposed_{};
};

}  // namespace cs
