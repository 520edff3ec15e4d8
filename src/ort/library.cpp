// SPDX-License-Identifier: BSD-3-Clause
// RegisterCustomOps: what ONNX Runtime calls of a library of custom operators.
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/parallel.hpp"
#include "ort/kernels.hpp"

namespace cs::ort {
namespace {

constexpr const char* domain_name = "ai.complsparse";
constexpr const char* threads_key = "ai.complsparse.threads";  // a session's entry
constexpr int most_threads = 1024;

using Make = std::unique_ptr<const Kernel> (*)(const Api& api, const KernelInfo* info);

// An operator in sessions of so many threads.
struct Operator : CustomOp {
    const char* name;
    Make make;
    std::vector<ElementType> inputs;
    Characteristic last;  // input: the bias, which may be missing, or as many as there are
    int threads;
};

struct Node {
    const Functions& functions;
    int threads;
    std::unique_ptr<const Kernel> kernel;
};

const Operator& operator_of(const CustomOp* op) { return *static_cast<const Operator*>(op); }

Status* create(const CustomOp* op, const Functions* functions, const KernelInfo* info, void** kernel) {
    return Api::status_of(*functions, [&] {
        const Operator& of = operator_of(op);
        *kernel = new Node{*functions, of.threads, of.make(Api(*functions), info)};
    });
}

void destroy(void* kernel) { delete static_cast<Node*>(kernel); }

// A call, whose loops the threads of its session run.
struct Call {
    const Functions& functions;
    KernelContext* context;
};

void run_in_session(void* runtime, void (*body)(void*, std::size_t), std::size_t n, void* context) {
    const Call& call = *static_cast<const Call*>(runtime);
    // Where it refuses, the caller does all of the loop.
    Api(call.functions).try_call(KernelContext_ParallelFor{}, call.context, body, n, std::size_t{0}, context);
}

Status* compute(void* kernel, KernelContext* context) {
    const Node& node = *static_cast<const Node*>(kernel);
    return Api::status_of(node.functions, [&] {
        Call call{node.functions, context};
        const OnForeignThreads on({run_in_session, &call, node.threads});
        node.kernel->run(Api(node.functions), context);
    });
}

Operator make_operator(const char* name, Make make, std::vector<ElementType> inputs, Characteristic last, int threads) {
    Operator made{};
    made.version = api_version;
    made.GetName = [](const CustomOp* op) { return operator_of(op).name; };
    made.GetExecutionProviderType = [](const CustomOp*) -> const char* { return nullptr; };  // the CPU's
    made.GetInputType = [](const CustomOp* op, std::size_t i) { return operator_of(op).inputs[i]; };
    made.GetInputTypeCount = [](const CustomOp* op) { return operator_of(op).inputs.size(); };
    made.GetOutputType = [](const CustomOp*, std::size_t) { return float32_type; };
    made.GetOutputTypeCount = [](const CustomOp*) { return std::size_t{1}; };
    made.KernelDestroy = destroy;
    made.GetInputCharacteristic = [](const CustomOp* op, std::size_t i) {
        return i + 1 == operator_of(op).inputs.size() ? operator_of(op).last : required_operand;
    };
    made.GetVariadicInputMinArity = [](const CustomOp*) { return 1; };
    made.GetVariadicInputHomogeneity = [](const CustomOp*) { return 0; };  // of several types
    made.GetOutputCharacteristic = [](const CustomOp*, std::size_t) { return required_operand; };
    made.GetInputMemoryType = [](const CustomOp*, std::size_t) { return default_memory; };
    made.CreateKernelV2 = create;
    made.KernelComputeV2 = compute;
    made.GetStartVersion = [](const CustomOp*) { return 1; };
    made.GetEndVersion = [](const CustomOp*) { return 1; };
    made.name = name;
    made.make = make;
    made.inputs = std::move(inputs);
    made.last = last;
    made.threads = threads;
    return made;
}

// The operators of sessions of so many threads, in a domain that these sessions share.
class Domain {
   public:
    Domain(const Api& api, int threads)
        : operators_{make_operator("SparseMatMul", make_product, sparse_inputs, optional_operand, threads),
                     make_operator("SparseConv", make_convolution, sparse_inputs, optional_operand, threads),
                     make_operator("DepthwiseConv", make_depthwise, {float32_type, float32_type, float32_type},
                                   optional_operand, threads),
                     make_operator("ConvChain", make_chain, {float32_type, undefined_type}, variadic_operand, threads),
                     make_operator("DepthToSpace", make_depth_to_space, {float32_type}, required_operand, threads)} {
        api.call(CreateCustomOpDomain{}, domain_name, &domain_);
        for (const Operator& op : operators_)
            api.call(CustomOpDomain_Add{}, domain_, static_cast<const CustomOp*>(&op));
    }

    CustomOpDomain* domain() const { return domain_; }

   private:
    static inline const std::vector<ElementType> sparse_inputs{float32_type, int64_type, int32_type, float32_type,
                                                               float32_type};
    const Operator operators_[5];
    CustomOpDomain* domain_ = nullptr;
};

// What the session's entry says, or as many as there may be.
int threads_of(const Api& api, const SessionOptions* options) {
    int there = 0;
    api.call(HasSessionConfigEntry{}, options, threads_key, &there);
    if (there == 0) return effective_threads();
    std::size_t size = 0;
    api.call(GetSessionConfigEntry{}, options, threads_key, nullptr, &size);
    std::string text(size, '\0');
    api.call(GetSessionConfigEntry{}, options, threads_key, text.data(), &size);
    int threads = 0;
    for (const char c : text) {
        if (c == '\0') break;
        threads = c >= '0' && c <= '9' ? threads * 10 + (c - '0') : most_threads + 1;
        if (threads > most_threads) break;
    }
    if (threads < 1 || threads > most_threads)
        throw std::invalid_argument(std::string(threads_key) + " is not a number from 1 to " +
                                    std::to_string(most_threads));
    return threads;
}

void add_domain(const Api& api, SessionOptions* options) {
    // Never destroyed: sessions may outlive the destructors of a process's end.
    static std::mutex& mutex = *new std::mutex;
    static auto& domains = *new std::map<int, std::unique_ptr<const Domain>>;
    const int threads = threads_of(api, options);
    const std::lock_guard<std::mutex> guard(mutex);
    std::unique_ptr<const Domain>& domain = domains[threads];
    if (domain == nullptr) domain = std::make_unique<const Domain>(api, threads);
    api.call(AddCustomOpDomain{}, options, domain->domain());
}

}  // namespace
}  // namespace cs::ort

extern "C" __attribute__((visibility("default"))) cs::ort::Status* RegisterCustomOps(
    cs::ort::SessionOptions* options, const cs::ort::ApiBase* base) noexcept {
    const cs::ort::Functions* const functions = base->get_api(cs::ort::api_version);
    if (functions == nullptr) return nullptr;  // older than 1.17: it finds none of the operators, and says so
    return cs::ort::Api::status_of(*functions, [&] { cs::ort::add_domain(cs::ort::Api(*functions), options); });
}
