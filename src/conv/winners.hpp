// SPDX-License-Identifier: BSD-3-Clause
// Convolutions of winners: over the channels of every pixel, or over a whole image.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "conv/convolution.hpp"

namespace cs {

// Takes operands with winners, and no x: their vectors are pixels, image after image, row after row, or images.
class WinnersConvolution : public Convolution {
   public:
    void set_of_image(bool of_image) { of_image_ = of_image; }

   protected:
    WinnersConvolution(const Matrix& matrix, const ConvShape& shape, std::string name, std::string reason)
        : Convolution(matrix, shape, std::move(name), std::move(reason)) {}

    // Whether indices count channels and pixels of an image, in the order in which it lies (ConvShape::channels_last).
    bool of_image() const { return of_image_; }

   private:
    bool of_image_ = false;
};

struct WinnersCost {
    double each, fixed;  // cycles: of a winner; of an image
};
// Nothing where winners have to be written out.
std::optional<WinnersCost> winners_cost(const Matrix& matrix, const ConvShape& shape);
// Where winners_cost() gave a figure.
std::unique_ptr<const Convolution> make_scatter(const Matrix& matrix, const ConvShape& shape, bool of_image);

}  // namespace cs
