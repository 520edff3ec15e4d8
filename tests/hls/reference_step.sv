// SPDX-License-Identifier: BSD-3-Clause
// The step of a layer, written from its description and not from the header: what proofs compare with.
module reference_step #(
  parameter LANES = 1, parameter SETS = 1, parameter SET_SIZE = 1, parameter ID_BITS = 1, parameter SUM_BITS = 16,
  parameter UNSIGNED_X = 0
) (
  input  [8 * LANES - 1:0] x,
  input  [8 * LANES * SETS - 1:0] weights,
  input  [ID_BITS * LANES * SETS - 1:0] ids,
  input  [SUM_BITS * SETS * SET_SIZE - 1:0] sums,
  output [SUM_BITS * SETS * SET_SIZE - 1:0] next
);
  genvar set, member, lane;
  generate
    for (set = 0; set < SETS; set = set + 1) begin : of_set
      for (member = 0; member < SET_SIZE; member = member + 1) begin : of_member
        localparam PLACE = SUM_BITS * (SET_SIZE * set + member);
        wire [SUM_BITS * (LANES + 1) - 1:0] partial;
        assign partial[SUM_BITS - 1:0] = sums[PLACE +: SUM_BITS];
        for (lane = 0; lane < LANES; lane = lane + 1) begin : of_lane
          localparam SLOT = SETS * lane + set;
          // Signs are written out, so that both sides have the same multiplier: what is proven is where products go.
          wire [15:0] operand = {{8{UNSIGNED_X ? 1'b0 : x[8 * lane + 7]}}, x[8 * lane +: 8]};
          wire [15:0] weight = {{8{weights[8 * SLOT + 7]}}, weights[8 * SLOT +: 8]};
          wire [15:0] product = operand * weight;
          wire [SUM_BITS - 1:0] sum = partial[SUM_BITS * lane +: SUM_BITS];
          wire [SUM_BITS - 1:0] more = sum + {{SUM_BITS{product[15]}}, product};
          assign partial[SUM_BITS * (lane + 1) +: SUM_BITS] = ids[ID_BITS * SLOT +: ID_BITS] == member ? more : sum;
        end
        assign next[PLACE +: SUM_BITS] = partial[SUM_BITS * LANES +: SUM_BITS];
      end
    end
  endgenerate
endmodule
