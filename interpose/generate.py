#!/usr/bin/env python3
"""Turns the shim's two tables into C++.

    generate.py syscalls SYSCALLS.DEF OUT   ROW(SYS_read, park, io_read) per call
    generate.py real     SYMBOLS.DEF  OUT   REAL(ssize_t, read, (int fd, ...)) per symbol
    generate.py symbols  SYMBOLS.DEF  OUT   the wrappers of all plain symbols, and all aliases
    generate.py map      SYMBOLS.DEF  OUT   the linker's version script

The formats are described at the head of each table. A row that cannot be understood ends the run
with `file:line: what is wrong` and exit code 1: a silent guess here would be a wrong call there.
"""

import dataclasses
import re
import sys

CLASSES = ("park", "offload", "emulate", "forward", "block")
NAME = r"[A-Za-z_][A-Za-z0-9_]*"
QUALIFIED_NAME = rf"{NAME}(::{NAME})*"
# What a wrapper may return: the result of a system call fits a word.
PLAIN_RETURNS = ("int", "long", "ssize_t", "pid_t", "off_t", "unsigned", "mode_t", "key_t")
MAX_ARGUMENTS = 6


class TableError(Exception):
    """A row that is not understood; its text names the file and the line."""


@dataclasses.dataclass(frozen=True)
class Syscall:
    name: str
    cls: str
    handler: str


@dataclasses.dataclass(frozen=True)
class Symbol:
    name: str
    returns: str
    parameters: str  # as written, without the brackets
    syscall: str  # empty for a custom row
    arguments: tuple  # of the system call: parameter names and integers
    error: str  # "errno": -1 and errno; "return": the positive error number
    aliases: tuple

    @property
    def custom(self):
        return not self.syscall


def rows(path):
    """Yields (where, text) of each row; `#` starts a comment, and a trailing `\\` joins lines."""
    with open(path, encoding="utf-8") as table:
        pending, start = "", 0
        for number, line in enumerate(table, 1):
            text = line.split("#", 1)[0].rstrip()
            start = start if pending else number
            if text.endswith("\\"):
                pending += text[:-1] + " "
                continue
            text, pending = (pending + text).strip(), ""
            if text:
                yield f"{path}:{start}", text
        if pending:
            raise TableError(f"{path}:{start}: the table ends in the middle of a row")


def parse_syscalls(path):
    table, seen = [], {}
    for where, text in rows(path):
        fields = text.split()
        if len(fields) != 3:
            raise TableError(f"{where}: expected `name class handler`, got {len(fields)} fields")
        name, cls, handler = fields
        if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
            raise TableError(f"{where}: '{name}' is not the name of a system call")
        if cls not in CLASSES:
            raise TableError(f"{where}: unknown class '{cls}', expected one of {', '.join(CLASSES)}")
        if handler != "-" and not re.fullmatch(QUALIFIED_NAME, handler):
            raise TableError(f"{where}: '{handler}' is not the name of a handler")
        if cls != "block" and (handler != "-") != (cls in ("park", "offload", "emulate")):
            wanted = "no handler ('-')" if handler != "-" else "a handler"
            raise TableError(f"{where}: class '{cls}' takes {wanted}")
        if name in seen:
            raise TableError(f"{where}: '{name}' is already tabled at {seen[name]}")
        seen[name] = where
        table.append(Syscall(name, cls, handler))
    return table


def split_parameters(parameters):
    """Splits at the commas that are not inside brackets."""
    parts, depth, current = [], 0, ""
    for char in parameters:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    return [*parts, current.strip()]


def parameter_names(where, parameters):
    """The names that a wrapper passes on. A wrapper can pass on a plain, named parameter only."""
    if parameters.strip() in ("", "void"):
        return []
    names = []
    for parameter in split_parameters(parameters):
        match = re.fullmatch(rf"[A-Za-z_][\w\s:*]*[\s*&]({NAME})", parameter)
        if not match:
            raise TableError(f"{where}: parameter '{parameter}' needs a plain type and a name")
        names.append(match.group(1))
    if len(set(names)) != len(names):
        raise TableError(f"{where}: two parameters have the same name")
    return names


def parse_options(where, text):
    options = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if key not in ("custom", "syscall", "args", "error", "aliases"):
            raise TableError(f"{where}: unknown option '{word}'")
        if (key == "custom") == bool(equals) or (equals and not value):
            raise TableError(f"{where}: '{word}' has a value where none fits, or none where one must be")
        if key in options:
            raise TableError(f"{where}: option '{key}' is given twice")
        options[key] = value
    return options


def parse_signature(where, text):
    """Cuts `name  type(parameters) options` into its four parts."""
    match = re.match(rf"({NAME})\s+([A-Za-z_][\w\s*]*?)\s*\(", text)
    if not match:
        raise TableError(f"{where}: expected `name  type(parameters)  options`")
    depth, end = 1, match.end()
    while end < len(text) and depth:
        depth += (text[end] == "(") - (text[end] == ")")
        end += 1
    if depth:
        raise TableError(f"{where}: the parameter list is not closed")
    return match.group(1), match.group(2), text[match.end() : end - 1].strip(), text[end:]


