# SPDX-License-Identifier: BSD-3-Clause
"""The Verilog around the step: registers, the table, and a handshake on both sides."""

from __future__ import annotations

from complsparse.hls.design import Design
from complsparse.hls.tables import IntArray, bits_up_to

LARGE = 16_384  # bits of a table that block RAM holds

HEAD = """\
// SPDX-License-Identifier: BSD-3-Clause
// A sparse layer in two stages. A word is taken at a rising edge where in_valid and in_ready are 1; the sums of a
// vector leave where out_valid and out_ready are 1, row 0 in the lowest bits. in_ready is 0 only while the last word of
// a vector waits for the sums of the one before to leave.
"""

BODY = """
  wire [SUMS-1:0] next;
  reg  [SUMS-1:0] sums;
  reg  fetched, last;
  reg  [X-1:0] x;
  reg  [BEAT_BITS-1:0] beat;
  wire stall = fetched & last & out_valid & ~out_ready;
  assign in_ready = ~stall;
  wire take = in_valid & in_ready;

  complsparse_step step (.x(x), .weights(weights), .ids(ids), .sums(sums), .next(next));

  always @(posedge clock) begin
    if (reset) begin
      fetched <= 0;
      out_valid <= 0;
      beat <= ZERO;
    end else begin
      if (out_valid & out_ready) out_valid <= 0;
      if (~stall) begin
        fetched <= take;
        if (fetched & last) out_valid <= 1;
      end
      if (take) beat <= beat == LAST ? ZERO : beat + ONE;
    end
    if (take) begin
      x <= in_x;
      last <= beat == LAST;
    end
    if (fetched & last & ~stall) out_y <= {@ROWS@};
    // Cleared by reset, not by a choice in front of the adders.
    if (reset | (fetched & last & ~stall)) sums <= 0;
    else if (fetched & ~stall) sums <= next;
  end
"""


def layer(design: Design) -> str:
    """The module complsparse_layer."""
    tables = design.tables
    slots = design.ports * design.slots
    sizes = {
        "X": 8 * design.lanes,
        "BEAT_BITS": bits_up_to(design.beats - 1),
        "SUMS": tables.sets * tables.set_size * tables.sum_bits,
        "WORD": design.word_bits,
        "WORDS": design.groups,
        "WEIGHTS": slots * 8,
        "IDS": slots * design.choice_bits,
    }
    ports = ["input clock", "input reset", "input in_valid", "output in_ready", f"input [{sizes['X'] - 1}:0] in_x"]
    if design.winners is not None:
        ports.append(f"input [{design.lanes * tables.index_bits - 1}:0] in_index")
    if design.ids == "runtime":
        ports += ["input write", f"input [{bits_up_to(design.groups - 1) - 1}:0] write_address"]
        ports.append(f"input [{sizes['WORD'] - 1}:0] write_word")
    ports += ["output reg out_valid", "input out_ready", f"output reg [{design.rows * tables.sum_bits - 1}:0] out_y"]
    lines = [HEAD + "module complsparse_layer (", ",\n".join(f"  {port}" for port in ports), ");"]
    lines += [f"  localparam {name} = {value};" for name, value in sizes.items()]
    # As wide as the counter of words, which simulators warn about otherwise.
    of_beats = {"ZERO": 0, "ONE": 1, "LAST": design.beats - 1}
    lines += [f"  localparam [BEAT_BITS-1:0] {name} = {value};" for name, value in of_beats.items()]
    return (
        "\n".join(lines)
        + "\n"
        + _table(design)
        + BODY.replace("@ROWS@", by_row(tables.rows, tables.sum_bits, "next"))
        + "endmodule\n"
    )


def words(design: Design) -> list[int]:
    """The table's words: the weights of all slots, and above them what they choose, in the same order."""
    weights, choices = design.table
    slots = design.slots
    found = []
    for w, k in zip(weights.reshape(-1, slots).tolist(), choices.reshape(-1, slots).tolist()):
        word = 0
        for place, weight in enumerate(w):
            word |= (weight & 255) << 8 * place
        for place, choice in enumerate(k):
            word |= choice << 8 * slots + design.choice_bits * place
        found.append(word)
    return found


def _table(design: Design) -> str:
    slots = design.slots
    split = f"{8 * slots - 1}:0", f"{design.word_bits - 1}:{8 * slots}"
    if design.ids == "static" and design.groups == 1:
        (word,) = words(design)
        # One word alone is no memory: its bits are wires.
        return (
            f"\n  wire [WORD-1:0] word = {design.word_bits}'h{word:x};\n"
            f"  wire [WEIGHTS-1:0] weights = {_lanes(design, 'word', split[0])};\n"
            f"  wire [IDS-1:0] ids = {_lanes(design, 'word', split[1])};\n"
        )
    # Synthesis would make several ports of one memory out of logic, or block RAM of a few words.
    large = design.groups >= 64 and design.groups * design.word_bits >= LARGE
    style = f'(* r{"o" if design.ids == "static" else "a"}m_style = "block" *) ' if large else ""
    text = [f"\n  {style}reg [WORD-1:0] table_words [0:WORDS-1];"]
    if design.ids == "static":
        filled = [f"    table_words[{i}] = {design.word_bits}'h{word:x};" for i, word in enumerate(words(design))]
        text += ["  initial begin", *filled, "  end"]
    else:
        text.append("  always @(posedge clock) if (write) table_words[write_address] <= write_word;")
    address = ["beat"]
    if design.winners is not None:
        bits = design.tables.index_bits
        address = [f"in_index[{bits * (lane + 1) - 1}:{bits * lane}]" for lane in range(design.lanes)]
    for port, where in enumerate(address):
        text.append(f"  reg [WORD-1:0] word{port};")
        text.append(f"  always @(posedge clock) if (take) word{port} <= table_words[{where}];")
    text.append(f"  wire [WEIGHTS-1:0] weights = {_lanes(design, None, split[0])};")
    text.append(f"  wire [IDS-1:0] ids = {_lanes(design, None, split[1])};")
    return "\n".join(text) + "\n"


def _lanes(design: Design, word: str | None, part: str) -> str:
    """A part of each port's word, the first port in the lowest bits."""
    names = [word or f"word{port}" for port in range(design.ports)]
    return "{" + ", ".join(f"{name}[{part}]" for name in reversed(names)) + "}"


def places_of_rows(rows: IntArray) -> dict[int, int]:
    """Of each row, its place among the members of all sets."""
    return {int(row): place for place, row in enumerate(rows.ravel()) if row >= 0}


def by_row(rows: IntArray, bits: int, sums: str) -> str:
    """Sums in the order of the rows, the last row first, out of those of all members."""
    places = sorted(places_of_rows(rows).items(), reverse=True)
    return ",\n      ".join(f"{sums}[{bits * (place + 1) - 1}:{bits * place}]" for _, place in places)
