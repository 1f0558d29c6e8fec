#!/usr/bin/env python3
"""Makes of a public header what Doxygen reads: filter.py HEADER, called by Doxygen itself.

The headers carry plain comments. This turns those that stand right before a declaration, and those
behind one on its line, into Doxygen's, repeats a comment for each declaration of its paragraph, and
drops what says nothing by itself: `= default` and `= delete`.
"""

import pathlib
import re
import sys

LABEL = re.compile(r"\s*(public|protected|private):\s*$")
SCOPE = re.compile(r"\b(namespace|class|struct|union|enum)\b[^(]*$|\bextern \"\"")
SILENT = re.compile(r"= (default|delete);\s*$|"
                    r"\s*using (\w*_type|\w*_category|\w*_concept|pointer|reference) =")
NOT_DECLARED = re.compile(r"\s*(friend|static_assert|using namespace)\b")


def escape(text):
    """Plain text for Doxygen's Markdown; what is indented is code, which it leaves alone."""
    if text.startswith("    "):
        return text
    return re.sub(r"([\\@<>#%&*_`~$])", r"\\\1", text)


def strip_code(line):
    """A line without comments, strings and characters, for counting braces."""
    line = re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])+\'', '""', line)
    return line.split("//")[0]


def opens_scope(statement):
    """Whether what stands before a brace begins a namespace or a type."""
    before = None
    while before != statement:  # arguments and parameters of templates say nothing here
        before, statement = statement, re.sub(r"<[^<>]*>", "", statement)
    return bool(SCOPE.search(statement))


class Filter:
    def __init__(self):
        self.out = []
        self.scopes = []  # True for each open brace whose inside holds declarations
        self.statement = ""  # what has been read of the declaration under way
        self.block = []  # the comment lines just before this one
        self.doc = None  # the comment of the paragraph

    def in_scope(self):
        return all(self.scopes)

    def comment(self, line):
        self.block.append(line.strip()[2:])

    def blank(self):
        self.out += ["//" + text for text in self.block]  # a note that belongs to no declaration
        self.block, self.doc = [], None
        self.out.append("")

    def document(self):
        self.out += ["///" + escape(text[1:]) if not text.startswith("     ") else "///" + text
                     for text in self.doc]

    def code(self, line):
        starts = (self.in_scope() and not self.statement
                  and not re.match(r"\s*(}|#(?!define))", line))
        if LABEL.match(line):
            line = line.replace("protected", "private")  # what is for our own heirs
        if LABEL.match(line) or (NOT_DECLARED.match(line) and not self.block):
            starts = False
        body, _, behind = line.partition("  // ")
        if starts:
            if self.block:
                self.doc = self.block
            if behind:
                self.out += ["///" + escape(behind)]
            elif self.doc is not None:
                self.document()
        self.block = []
        if starts and SILENT.search(body):
            while self.out and self.out[-1].startswith("///"):
                self.out.pop()
            self.out.append("")
            return
        self.out.append(body)
        self.count(body, starts)

    def count(self, body, starts):
        text = strip_code(body)
        if re.match(r"\s*#", text) or LABEL.match(text):
            return
        for char in text:
            if char == "{":
                self.scopes.append(self.in_scope() and opens_scope(self.statement))
                self.statement = ""
            elif char == "}":
                if self.scopes:
                    self.scopes.pop()
                self.statement = ""
            elif char == ";":
                self.statement = ""
            elif not char.isspace() or self.statement:
                self.statement += char
        if self.statement.strip() and not self.statement.endswith(" "):
            self.statement += " "

    def run(self, lines):
        for line in lines:
            if re.match(r"\s*//", line):
                self.comment(line)
            elif not line.strip():
                self.blank()
            else:
                self.code(line)
        return self.out


def filter_c(text):
    """<ramie.h>, whose comments are C's."""
    text = re.sub(r"^/\* ", "/** @file\n * ", text, count=1)
    return re.sub(r"^/\* ", "/** ", text, flags=re.M)


def main():
    path = pathlib.Path(sys.argv[1])
    text = path.read_text(encoding="utf-8")
    if path.name == "ramie.h":
        print(filter_c(text))
        return
    lines = text.splitlines()
    opening = []
    while lines and lines[0].startswith("//"):
        opening.append(lines.pop(0)[2:])
    print("/// @file")
    for line in opening:
        print("///" + (line if line.startswith("     ") else " " + escape(line[1:])))
    print("\n".join(Filter().run(lines)))


if __name__ == "__main__":
    main()
