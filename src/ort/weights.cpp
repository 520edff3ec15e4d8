// SPDX-License-Identifier: BSD-3-Clause
#include "ort/weights.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>

#include "pattern/pattern.hpp"

namespace cs::ort {
namespace {

template <class T, class Vector>
void copy(const Tensor& tensor, Vector& to) {
    const T* const from = static_cast<const T*>(tensor.data);
    to.assign(from, from + tensor.shape.sizes[0]);
}

const char* words(const CsrReport& report) {
    switch (report.broken) {
        case CsrRule::none:
            return report.sorted && report.unique ? nullptr : "columns do not ascend within a row";
        case CsrRule::negative_shape:
            return "a negative number of columns";
        case CsrRule::first_pointer:
            return "row_ptr does not begin with 0";
        case CsrRule::pointers_descend:
            return "row_ptr descends";
        case CsrRule::last_pointer:
            return "row_ptr does not end with the number of columns and of values";
        case CsrRule::column_range:
            return "a column is outside of the matrix";
    }
    return "unknown";
}

}  // namespace

Weights::Weights(const LayerInfo& info) : matrix_(read(info)), finish_(info, bias_input, matrix_.stored().rows) {}

StoredMatrix Weights::read(const LayerInfo& info) {
    copy<std::int64_t>(info.constant_input(row_ptr_input, int64_type, "row_ptr"), row_ptr_);
    copy<std::int32_t>(info.constant_input(columns_input, int32_type, "columns"), columns_);
    copy<float>(info.constant_input(values_input, float32_type, "values"), values_);
    const std::int64_t cols = info.integer("input_size");
    if (row_ptr_.empty()) throw std::invalid_argument("weights: row_ptr is empty");
    const auto rows = static_cast<std::int64_t>(row_ptr_.size()) - 1;
    if (cols > std::numeric_limits<std::int32_t>::max() || rows > std::numeric_limits<std::int32_t>::max())
        throw std::invalid_argument("weights of " + std::to_string(rows) + " rows and " + std::to_string(cols) +
                                    " columns: 2**31 - 1 are the most");
    const Pattern<std::int32_t> pattern{rows, cols, row_ptr_.data(), columns_.data()};
    const CsrReport report =
        validate_csr(pattern, static_cast<std::int64_t>(columns_.size()), static_cast<std::int64_t>(values_.size()));
    if (const char* const wrong = words(report))
        throw std::invalid_argument("weights of " + std::to_string(rows) + " rows and " + std::to_string(cols) +
                                    " columns: " + wrong + " (at " + std::to_string(report.at) + ")");
    return {rows, cols, row_ptr_.data(), columns_.data(), values_.data(), Type::f32};
}

Finish::Finish(const LayerInfo& info, std::int64_t bias_input, std::int64_t outputs) {
    if (info.n_inputs() > bias_input) {
        copy<float>(info.constant_input(bias_input, float32_type, "bias"), bias_);
        if (static_cast<std::int64_t>(bias_.size()) != outputs)
            throw std::invalid_argument("bias has " + std::to_string(bias_.size()) + " entries for " +
                                        std::to_string(outputs) + " outputs");
    }
    const std::string name = info.text("activation");
    const auto* const names = std::begin(activation_names.name);
    const auto* const found = std::find_if(names, std::end(activation_names.name), [&](const auto& known) {
        const char* const end = std::find(std::begin(known), std::end(known), '\0');
        return std::equal(std::begin(known), end, name.begin(), name.end());
    });
    if (found == std::end(activation_names.name))
        throw std::invalid_argument("attribute activation is none of: " + std::string(activation_list));
    epilogue_.activation = static_cast<Activation>(found - names);
    epilogue_.parameter = static_cast<double>(info.number("parameter"));
}

}  // namespace cs::ort