def parse_symbol(where, text):
    name, returns, parameters, rest = parse_signature(where, text)
    options = parse_options(where, rest)
    if ("custom" in options) == ("syscall" in options):
        raise TableError(f"{where}: '{name}' must be either custom or have a syscall=")
    aliases = tuple(options["aliases"].split(",")) if "aliases" in options else ()
    for alias in aliases:
        if not re.fullmatch(NAME, alias):
            raise TableError(f"{where}: '{alias}' is not a name")
    if "custom" in options:
        if "args" in options or "error" in options:
            raise TableError(f"{where}: a custom row has neither args= nor error=")
        return Symbol(name, returns, parameters, "", (), "errno", aliases)

    names = parameter_names(where, parameters)
    arguments = tuple(options["args"].split(",")) if "args" in options else tuple(names)
    for argument in arguments:
        if argument not in names and not re.fullmatch(r"-?\d+", argument):
            raise TableError(f"{where}: args= holds '{argument}', neither a parameter nor a number")
    if len(arguments) > MAX_ARGUMENTS:
        raise TableError(f"{where}: a system call takes at most {MAX_ARGUMENTS} arguments")
    if returns not in PLAIN_RETURNS:
        raise TableError(f"{where}: a generated wrapper cannot return '{returns}'; make it custom")
    error = options.get("error", "errno")
    if error not in ("errno", "return"):
        raise TableError(f"{where}: error= is 'errno' or 'return', not '{error}'")
    if not re.fullmatch(NAME, options["syscall"]):
        raise TableError(f"{where}: '{options['syscall']}' is not the name of a system call")
    return Symbol(name, returns, parameters, options["syscall"], arguments, error, aliases)


def parse_symbols(path):
    table, seen = [], {}
    for where, text in rows(path):
        symbol = parse_symbol(where, text)
        for name in (symbol.name, *symbol.aliases):
            if name in seen:
                raise TableError(f"{where}: '{name}' is already tabled at {seen[name]}")
            seen[name] = where
        table.append(symbol)
    return table


def exported_names(table):
    return sorted(name for symbol in table for name in (symbol.name, *symbol.aliases))


def emit_syscalls(path):
    return [f"ROW(SYS_{row.name}, {row.cls}, {row.handler if row.handler != '-' else 'nullptr'})"
            for row in parse_syscalls(path)]


def emit_real(path):
    return [f"REAL({symbol.returns}, {symbol.name}, ({symbol.parameters}))"
            for symbol in parse_symbols(path)]


# The C++ name differs from the symbol's, which the assembler label gives: so a libc header that
# declares the same function, with its own attributes and exception specification, cannot clash.
WRAPPER = """\
EXPORT {returns} symbol_{name}({parameters}) __asm__("{name}");
{returns} symbol_{name}({parameters}) {{
  if (ramie::host::on_light_fiber()) [[unlikely]] {{
    return ({returns}){finish}(ramie::host::call({call}));
  }}
  auto* real = ramie::interpose::real.{name};
  if (real == nullptr) [[unlikely]] {{
    return ({returns}){finish}(ramie::sys::call({call}));
  }}
  return real({names});
}}
"""

PRELUDE = """\
#include "base/sys.h"
#include "interpose/host/entry.h"
#include "interpose/real.h"
#include "interpose/types.h"

#define EXPORT extern "C" __attribute__((visibility("default"), used))

namespace {

template <typename T>
inline long word(T value) {
  return (long)value;
}

// For the functions that return their error instead of setting errno.
[[maybe_unused]] inline long positive(long result) { return ramie::sys::failed(result) ? -result : result; }

}  // namespace
"""


def emit_wrapper(symbol):
    names = parameter_names(symbol.name, symbol.parameters)
    words = [f"word({a})" if a in names else a for a in symbol.arguments]
    return WRAPPER.format(
        returns=symbol.returns,
        name=symbol.name,
        parameters=symbol.parameters,
        finish="ramie::host::finish" if symbol.error == "errno" else "positive",
        call=", ".join([f"SYS_{symbol.syscall}", *words]),
        names=", ".join(names),
    )


def emit_symbols(path):
    # An alias of a custom symbol belongs beside its definition, which is not in this file.
    lines = [PRELUDE]
    for symbol in parse_symbols(path):
        if symbol.custom:
            continue
        lines.append(emit_wrapper(symbol))
        for alias in symbol.aliases:
            lines.append(
                f"EXPORT {symbol.returns} symbol_{alias}({symbol.parameters}) "
                f'__asm__("{alias}") __attribute__((alias("{symbol.name}")));\n'
            )
    return lines


def emit_map(path):
    names = "".join(f"    {name};\n" for name in exported_names(parse_symbols(path)))
    # The runtime's own names are hidden unless RAMIE_API marks them, so patterns are safe here.
    return [f"{{\n  global:\n{names}    ramie_*;\n    _ZN5ramie*;\n    _ZNK5ramie*;\n  local:\n    *;\n}};"]


EMITTERS = {"syscalls": emit_syscalls, "real": emit_real, "symbols": emit_symbols, "map": emit_map}


def main(argv):
    if len(argv) != 4 or argv[1] not in EMITTERS:
        print(f"usage: {argv[0]} {'|'.join(EMITTERS)} TABLE OUT", file=sys.stderr)
        return 2
    _, what, table, out = argv
    comment = "#" if what == "map" else "//"
    try:
        lines = EMITTERS[what](table)
    except TableError as error:
        print(error, file=sys.stderr)
        return 1
    with open(out, "w", encoding="utf-8") as file:
        name = re.split(r"[\\/]", table)[-1]
        file.write(f"{comment} Generated from {name} by generate.py.\n")
        file.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
