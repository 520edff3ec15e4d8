# SPDX-License-Identifier: BSD-3-Clause
"""What synthesis takes of C++: a checker of headers on libclang, which reports what is outside.

It sees templates as they are written, not their instances; that these are straight-line code is for the Verilog printer
to say.
"""

import re

from clang import cindex
from clang.cindex import CursorKind as Kind
from clang.cindex import TypeKind

INCLUDES = re.compile(r'#\s*include\s+(<stdint\.h>|<ap_int\.h>|"complsparse/[\w/]+\.hpp")')
FORBIDDEN = {
    Kind.CXX_NEW_EXPR: "heap", Kind.CXX_DELETE_EXPR: "heap", Kind.CXX_THROW_EXPR: "exception",
    Kind.CXX_TRY_STMT: "exception", Kind.WHILE_STMT: "while", Kind.DO_STMT: "while", Kind.GOTO_STMT: "goto",
    Kind.CXX_FOR_RANGE_STMT: "range loop", Kind.LAMBDA_EXPR: "lambda", Kind.CXX_DYNAMIC_CAST_EXPR: "run-time type",
    Kind.CXX_TYPEID_EXPR: "run-time type", Kind.FLOATING_LITERAL: "floating point",
    Kind.CXX_REINTERPRET_CAST_EXPR: "reinterpret_cast", Kind.SWITCH_STMT: "switch",
}  # fmt: skip
FLOATS = {TypeKind.FLOAT, TypeKind.DOUBLE, TypeKind.LONGDOUBLE, TypeKind.HALF}
FUNCTIONS = {Kind.FUNCTION_DECL, Kind.CXX_METHOD, Kind.FUNCTION_TEMPLATE}
ASSIGNMENTS = {Kind.COMPOUND_ASSIGNMENT_OPERATOR, Kind.BINARY_OPERATOR, Kind.UNARY_OPERATOR}


class Checker:
    def __init__(self, path, include):
        self.path, self.found, self.calls = str(path), [], {}
        text = path.read_text()
        for number, line in enumerate(text.splitlines(), 1):
            if re.match(r"\s*#\s*include", line) and not INCLUDES.match(line.strip()):
                self.report(number, "include", line.strip())
        unit = cindex.Index.create().parse(self.path, args=["-xc++", "-std=c++14", "-I", str(include)])
        errors = [d.spelling for d in unit.diagnostics if d.severity >= cindex.Diagnostic.Error]
        if errors:
            self.report(0, "error", errors[0])
        self.walk(unit.cursor, None)
        self.recursions()

    def report(self, line, rule, what):
        self.found.append((line, rule, what))

    def here(self, cursor):
        return cursor.location.file is not None and cursor.location.file.name == self.path

    def walk(self, cursor, function):
        for child in cursor.get_children():
            if cursor.kind == Kind.TRANSLATION_UNIT and not self.here(child):
                continue
            inside = child if child.kind in FUNCTIONS else function
            self.check(child, inside)
            self.walk(child, inside)

    def check(self, cursor, function):
        line = cursor.location.line
        if cursor.kind in FORBIDDEN:
            self.report(line, FORBIDDEN[cursor.kind], cursor.spelling)
        elif cursor.kind == Kind.CXX_METHOD and cursor.is_virtual_method():
            self.report(line, "virtual", cursor.spelling)
        elif cursor.kind == Kind.FOR_STMT:
            self.loop(cursor)
        elif cursor.kind == Kind.CALL_EXPR:
            self.call(cursor, function)
        elif cursor.kind in (Kind.VAR_DECL, Kind.PARM_DECL, Kind.FIELD_DECL):
            self.declaration(cursor, function)

    def call(self, cursor, function):
        target = cursor.referenced
        names = [target.spelling] if target is not None else []
        if target is None:  # of a template: by name
            names += [part.spelling for part in cursor.get_children() if "REF" in part.kind.name]
        elif target.location.is_in_system_header:
            self.report(cursor.location.line, "system", target.spelling)
        if function is not None:
            self.calls.setdefault(function.spelling, set()).update(names)

    def recursions(self):
        """Functions that reach themselves."""
        for name in self.calls:
            seen, left = set(), list(self.calls[name])
            while left:
                other = left.pop()
                if other not in seen:
                    seen.add(other)
                    left += self.calls.get(other, ())
            if name in seen:
                self.report(0, "recursion", name)

    def declaration(self, cursor, function):
        line, kind = cursor.location.line, cursor.type.get_canonical()
        words = [token.spelling for token in cursor.get_tokens()]
        if kind.kind in FLOATS or {"float", "double"} & set(words):
            self.report(line, "floating point", cursor.spelling)
        if kind.kind == TypeKind.POINTER:
            to = kind.get_pointee().kind
            if to == TypeKind.POINTER:
                self.report(line, "pointer to pointer", cursor.spelling)
            elif to in (TypeKind.FUNCTIONPROTO, TypeKind.FUNCTIONNOPROTO):
                self.report(line, "function pointer", cursor.spelling)
            elif "[" not in words:
                self.report(line, "pointer without extent", cursor.spelling)
        if kind.kind == TypeKind.VARIABLEARRAY:
            self.report(line, "length at run time", cursor.spelling)
        constant = {"const", "constexpr"} & set(words) or cursor.type.is_const_qualified()
        local_static = function is None or cursor.storage_class == cindex.StorageClass.STATIC
        if cursor.kind == Kind.VAR_DECL and local_static and not constant:
            self.report(line, "mutable static", cursor.spelling)

    def loop(self, cursor):
        """for (int i = constant; i < constant; ++i), and nobody else changes i."""
        line = cursor.location.line
        children = list(cursor.get_children())
        text = " ".join(token.spelling for token in cursor.get_tokens())
        head = re.match(r"for \( int (\w+) = ([\w:<> ]+) ; \1 < (.+?) ; \+\+ \1 \)", text)
        if not head or len(children) != 4:
            self.report(line, "loop", text[:60])
            return
        variable = head[1]
        for used in self.of_kind(children[1], Kind.DECL_REF_EXPR):
            target = used.referenced
            if target is None or used.spelling == variable:
                continue
            words = {token.spelling for token in target.get_tokens()}
            if target.kind == Kind.PARM_DECL or (target.kind == Kind.VAR_DECL and "constexpr" not in words):
                self.report(line, "bound at run time", used.spelling)
        body = " ".join(token.spelling for token in children[3].get_tokens())
        changes = rf"\b{variable} ([-+*/%&|^]|<<|>>)?= |(\+\+|--) {variable}\b|\b{variable} (\+\+|--)"
        if re.search(changes, body):
            self.report(line, "loop variable", variable)

    def of_kind(self, cursor, kind):
        if cursor.kind == kind:
            yield cursor
        for child in cursor.get_children():
            yield from self.of_kind(child, kind)


def violations(path, include):
    """(line, rule, what) of everything that is outside the subset."""
    return Checker(path, include).found
