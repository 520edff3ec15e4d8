// SPDX-License-Identifier: BSD-3-Clause
// The contest of a pixel's channels as a circuit (kwinners.hpp): a pixel in every clock. Winners leave as values with
// their place above them, which counts the channels of the pixel, or, FLAT, those of all VECTORS pixels.
module sorted #(
  parameter SIZE = 1, parameter WINNERS = 1, parameter INDEX_BITS = 1, parameter PLACE_BITS = 1, parameter FLAT = 0,
  parameter VECTORS = 1
) (
  input clock, input reset, input in_valid, output in_ready, input [8*SIZE-1:0] in_word, output reg out_valid,
  output reg [(8+PLACE_BITS)*WINNERS-1:0] out_word
);
  wire [8*WINNERS-1:0] values;
  wire [INDEX_BITS*WINNERS-1:0] indices;
  reg [PLACE_BITS-1:0] base;
  assign in_ready = 1;
  complsparse_step step (.x(in_word), .values(values), .indices(indices));
  genvar i;
  generate
    for (i = 0; i < WINNERS; i = i + 1) begin : of_winner
      wire [PLACE_BITS-1:0] place = base + indices[INDEX_BITS*i+:INDEX_BITS];
      always @(posedge clock) out_word[(8+PLACE_BITS)*i+:8+PLACE_BITS] <= {place, values[8*i+:8]};
    end
  endgenerate
  always @(posedge clock) begin
    out_valid <= ~reset & in_valid;
    if (reset || !FLAT) base <= 0;
    else if (in_valid) base <= base == (VECTORS - 1) * SIZE ? 0 : base + SIZE;
  end
endmodule
