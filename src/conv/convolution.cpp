// SPDX-License-Identifier: BSD-3-Clause
#include "conv/convolution.hpp"

#include <algorithm>
#include <mutex>

#include "conv/ways.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

struct ConvOption {
    const ConvWay* way;
    double cost;
};

std::vector<ConvOption> options(Subject& subject, const ConvShape& shape) {
    std::vector<ConvOption> found;
    for (const ConvWay* way : conv_ways())
        if (const auto cost = way->cost(subject, shape)) found.push_back({way, *cost});
    std::stable_sort(found.begin(), found.end(),
                     [](const ConvOption& a, const ConvOption& b) { return a.cost < b.cost; });
    return found;
}

}  // namespace

const std::vector<const ConvWay*>& conv_ways() {
    static const std::vector<const ConvWay*> ways{&products_way,      &in_place_way,     &planes_way,
                                                  &routed_pixels_way, &filter_lanes_way, &quads_way};
    return ways;
}

double Convolution::work(std::int64_t images) const {
    const Sliding& s = sliding();
    const double nnz = static_cast<double>(matrix_.stored().nnz());
    const double outputs = static_cast<double>(matrix_.stored().rows * s.pixels());
    const double inputs = static_cast<double>(shape_.channels * shape_.height * shape_.width);
    return (nnz * static_cast<double>(s.pixels()) + inputs + outputs) * static_cast<double>(images);
}

double Convolution::work_of_winners(double winners, std::int64_t images) const {
    const double of_channel =
        static_cast<double>(matrix_.stored().nnz()) / static_cast<double>(std::max<std::int64_t>(1, shape_.channels));
    return cost_by_winner * of_channel * winners +
           static_cast<double>(matrix_.stored().rows * sliding().pixels() * images);
}

int Convolution::threads_for(const ConvOperands& operands) const {
    if (operands.winners == nullptr) return choose_threads(work(operands.y.images));
    const WinnersView& w = *operands.winners;
    return choose_threads(work_of_winners(static_cast<double>(w.starts[w.vectors] - w.starts[0]), operands.y.images));
}

std::vector<ConvCandidate> conv_candidates(const Matrix& matrix, const ConvShape& shape) {
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    Subject subject(matrix, Side::rows, shape.types);
    std::vector<ConvCandidate> found;
    for (const ConvOption& option : options(subject, shape)) found.push_back({option.way->name, option.cost});
    return found;
}

std::unique_ptr<const Convolution> make_convolution(const Matrix& matrix, const ConvShape& shape, int candidate) {
    const ConvWay* way = nullptr;
    {
        const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
        Subject subject(matrix, Side::rows, shape.types);
        way = options(subject, shape).at(candidate < 0 ? 0 : static_cast<std::size_t>(candidate)).way;
    }
    return way->build(matrix, shape);
}

}  // namespace cs
