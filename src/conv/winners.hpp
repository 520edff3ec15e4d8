// SPDX-License-Identifier: BSD-3-Clause
// Convolutions of winners: over the channels of every pixel, or over a whole image.
#pragma once

#include <memory>
#include <optional>

#include "conv/convolution.hpp"

namespace cs {

struct WinnersCost {
    double each, fixed;  // cycles: of a winner; of an image
};
// Nothing where winners have to be written out.
std::optional<WinnersCost> winners_cost(const Matrix& matrix, const ConvShape& shape, bool of_image);
// Takes operands with winners, and no x, where winners_cost() gave a figure. Their vectors are pixels, image after
// image, row after row; or images (of_image), whose indices count channels and pixels in the order in which they lie
// (ConvShape::channels_last).
std::unique_ptr<const Convolution> make_scatter(const Matrix& matrix, const ConvShape& shape, bool of_image);

}  // namespace cs
