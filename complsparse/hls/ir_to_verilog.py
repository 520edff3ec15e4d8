# SPDX-License-Identifier: BSD-3-Clause
"""Verilog of straight-line LLVM IR: ``python ir_to_verilog.py FUNCTION PORT... < step.ll > step.v``.

The function takes pointers to arrays and has one block. What it loads are bits of input ports, what it stores bits of
output ports, every instruction between is a wire. Anything else (a branch, a call other than of a minimum or maximum,
an address that is not constant) ends with a message: such code is no circuit of one clock. Needs Python alone.
"""

from __future__ import annotations

import re
import sys

BINARY = {"add": "+", "sub": "-", "mul": "*", "and": "&", "or": "|", "xor": "^", "shl": "<<", "lshr": ">>"}
COMPARE = {"eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
FLAGS = r"(?: (?:nuw|nsw|exact|disjoint|nneg|inbounds|samesign|noundef|nonnull))*"


class NotStraightLine(Exception):
    """The function is no circuit of one clock; the message is the instruction."""


def size_of(kind: str) -> tuple[int, int]:
    """Bytes of a type in memory, and bits of its elements: iN in the next power of two bytes, [n x T]."""
    array = re.fullmatch(r"\[(\d+) x (.+)\]", kind)
    if array:
        size, bits = size_of(array[2])
        return int(array[1]) * size, bits
    scalar = re.fullmatch(r"i(\d+)", kind)
    if not scalar or int(scalar[1]) > 64:
        raise NotStraightLine(f"type {kind}")
    bits = int(scalar[1])
    return 1 << max(0, (bits - 1) // 8).bit_length(), bits


class Function:
    """The wires of one function, line by line."""

    def __init__(self, ports: list[str], parameters: list[tuple[str, int]]) -> None:
        self.addresses = {name: (port, 0) for port, (name, _) in zip(ports, parameters)}
        self.bytes = dict(zip(ports, (size for _, size in parameters)))
        self.element: dict[str, int] = {}  # bits of a port's elements
        self.inputs: set[str] = set()
        self.outputs: set[str] = set()
        self.stored: dict[str, str] = {}
        self.lines: list[str] = []

    def value(self, text: str, bits: int) -> str:
        if text in ("true", "false"):
            return f"1'd{int(text == 'true')}"
        if re.fullmatch(r"-?\d+", text):
            return f"{bits}'d{int(text) % (1 << bits)}"
        if not re.fullmatch(r"%[\w.]+", text):
            raise NotStraightLine(text)
        return "w" + re.sub(r"\W", "_", text[1:])

    def wire(self, name: str, bits: int, expression: str) -> None:
        self.lines.append(f"  wire [{bits - 1}:0] {self.value(name, bits)} = {expression};")

    def slice(self, pointer: str, kind: str) -> tuple[str, str]:
        if pointer not in self.addresses:
            raise NotStraightLine(f"address {pointer}")
        port, offset = self.addresses[pointer]
        size, bits = size_of(kind)
        if self.element.setdefault(port, bits) != bits or offset % size:
            raise NotStraightLine(f"{kind} at byte {offset} of {port}")
        first = offset // size * bits
        return port, f"{port}[{first + bits - 1}:{first}]"

    def pointer(self, name: str, kind: str, base: str, indices: str) -> None:
        numbers = re.findall(r"i\d+ ([^,]+)", indices)
        if base not in self.addresses or not all(re.fullmatch(r"-?\d+", n) for n in numbers):
            raise NotStraightLine(f"getelementptr {kind}, {base}, {indices}")
        port, offset = self.addresses[base]
        offset += int(numbers[0]) * size_of(kind)[0]
        for number in numbers[1:]:
            array = re.fullmatch(r"\[(\d+) x (.+)\]", kind)
            if not array:
                raise NotStraightLine(f"getelementptr into {kind}")
            kind = array[2]
            offset += int(number) * size_of(kind)[0]
        self.addresses[name] = port, offset

    def instruction(self, line: str) -> None:
        store = re.match(r"store (\S+) (\S+), ptr (\S+), align", line)
        if store:
            port, place = self.slice(store[3], store[1])
            self.outputs.add(port)
            self.stored[place] = self.value(store[2], size_of(store[1])[1])  # of two, the later one
            return
        name, _, rest = line.partition(" = ")
        found = re.match(rf"getelementptr{FLAGS} (.+?), ptr (%[\w.]+), (.*)", rest)
        if found:
            return self.pointer(name, found[1], found[2], found[3])
        found = re.match(r"load (\S+), ptr (\S+), align", rest)
        if found:
            port, place = self.slice(found[2], found[1])
            self.inputs.add(port)
            return self.wire(name, size_of(found[1])[1], place)
        return self.arithmetic(name, rest, line)

    def arithmetic(self, name: str, rest: str, line: str) -> None:
        found = re.match(rf"(sext|zext|trunc){FLAGS} i(\d+) (\S+) to i(\d+)", rest)
        if found:
            old, new, of = int(found[2]), int(found[4]), self.value(found[3], int(found[2]))
            fill = f"{of}[{old - 1}]" if found[1] == "sext" else "1'd0"
            filled = f"{{{{{new - old}{{{fill}}}}}, {of}}}"
            return self.wire(name, new, f"{of}[{new - 1}:0]" if found[1] == "trunc" else filled)
        found = re.match(rf"(add|sub|mul|and|or|xor|shl|lshr|ashr){FLAGS} i(\d+) (\S+), (\S+)", rest)
        if found:
            bits = int(found[2])
            a, b = self.value(found[3], bits), self.value(found[4], bits)
            expression = f"$signed({a}) >>> {b}" if found[1] == "ashr" else f"{a} {BINARY[found[1]]} {b}"
            return self.wire(name, bits, expression)
        found = re.match(r"icmp (?:samesign )?([us]?)(eq|ne|gt|ge|lt|le) i(\d+) (\S+), (\S+)", rest)
        if found:
            bits = int(found[3])
            a, b = self.value(found[4], bits), self.value(found[5], bits)
            if found[1] == "s":
                a, b = f"$signed({a})", f"$signed({b})"
            return self.wire(name, 1, f"{a} {COMPARE[found[2]]} {b}")
        found = re.match(r"(?:tail )?call i(\d+) @llvm\.([us])(max|min)\.i\d+\(i\d+ (\S+), i\d+ (\S+)\)", rest)
        if found:
            bits = int(found[1])
            a, b = self.value(found[4], bits), self.value(found[5], bits)
            one, other = (f"$signed({a})", f"$signed({b})") if found[2] == "s" else (a, b)
            return self.wire(name, bits, f"{one} {'>' if found[3] == 'max' else '<'} {other} ? {a} : {b}")
        found = re.match(r"select i1 (\S+), i(\d+) (\S+), i\d+ (\S+?)(?:, !.*)?$", rest)
        if found:
            bits = int(found[2])
            a, b = self.value(found[3], bits), self.value(found[4], bits)
            return self.wire(name, bits, f"{self.value(found[1], 1)} ? {a} : {b}")
        raise NotStraightLine(line)

    def module(self, name: str) -> str:
        ports = []
        for port, size in self.bytes.items():
            if port in self.inputs & self.outputs:
                raise NotStraightLine(f"{port} is loaded and stored")
            if port not in self.element:
                raise NotStraightLine(f"{port} is neither loaded nor stored")
            bits = self.element[port]
            width = size // size_of(f"i{bits}")[0] * bits
            ports.append(f"  {'output' if port in self.outputs else 'input'} [{width - 1}:0] {port}")
        lines = self.lines + [f"  assign {place} = {value};" for place, value in self.stored.items()]
        return f"module {name} (\n" + ",\n".join(ports) + "\n);\n" + "\n".join(lines) + "\nendmodule\n"


def convert(ir: str, name: str, ports: list[str]) -> str:
    """The module of a function; its parameters must say how many bytes they point to (references to arrays do)."""
    definition = rf"^define [^\n]*@{re.escape(name)}\(([^\n]*)\)[^\n]*\{{\n(.*?)^\}}"
    found = re.search(definition, ir, re.MULTILINE | re.DOTALL)
    if not found:
        raise NotStraightLine(f"no function {name}")
    parameters = [
        (match[2], int(match[1])) for match in re.finditer(r"dereferenceable\((\d+)\)[^,%]*(%[\w.]+)", found[1])
    ]
    if len(parameters) != len(ports):
        raise NotStraightLine(f"{name} has {len(parameters)} parameters, not {len(ports)}")
    function = Function(ports, parameters)
    for line in found[2].splitlines():
        line = line.partition(";")[0].strip()
        if line == "ret void":
            return function.module(name)
        if line:
            function.instruction(line)
    raise NotStraightLine(f"{name} does not end with its first block")


def main() -> int:
    name, *ports = sys.argv[1:]
    try:
        sys.stdout.write(convert(sys.stdin.read(), name, ports))
    except NotStraightLine as error:
        print(f"{name} is no circuit of one clock: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
