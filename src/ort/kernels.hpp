// SPDX-License-Identifier: BSD-3-Clause
// The operators of the domain ai.complsparse (docs/guide/inside-onnx-runtime.md).
#pragma once

#include <memory>

#include "ort/api.hpp"

namespace cs::ort {

// A node of a model, packed. Called from several threads at a time.
class Kernel {
   public:
    virtual ~Kernel() = default;
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;
    virtual void run(const Api& api, KernelContext* context) const = 0;

   protected:
    Kernel() = default;
};

// May throw std::invalid_argument: attributes and weights are a file's.
std::unique_ptr<const Kernel> make_product(const Api& api, const KernelInfo* info);
std::unique_ptr<const Kernel> make_convolution(const Api& api, const KernelInfo* info);
std::unique_ptr<const Kernel> make_depthwise(const Api& api, const KernelInfo* info);
std::unique_ptr<const Kernel> make_chain(const Api& api, const KernelInfo* info);
std::unique_ptr<const Kernel> make_depth_to_space(const Api& api, const KernelInfo* info);

}  // namespace cs::ort
