// SPDX-License-Identifier: BSD-3-Clause
// SparseConv and DepthwiseConv, and ConvChain: several of them, each of which reads the images that the one before it
// makes. These stay in the cache, and where they are too large for it the layers take bands of rows together.
#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

#include "base/caches.hpp"
#include "base/parallel.hpp"
#include "net/program.hpp"
#include "ops/bound_call.hpp"
#include "ort/image_layers.hpp"
#include "ort/kernels.hpp"
#include "tiles/work.hpp"

namespace cs::ort {
namespace {

using Layers = std::vector<std::unique_ptr<const ImageLayer>>;

// Layers for images of one size.
struct Compiled {
    Compiled(const Layers& layers, const ImagesView& x);

    std::vector<ImagesView> images;  // of x, and of what each layer makes
    std::vector<std::shared_ptr<const Convolution>> convolutions;
    Program program;

   private:
    std::int64_t bytes_of(std::size_t i) const { return images[i].image_stride * std::int64_t{sizeof(float)}; }
    void place();
};

Compiled::Compiled(const Layers& layers, const ImagesView& x) : images{x}, convolutions(layers.size()) {
    for (const auto& layer : layers) images.push_back(layer->outputs(images.back()));
    for (std::size_t i = 0; i < images.size(); ++i) program.new_value(bytes_of(i));
    for (std::size_t i = 0; i < layers.size(); ++i)
        program.add(
            layers[i]->step(images[i], images[i + 1], static_cast<int>(i), static_cast<int>(i) + 1, convolutions[i]));
    program.add_stretch(program.n_steps(), true, x.images);
    place();
}

// Of what lies between two layers one is read while the next is written; what lies between those that take bands of
// rows together has no place.
void Compiled::place() {
    const int last = program.n_steps();
    program.place(0, Memory::outside, 0);
    program.place(last, Memory::outside, 1);
    const std::int64_t cache = cache_sizes().l2;
    const auto joined = [&](int i) {
        return i + 1 < last && program.takes_rows(i) && program.takes_rows(i + 1) &&
               bytes_of(static_cast<std::size_t>(i) + 1) >= cache / 2;
    };
    std::vector<int> placed;
    for (int i = 0; i < last; ++i) {
        const int first = i;
        std::vector<int> between;
        for (; joined(i); ++i) between.push_back(i + 1);
        if (!between.empty()) program.add_chain(first, between, cache / 2);
        if (i + 1 < last) placed.push_back(i + 1);
    }
    std::int64_t room[2]{};
    for (std::size_t i = 0; i < placed.size(); ++i)
        room[i % 2] = std::max(room[i % 2], round_to_lines(bytes_of(static_cast<std::size_t>(placed[i])), 1));
    for (std::size_t i = 0; i < placed.size(); ++i) program.place(placed[i], Memory::sample, i % 2 == 0 ? 0 : room[0]);
    program.set_memory(0, room[0] + room[1]);
}

class ConvolutionsKernel final : public Kernel {
   public:
    explicit ConvolutionsKernel(Layers layers) : layers_(std::move(layers)) {}

    void run(const Api& api, KernelContext* context) const override {
        const ImagesView x = layers_.front()->geometry().images(api.input(context, 0));
        const auto compiled = compiled_.of(x, [&] { return std::make_shared<const Compiled>(layers_, x); });
        void* const y = api.output(context, layers_.back()->geometry().shape(compiled->images.back()));
        unsigned char* const arrays[] = {static_cast<unsigned char*>(x.data), static_cast<unsigned char*>(y)};
        const int threads = effective_threads();
        const Program& program = compiled->program;
        program.run(arrays, workspace_of_thread().at_least(program.memory_bytes(threads)), threads, nullptr);
    }

   private:
    const Layers layers_;
    const BySize<Compiled> compiled_;
};

std::unique_ptr<const Kernel> of_one(std::unique_ptr<const ImageLayer> layer) {
    Layers layers;
    layers.push_back(std::move(layer));
    return std::make_unique<ConvolutionsKernel>(std::move(layers));
}

// Weights of sparse layers are three inputs, filters of others one; a bias is one more.
std::unique_ptr<const ImageLayer> layer_of(const LayerInfo& info) {
    return info.n_inputs() < 3 ? depthwise_layer(info) : sparse_layer(info);
}

}  // namespace

std::unique_ptr<const Kernel> make_convolution(const Api& api, const KernelInfo* info) {
    return of_one(sparse_layer(LayerInfo(api, info)));
}
std::unique_ptr<const Kernel> make_depthwise(const Api& api, const KernelInfo* info) {
    return of_one(depthwise_layer(LayerInfo(api, info)));
}

std::unique_ptr<const Kernel> make_chain(const Api& api, const KernelInfo* info) {
    const auto there = static_cast<std::int64_t>(api.n_inputs(info));
    const std::int64_t n = api.integer(info, "layers");
    if (n < 1 || n >= there)
        throw std::invalid_argument("attribute layers says " + std::to_string(n) + " of " + std::to_string(there) +
                                    " inputs");
    const std::vector<std::int64_t> inputs = api.integers(info, "n_inputs", static_cast<std::size_t>(n));
    Layers layers;
    std::int64_t first = 1;
    for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t own = inputs[static_cast<std::size_t>(i)];
        if (own < 1 || own > 4 || own > there - first)
            throw std::invalid_argument("attribute n_inputs says " + std::to_string(own) + " for a layer, of " +
                                        std::to_string(there - first) + " that are left; 1 to 4 are its own");
        layers.push_back(layer_of(LayerInfo(api, info, "_" + std::to_string(i), {first, own})));
        first += own;
    }
    if (first != there) throw std::invalid_argument("attribute n_inputs adds up to less than the node has");
    for (const auto& layer : layers)
        if (layer->geometry().n_axes() != layers[0]->geometry().n_axes())
            throw std::invalid_argument("layers of a chain have images of as many axes");
    return std::make_unique<ConvolutionsKernel>(std::move(layers));
}

}  // namespace cs::ort
