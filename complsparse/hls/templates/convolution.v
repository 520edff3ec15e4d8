// SPDX-License-Identifier: BSD-3-Clause
// The engine of a convolution as a circuit, written from its description (convolution.hpp) around the step that is
// printed from the header: a pixel of the padded image arrives, or a word of the window meets the table, in every clock.
// A linear layer is a convolution of one pixel, with all columns for channels.
//
// A pixel has DEPTH numbers: its channels, or, with WINNERS, values with their channel above them. `table.hex` has a
// word for each word of the window, or, with WINNERS, for each column, (row, column, channel): weights, and above them
// ids.
module convolution #(
  parameter HEIGHT = 1, parameter WIDTH = 1, parameter DEPTH = 1, parameter CHANNELS = 1, parameter KERNEL_HEIGHT = 1,
  parameter KERNEL_WIDTH = 1, parameter STRIDE = 1, parameter PADDING = 0, parameter ZERO = 0, parameter WINNERS = 0,
  parameter LANES = 1, parameter SETS = 1, parameter ID_BITS = 1, parameter SUMS = 1, parameter TABLE_WORDS = 1,
  parameter CHANNEL_BITS = 0
) (
  input clock, input reset, input in_valid, output in_ready, input [DEPTH*(8+CHANNEL_BITS)-1:0] in_word,
  output reg out_valid, output reg [SUMS-1:0] out_word
);
  localparam BITS = 8 + CHANNEL_BITS;
  localparam PIXEL = DEPTH * BITS;
  localparam TAPS = KERNEL_HEIGHT * KERNEL_WIDTH;
  localparam WORDS = (TAPS * DEPTH + LANES - 1) / LANES;
  localparam PADDED_HEIGHT = HEIGHT + 2 * PADDING;
  localparam PADDED_WIDTH = WIDTH + 2 * PADDING;
  localparam SLOTS = WINNERS ? SETS : LANES * SETS;
  localparam PORTS = WINNERS ? LANES : 1;
  localparam ADDRESS = TABLE_WORDS > 1 ? $clog2(TABLE_WORDS) : 1;

  reg [TAPS*PIXEL-1:0] window;
  (* rom_style = TABLE_WORDS >= 64 ? "block" : "auto" *)
  reg [(8+ID_BITS)*SLOTS-1:0] table_words [0:TABLE_WORDS-1];
  initial $readmemh("table.hex", table_words);

  // Where the loop stands.
  reg [15:0] number, row, column;
  wire arrives = number == 0;
  wire visible = row + 1 > PADDING && row < PADDING + HEIGHT && column + 1 > PADDING && column < PADDING + WIDTH;
  wire whole = row + 1 >= KERNEL_HEIGHT && column + 1 >= KERNEL_WIDTH && (row + 1 - KERNEL_HEIGHT) % STRIDE == 0 &&
               (column + 1 - KERNEL_WIDTH) % STRIDE == 0;
  wire last = ~whole || number == WORDS - 1;
  assign in_ready = arrives & visible;
  // An image begins with its first pixel, though padding comes before it.
  wire starts = arrives && row == 0 && column == 0;
  wire go = in_valid | ~(in_ready | starts);

  // The window after a pixel has arrived.
  wire [PIXEL-1:0] padding = WINNERS ? {PIXEL{1'b0}} : {DEPTH{ZERO[BITS-1:0]}};
  wire [PIXEL-1:0] pixel = visible ? in_word : padding;
  wire [TAPS*PIXEL-1:0] slid;
  wire [WORDS*LANES*BITS-1:0] operands, slid_operands;
  wire [WORDS*LANES*ADDRESS-1:0] bases;
  genvar i, j;
  generate
    for (i = 0; i < KERNEL_HEIGHT; i = i + 1) begin : of_row
      for (j = 0; j < KERNEL_WIDTH - 1; j = j + 1) begin : of_tap
        assign slid[PIXEL*(i*KERNEL_WIDTH+j)+:PIXEL] = window[PIXEL*(i*KERNEL_WIDTH+j+1)+:PIXEL];
      end
      localparam CORNER = PIXEL * ((i + 1) * KERNEL_WIDTH - 1);
      if (i == KERNEL_HEIGHT - 1) assign slid[CORNER+:PIXEL] = pixel;
      else begin : of_line
        reg [PIXEL-1:0] line [0:PADDED_WIDTH-1];
        assign slid[CORNER+:PIXEL] = line[column];
        always @(posedge clock) if (go & arrives) line[column] <= slid[CORNER+PIXEL*KERNEL_WIDTH+:PIXEL];
      end
    end
    always @(posedge clock) if (go & arrives) window <= slid;
    for (i = 0; i < WORDS * LANES; i = i + 1) begin : of_place
      localparam PLACE = i < TAPS * DEPTH ? i : 0;
      localparam TAP = WINNERS ? PLACE / DEPTH : PLACE % TAPS;
      localparam PART = WINNERS ? PLACE % DEPTH : PLACE / TAPS;
      localparam [BITS-1:0] THERE = {BITS{i < TAPS * DEPTH}};
      assign operands[BITS*i+:BITS] = window[PIXEL*TAP+BITS*PART+:BITS] & THERE;
      assign slid_operands[BITS*i+:BITS] = slid[PIXEL*TAP+BITS*PART+:BITS] & THERE;
      assign bases[ADDRESS*i+:ADDRESS] = TAP * CHANNELS;
    end
  endgenerate

  // A word is fetched together with its words of the table,
  wire [LANES*BITS-1:0] word = arrives ? slid_operands[LANES*BITS-1:0] : operands[number*LANES*BITS+:LANES*BITS];
  wire [LANES*ADDRESS-1:0] base = bases[number*LANES*ADDRESS+:LANES*ADDRESS];
  reg fetched, ends;
  reg [8*LANES-1:0] x;
  wire [8*SETS*LANES-1:0] weights;
  wire [ID_BITS*SETS*LANES-1:0] ids;
  generate
    for (i = 0; i < LANES; i = i + 1) begin : of_lane
      always @(posedge clock) if (go) x[8*i+:8] <= word[BITS*i+:8];
    end
    for (i = 0; i < PORTS; i = i + 1) begin : of_port
      wire [ADDRESS-1:0] address;
      if (WINNERS) assign address = base[ADDRESS*i+:ADDRESS] + word[BITS*i+8+:(CHANNEL_BITS > 0 ? CHANNEL_BITS : 1)];
      else assign address = number;
      reg [(8+ID_BITS)*SLOTS-1:0] read;
      always @(posedge clock) if (go) read <= table_words[address];
      assign weights[8*SLOTS*i+:8*SLOTS] = read[8*SLOTS-1:0];
      assign ids[ID_BITS*SLOTS*i+:ID_BITS*SLOTS] = read[8*SLOTS+:ID_BITS*SLOTS];
    end
  endgenerate

  // and meets the sums in the next clock.
  reg [SUMS-1:0] sums;
  wire [SUMS-1:0] next;
  complsparse_step step (.x(x), .weights(weights), .ids(ids), .sums(sums), .next(next));

  wire row_ends = last && column == PADDED_WIDTH - 1;
  always @(posedge clock) begin
    out_valid <= ~reset & fetched & ends;
    if (fetched & ends) out_word <= next;
    if (reset | (fetched & ends)) sums <= 0;
    else if (fetched) sums <= next;
    if (reset) begin
      number <= 0;
      row <= 0;
      column <= 0;
      fetched <= 0;
    end else begin
      fetched <= go & whole;
      ends <= last;
      if (go) begin
        number <= last ? 0 : number + 1;
        if (last) column <= row_ends ? 0 : column + 1;
        if (row_ends) row <= row == PADDED_HEIGHT - 1 ? 0 : row + 1;
      end
    end
  end
endmodule
