// SPDX-License-Identifier: BSD-3-Clause
// The contest of a whole layer as a circuit, written from its description (kwinners.hpp): values are counted in 256
// bins, the bins are searched from the largest value down, the winners are listed in the order of their places. The
// list leaves as one word: values with their place above them.
module contest #(
  parameter SIZE = 1, parameter WINNERS = 1, parameter PER_CLOCK = 1, parameter INDEX_BITS = 1,
  parameter COUNT_BITS = 1
) (
  input clock, input reset, input in_valid, output in_ready, input [8*PER_CLOCK-1:0] in_word, output reg out_valid,
  output [(8+INDEX_BITS)*WINNERS-1:0] out_word
);
  localparam WORDS = (SIZE + PER_CLOCK - 1) / PER_CLOCK;
  localparam BINS = 256;
  reg [8*PER_CLOCK-1:0] memory [0:WORDS-1];
  reg [17:0] moment;
  wire counting = moment < WORDS;
  wire searching = ~counting & moment < WORDS + BINS;
  wire emitting = ~counting & ~searching;
  wire [17:0] number = counting ? moment : emitting ? moment - (WORDS + BINS) : 0;
  wire [7:0] bin = BINS - 1 - (moment - WORDS);
  assign in_ready = counting;
  wire go = in_valid | ~counting;
  wire ends = moment == 2 * WORDS + BINS - 1;

  reg [COUNT_BITS*BINS-1:0] counts;
  reg [COUNT_BITS-1:0] above, ties;
  reg [7:0] value;
  // A block RAM is read one clock ahead.
  wire [17:0] following = moment + 1 - (WORDS + BINS);
  reg [8*PER_CLOCK-1:0] read;
  always @(posedge clock) read <= memory[following[17] ? 0 : following];
  wire [8*PER_CLOCK-1:0] x = counting ? in_word : read;
  wire [PER_CLOCK-1:0] there, wins;
  wire [COUNT_BITS*BINS-1:0] next_counts;
  wire [COUNT_BITS-1:0] next_above, found_ties, ties_left;
  wire [7:0] found_value;
  wire [8*PER_CLOCK-1:0] kept;
  complsparse_step step (
    .x(x), .there(there), .counts(counts), .bin(bin), .seen(counts[COUNT_BITS*bin+:COUNT_BITS]), .above(above),
    .ties(ties), .value(value), .next_counts(next_counts), .next_above(next_above), .found_ties(found_ties),
    .found_value(found_value), .ties_left(ties_left), .wins(wins), .kept_x(kept)
  );
  localparam ITEM = 8 + INDEX_BITS;
  localparam LIST = WINNERS * ITEM;
  reg [LIST-1:0] list;
  assign out_word = list;
  genvar lane;
  generate
    for (lane = 0; lane < PER_CLOCK; lane = lane + 1) begin : of_lane
      wire [17:0] place = number * PER_CLOCK + lane;
      assign there[lane] = place < SIZE;
      wire [ITEM-1:0] item = {place[INDEX_BITS-1:0], kept[8*lane+:8]};
      // A winner pushes the list down by one: when all have come, the first is at its end.
      wire [LIST-1:0] so_far;
      if (lane == 0) assign so_far = list;
      else assign so_far = of_lane[lane-1].pushed;
      wire [(WINNERS+1)*ITEM-1:0] longer = {item, so_far};
      wire [LIST-1:0] pushed = wins[lane] ? longer[ITEM+:LIST] : so_far;
    end
  endgenerate
  always @(posedge clock) begin
    out_valid <= ~reset & ends;
    if (emitting) list <= of_lane[PER_CLOCK-1].pushed;
    if (counting & in_valid) memory[number] <= in_word;
    if (reset | ends) begin
      moment <= 0;
      counts <= 0;
      above <= 0;
      ties <= 0;
      value <= 0;
    end else if (go) begin
      moment <= moment + 1;
      if (counting) counts <= next_counts;
      if (searching) begin
        above <= next_above;
        ties <= found_ties;
        value <= found_value;
      end
      if (emitting) ties <= ties_left;
    end
  end
endmodule
