// SPDX-License-Identifier: BSD-3-Clause
// The engine of a last layer, whose results are its sums with their bias (requantise.hpp): a sum in every clock.
// `table.hex` has the biases, 32 bits each.
module bias #(
  parameter ROWS = 1, parameter SUM_BITS = 16
) (
  input clock, input reset, input in_valid, output in_ready, input [SUM_BITS-1:0] in_word, output reg out_valid,
  output [31:0] out_word
);
  reg [31:0] table_words [0:ROWS-1];
  initial $readmemh("table.hex", table_words);
  reg [15:0] number;
  reg signed [SUM_BITS-1:0] sum;
  reg signed [31:0] read;
  assign in_ready = 1;
  assign out_word = sum + read;
  always @(posedge clock) begin
    out_valid <= ~reset & in_valid;
    sum <= in_word;
    read <= table_words[number];
    if (reset) number <= 0;
    else if (in_valid) number <= number == ROWS - 1 ? 0 : number + 1;
  end
endmodule
