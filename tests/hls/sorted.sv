// SPDX-License-Identifier: BSD-3-Clause
// The contest of a pixel's channels as a circuit (kwinners.hpp): a pixel in every clock.
module sorted #(
  parameter SIZE = 1, parameter WINNERS = 1, parameter INDEX_BITS = 1
) (
  input clock, input reset, input in_valid, output in_ready, input [8*SIZE-1:0] in_word, output reg out_valid,
  output reg [(8+INDEX_BITS)*WINNERS-1:0] out_word
);
  wire [8*WINNERS-1:0] values;
  wire [INDEX_BITS*WINNERS-1:0] indices;
  assign in_ready = 1;
  complsparse_step step (.x(in_word), .values(values), .indices(indices));
  always @(posedge clock) begin
    out_valid <= ~reset & in_valid;
    out_word <= {indices, values};
  end
endmodule
