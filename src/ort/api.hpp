// SPDX-License-Identifier: BSD-3-Clause
// ONNX Runtime's functions with exceptions for failures, and tensors and attributes as we read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "ort/abi.hpp"
#include "tiles/source.hpp"

namespace cs::ort {

inline constexpr std::size_t most_axes = 8;

struct Shape {
    std::int64_t sizes[most_axes];
    std::size_t axes;
};

// What a tensor holds lies in the runtime's memory.
struct Tensor {
    ElementType type;
    Shape shape;
    void* data;
};

class Api {
   public:
    explicit Api(const Functions& functions) : functions_(functions) {}

    // Throws std::runtime_error with the runtime's words.
    template <int place, class... Arguments, class... Given>
    void call(Function<place, Arguments...>, Given... given) const {
        check(reinterpret_cast<typename Function<place, Arguments...>::Pointer>(functions_.at[place])(given...));
    }

    // Whether it went well.
    template <int place, class... Arguments, class... Given>
    bool try_call(Function<place, Arguments...>, Given... given) const noexcept {
        Status* const status =
            reinterpret_cast<typename Function<place, Arguments...>::Pointer>(functions_.at[place])(given...);
        if (status != nullptr) release(status);
        return status == nullptr;
    }

    Tensor tensor(const Value* value) const;
    Tensor input(const KernelContext* context, std::size_t i) const;
    void* output(KernelContext* context, const Shape& shape) const;

    // Of a node, while its kernel is created.
    std::size_t n_inputs(const KernelInfo* info) const;
    Tensor constant_input(const KernelInfo* info, std::size_t i, ElementType type, const char* name) const;
    std::int64_t integer(const KernelInfo* info, const char* name) const;
    std::vector<std::int64_t> integers(const KernelInfo* info, const char* name, std::size_t length) const;
    float number(const KernelInfo* info, const char* name) const;
    std::string text(const KernelInfo* info, const char* name) const;

    // For the runtime, which knows no exceptions: null where body() did not throw.
    template <class Body>
    static Status* status_of(const Functions& functions, Body body) noexcept {
        try {
            body();
            return nullptr;
        } catch (const std::invalid_argument& error) {
            return status(functions, invalid_argument, error.what());
        } catch (const std::exception& error) {
            return status(functions, runtime_exception, error.what());
        }
    }

   private:
    // call() for an attribute of this name, which the runtime's words leave out.
    template <class Of, class... Given>
    void attribute(Of function, const KernelInfo* info, const char* name, Given... given) const {
        try {
            call(function, info, name, given...);
        } catch (const std::runtime_error& error) {
            throw std::invalid_argument("attribute " + std::string(name) + ": " + error.what());
        }
    }
    void check(Status* status) const;
    void release(Status* status) const noexcept {
        reinterpret_cast<ReleaseStatusPointer>(functions_.at[ReleaseStatus])(status);
    }
    static Status* status(const Functions& functions, ErrorCode code, const char* text) noexcept {
        return reinterpret_cast<CreateStatusPointer>(functions.at[CreateStatus])(code, text);
    }

    const Functions& functions_;
};

// What a node says of one of its layers: attributes whose names end in a suffix, and some of the inputs behind x. May
// throw std::invalid_argument.
class LayerInfo {
   public:
    // Of the only layer of a node.
    LayerInfo(const Api& api, const KernelInfo* info)
        : LayerInfo(api, info, std::string(), {1, static_cast<std::int64_t>(api.n_inputs(info)) - 1}) {}
    LayerInfo(const Api& api, const KernelInfo* info, std::string suffix, Range inputs)
        : api_(api), info_(info), suffix_(std::move(suffix)), inputs_(inputs) {}

    std::int64_t n_inputs() const { return inputs_.count; }
    Tensor constant_input(std::int64_t i, ElementType type, const char* name) const {
        return api_.constant_input(info_, static_cast<std::size_t>(inputs_.first + i), type, name);
    }
    std::int64_t integer(const char* name) const { return api_.integer(info_, named(name).c_str()); }
    std::vector<std::int64_t> integers(const char* name, std::size_t length) const {
        return api_.integers(info_, named(name).c_str(), length);
    }
    float number(const char* name) const { return api_.number(info_, named(name).c_str()); }
    std::string text(const char* name) const { return api_.text(info_, named(name).c_str()); }

   private:
    std::string named(const char* name) const { return name + suffix_; }

    const Api& api_;
    const KernelInfo* const info_;
    const std::string suffix_;
    const Range inputs_;
};

}  // namespace cs::ort
