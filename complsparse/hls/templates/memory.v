// SPDX-License-Identifier: BSD-3-Clause
// What lies between two blocks, in SLOTS of a sample each: while one block writes the values of a sample, the next one
// reads those of the sample before. A block begins a sample (`begins`) only where its own values are whole and the next
// memory has room, so that nothing stalls inside a block.
//
// Values are VECTORS vectors of LENGTH numbers of BITS bits. They come IN to a word, are read OUT to a word, the first
// in the lowest bits; the last word of a vector is filled up. JOINED: a sample is read as one vector.
module memory #(
  parameter VECTORS = 1, parameter LENGTH = 1, parameter BITS = 8, parameter IN = 1, parameter OUT = 1,
  parameter JOINED = 0, parameter SLOTS = 2
) (
  input clock, input reset, input begun, output room, input in_valid, input [IN*BITS-1:0] in_word, input next_room,
  output begins, output reg out_valid, input out_ready, output [OUT*BITS-1:0] out_word
);
  // A bank has the same word of all rows; a row is a vector, or, JOINED, the sample.
  localparam WRITES = (LENGTH + IN - 1) / IN;
  localparam ROW = JOINED ? VECTORS * LENGTH : LENGTH;
  localparam ROWS = JOINED ? 1 : VECTORS;
  localparam BANKS = JOINED ? VECTORS * WRITES : WRITES;
  localparam READS = (ROW + OUT - 1) / OUT;

  localparam SLOT_BITS = $clog2(SLOTS + 1);
  reg [SLOT_BITS-1:0] taken, whole;  // samples that are here or on their way; samples that are here
  assign room = taken < SLOTS;

  // Writing: the bank moves fastest, then the row, then the slot.
  reg [SLOT_BITS-1:0] in_slot;
  reg [$clog2(BANKS+1)-1:0] bank;
  reg [$clog2(ROWS+1)-1:0] in_row;
  wire row_written = in_valid && bank == BANKS - 1;
  wire written = row_written && in_row == ROWS - 1;

  // Reading: the part of the row, then the row, then the slot. Rows are fetched a clock ahead.
  reg [SLOT_BITS-1:0] out_slot;
  reg [$clog2(READS+1)-1:0] part;
  reg [$clog2(ROWS+1)-1:0] out_row;
  wire take = out_valid & out_ready;
  wire row_read = take && part == READS - 1;
  wire read = row_read && out_row == ROWS - 1;
  assign begins = (~out_valid | read) && whole != 0 && next_room;
  wire [$clog2(ROWS+1)-1:0] next_row = read ? 0 : row_read ? out_row + 1 : out_row;
  wire [SLOT_BITS-1:0] next_slot = ~read ? out_slot : out_slot == SLOTS - 1 ? 0 : out_slot + 1;

  wire [BANKS*IN*BITS-1:0] fetched;
  wire [READS*OUT*BITS-1:0] row;
  assign out_word = row[part*OUT*BITS+:OUT*BITS];
  genvar i;
  generate
    for (i = 0; i < BANKS; i = i + 1) begin : of_bank
      reg [IN*BITS-1:0] words [0:SLOTS*ROWS-1];
      reg [IN*BITS-1:0] word;
      assign fetched[i*IN*BITS+:IN*BITS] = word;
      always @(posedge clock) begin
        if (in_valid && bank == i) words[in_slot*ROWS+in_row] <= in_word;
        word <= words[next_slot*ROWS+next_row];
      end
    end
    for (i = 0; i < READS * OUT; i = i + 1) begin : of_number
      localparam PLACE = (i / LENGTH) * WRITES * IN + i % LENGTH;
      if (i < ROW) assign row[i*BITS+:BITS] = fetched[PLACE*BITS+:BITS];
      else assign row[i*BITS+:BITS] = 0;
    end
  endgenerate

  always @(posedge clock) begin
    if (reset) begin
      taken <= 0;
      whole <= 0;
      in_slot <= 0;
      bank <= 0;
      in_row <= 0;
      out_slot <= 0;
      part <= 0;
      out_row <= 0;
      out_valid <= 0;
    end else begin
      taken <= taken + begun - read;
      whole <= whole + written - begins;
      if (in_valid) bank <= row_written ? 0 : bank + 1;
      if (row_written) in_row <= written ? 0 : in_row + 1;
      if (written) in_slot <= in_slot == SLOTS - 1 ? 0 : in_slot + 1;
      if (take) part <= row_read ? 0 : part + 1;
      out_row <= next_row;
      out_slot <= next_slot;
      out_valid <= begins | (out_valid & ~read);
    end
  end
endmodule

// The words of a sample come in once the first memory has room for all of them.
module entry #(
  parameter WORDS = 1
) (
  input clock, input reset, input in_valid, output in_ready, input room, output begins
);
  reg [$clog2(WORDS+1)-1:0] number;
  wire first = number == 0;
  assign in_ready = room | ~first;
  assign begins = in_valid & in_ready & first;
  always @(posedge clock) begin
    if (reset) number <= 0;
    else if (in_valid & in_ready) number <= number == WORDS - 1 ? 0 : number + 1;
  end
endmodule
