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

Weights::Weights(const Api& api, const KernelInfo* info)
    : matrix_(read(api, info)), finish_(api, info, bias_input, matrix_.stored().rows) {}

StoredMatrix Weights::read(const Api& api, const KernelInfo* info) {
    copy<std::int64_t>(api.constant_input(info, row_ptr_input, int64_type, "row_ptr"), row_ptr_);
    copy<std::int32_t>(api.constant_input(info, columns_input, int32_type, "columns"), columns_);
    copy<float>(api.constant_input(info, values_input, float32_type, "values"), values_);
    const std::int64_t cols = api.integer(info, "input_size");
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

Finish::Finish(const Api& api, const KernelInfo* info, std::size_t bias_input, std::int64_t outputs) {
    if (api.n_inputs(info) > bias_input) {
        copy<float>(api.constant_input(info, bias_input, float32_type, "bias"), bias_);
        if (static_cast<std::int64_t>(bias_.size()) != outputs)
            throw std::invalid_argument("bias has " + std::to_string(bias_.size()) + " entries for " +
                                        std::to_string(outputs) + " outputs");
    }
    const std::string name = api.text(info, "activation");
    const auto* const names = std::begin(activation_names.name);
    const auto* const found = std::find_if(names, std::end(activation_names.name), [&](const auto& known) {
        const char* const end = std::find(std::begin(known), std::end(known), '\0');
        return std::equal(std::begin(known), end, name.begin(), name.end());
    });
    if (found == std::end(activation_names.name))
        throw std::invalid_argument("attribute activation is none of: " + std::string(activation_list));
    epilogue_.activation = static_cast<Activation>(found - names);
    epilogue_.parameter = static_cast<double>(api.number(info, "parameter"));
}

}  // namespace cs::ort
