// SPDX-License-Identifier: BSD-3-Clause
// The weights of a node, which its initializers hold as a CSR matrix with a row for each output; its bias; and what is
// done to its outputs. A model is a file, and files are not trusted: all is checked before it is a matrix.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned.hpp"
#include "base/epilogue.hpp"
#include "layouts/matrix.hpp"
#include "ort/api.hpp"

namespace cs::ort {

// The inputs of a sparse layer, behind what it is applied to.
enum Input : std::int64_t { row_ptr_input, columns_input, values_input, bias_input };

// What is done to outputs: attributes activation and parameter, and a bias if the node has that input.
class Finish {
   public:
    Finish() = default;
    // May throw std::invalid_argument.
    Finish(const LayerInfo& info, std::int64_t bias_input, std::int64_t outputs);

    // Of the bias that lies here.
    Epilogue epilogue() const {
        Epilogue epilogue = epilogue_;
        if (!bias_.empty()) epilogue.bias = bias_.data();
        return epilogue;
    }

   private:
    AlignedVector<float> bias_;
    Epilogue epilogue_{};
};

class Weights {
   public:
    // May throw std::invalid_argument.
    explicit Weights(const LayerInfo& info);

    const Matrix& matrix() const { return matrix_; }
    Epilogue finish() const { return finish_.epilogue(); }

   private:
    StoredMatrix read(const LayerInfo& info);

    std::vector<std::int64_t> row_ptr_;
    std::vector<std::int32_t> columns_;
    AlignedVector<float> values_;
    const Matrix matrix_;
    const Finish finish_;
};

}  // namespace cs::ort
