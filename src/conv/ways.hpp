// SPDX-License-Identifier: BSD-3-Clause
// The ways that there are; equal costs are decided by the order in conv_ways().
#pragma once

#include "conv/convolution.hpp"

namespace cs {

// products.cpp: a product for each image; of patches, or of the image itself where every patch is a pixel.
extern const ConvWay products_way;
// in_place.cpp: row groups on the planes of the image as they are, where every patch is a pixel.
extern const ConvWay in_place_way;
// planes.cpp: row groups on padded planes.
extern const ConvWay planes_way;
// routed_pixels.cpp: routed layers on padded pixels.
extern const ConvWay routed_pixels_way;

// filter_lanes.cpp: filters of one pattern, as lanes, on padded pixels.
extern const ConvWay filter_lanes_way;

// chunks.cpp: of quads of 8-bit numbers, chunks on padded planes.
extern const ConvWay chunks_way;

// quads.cpp: of 8-bit numbers, four channels as one, by planes, filter lanes or chunks.
extern const ConvWay quads_way;

}  // namespace cs
