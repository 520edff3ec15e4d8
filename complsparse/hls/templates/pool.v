// SPDX-License-Identifier: BSD-3-Clause
// The engine of a pool as a circuit, written from its description (pool.hpp): a pixel in every clock.
module pool #(
  parameter HEIGHT = 1, parameter WIDTH = 1, parameter CHANNELS = 1, parameter WINDOW = 1, parameter BITS = 8
) (
  input clock, input reset, input in_valid, output in_ready, input [CHANNELS*BITS-1:0] in_word, output reg out_valid,
  output reg [CHANNELS*BITS-1:0] out_word
);
  localparam OUT_HEIGHT = HEIGHT / WINDOW;
  localparam OUT_WIDTH = WIDTH / WINDOW;
  reg [CHANNELS*BITS-1:0] line [0:OUT_WIDTH-1];
  reg [15:0] row, column;
  assign in_ready = 1;
  wire visible = row < OUT_HEIGHT * WINDOW && column < OUT_WIDTH * WINDOW;
  wire first = row % WINDOW == 0 && column % WINDOW == 0;
  wire last = row % WINDOW == WINDOW - 1 && column % WINDOW == WINDOW - 1;
  wire [CHANNELS*BITS-1:0] most;
  complsparse_step step (.so_far(line[column/WINDOW]), .pixel(in_word), .first(first), .most(most));
  always @(posedge clock) begin
    out_valid <= ~reset & in_valid & visible & last;
    out_word <= most;
    if (in_valid & visible) line[column/WINDOW] <= most;
    if (reset) begin
      row <= 0;
      column <= 0;
    end else if (in_valid) begin
      column <= column == WIDTH - 1 ? 0 : column + 1;
      if (column == WIDTH - 1) row <= row == HEIGHT - 1 ? 0 : row + 1;
    end
  end
endmodule
