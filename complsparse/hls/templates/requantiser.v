// SPDX-License-Identifier: BSD-3-Clause
// The engine of a requantiser as a circuit, written from its description (requantise.hpp): PER_CLOCK sums in every clock,
// as the memory before it has them. `table.hex` has their biases, multipliers and shifts, each of 32 bits.
module requantiser #(
  parameter ROWS = 1, parameter PER_CLOCK = 1, parameter SUM_BITS = 16
) (
  input clock, input reset, input in_valid, output in_ready, input [PER_CLOCK*SUM_BITS-1:0] in_word,
  output reg out_valid, output [8*PER_CLOCK-1:0] out_word
);
  localparam WORDS = (ROWS + PER_CLOCK - 1) / PER_CLOCK;
  (* rom_style = WORDS >= 64 ? "block" : "auto" *)
  reg [96*PER_CLOCK-1:0] table_words [0:WORDS-1];
  initial $readmemh("table.hex", table_words);
  reg [15:0] number;
  reg [PER_CLOCK*SUM_BITS-1:0] sums;
  reg [96*PER_CLOCK-1:0] read;
  assign in_ready = 1;
  complsparse_step step (
    .sums(sums), .bias(read[32*PER_CLOCK-1:0]), .multipliers(read[32*PER_CLOCK+:32*PER_CLOCK]),
    .shifts(read[64*PER_CLOCK+:32*PER_CLOCK]), .y(out_word)
  );
  always @(posedge clock) begin
    out_valid <= ~reset & in_valid;
    sums <= in_word;
    read <= table_words[number];
    if (reset) number <= 0;
    else if (in_valid) number <= number == WORDS - 1 ? 0 : number + 1;
  end
endmodule
