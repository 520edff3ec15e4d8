# SPDX-License-Identifier: BSD-3-Clause
"""A linter of `#pragma HLS` lines: compilers warn about all of them alike, and so hide a misspelt one."""

import re

# Option: what its value looks like.
WORDS = {
    "PIPELINE": {"II": r"\d+"},
    "UNROLL": {"factor": r"\d+"},
    "INLINE": {},
    "ARRAY_PARTITION": {"variable": r"[\w.]+", "dim": r"\d+", "factor": r"\d+"},
    "ARRAY_RESHAPE": {"variable": r"[\w.]+", "dim": r"\d+", "factor": r"\d+"},
    "DATAFLOW": {},
}
FLAGS = {"ARRAY_PARTITION": {"complete", "cyclic", "block"}, "ARRAY_RESHAPE": {"complete", "cyclic", "block"}}
OF_LOOPS = {"PIPELINE", "UNROLL"}
GUARD = "#ifdef __SYNTHESIS__"


def complaints(text):
    """(line, what) of every pragma that would be ignored, or be read by other compilers."""
    lines = text.splitlines()
    found = []
    guarded = False
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        if stripped == GUARD:
            guarded = True
        elif stripped.startswith(("#endif", "#else")):
            guarded = False
        if re.match(r"#\s*pragma\s+(?!once\b)", stripped):
            if not guarded:
                found.append((number, f"is not between {GUARD} and #endif"))
            found += [(number, what) for what in _pragma(stripped, lines[: number - 1])]
        if "_Pragma" in stripped:
            found.append((number, "_Pragma instead of a line of its own"))
    return found


def _pragma(line, before):
    match = re.fullmatch(r"#pragma HLS (\w+)((?: \w+(?: ?= ?[\w.]+)?)*)", line)
    if not match or match[1] not in WORDS:
        return [f"unknown: {line}"]
    name, found, given = match[1], [], {}
    for option, value in re.findall(r" (\w+)(?: ?= ?([\w.]+))?", match[2]):
        given[option] = value
        if value:
            if not re.fullmatch(WORDS[name].get(option, r"(?!)"), value):
                found.append(f"{name} has no option {option}={value}")
        elif option not in FLAGS.get(name, ()):
            found.append(f"{name} has no option {option}")
    code = [text for text in before if text.strip() and not text.strip().startswith(("#", "//"))]
    if name in OF_LOOPS and not re.match(r"\s*for \(.*\{$", code[-1] if code else ""):
        found.append(f"{name} is not the first line of a loop")
    if "variable" in WORDS[name]:
        variable = given.get("variable", "").partition(".")[0]
        if not variable or not _declared(variable, code):
            found.append(f"{name}: no variable {variable!r} is declared in this function")
    return found


def _declared(name, code):
    """Whether a declaration of the name lies between here and the start of the function."""
    for text in reversed(code):
        if re.search(rf"[\w>&\])] *\(?&?{re.escape(name)}\)?(\[| =|;|,|\))", text):
            return True
        if text == "}":
            return False
    return False
