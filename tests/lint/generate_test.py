#!/usr/bin/env python3
"""Tests of interpose/generate.py: what it makes of good rows, and that it refuses bad ones."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "interpose"))
import generate  # noqa: E402


class TableTest(unittest.TestCase):
    def table(self, text):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name) / "table.def"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def refuses(self, parse, text, message):
        with self.assertRaises(generate.TableError) as caught:
            parse(self.table(text))
        self.assertIn(message, str(caught.exception))


class Syscalls(TableTest):
    def test_rows_become_macro_calls(self):
        path = self.table("# comment\nread park io_read # more\n\nfstat forward -\n")
        self.assertEqual(
            generate.emit_syscalls(path),
            ["ROW(SYS_read, park, io_read)", "ROW(SYS_fstat, forward, nullptr)"],
        )

    def test_bad_rows_are_refused_with_their_line(self):
        for text, message in (
            ("read park\n", "table.def:1: expected"),
            ("\nread sleep io_read\n", "table.def:2: unknown class 'sleep'"),
            ("Read park io_read\n", "'Read' is not the name of a system call"),
            ("read park 1x\n", "'1x' is not the name of a handler"),
            ("read park -\n", "class 'park' takes a handler"),
            ("read forward io_read\n", "class 'forward' takes no handler"),
            ("read park a\nread park b\n", "table.def:2: 'read' is already tabled at"),
        ):
            with self.subTest(text=text):
                self.refuses(generate.parse_syscalls, text, message)


class Symbols(TableTest):
    READ = "read  ssize_t(int fd, void* buf, size_t n)  syscall=read aliases=__read\n"

    def test_a_plain_row_becomes_a_wrapper_and_its_aliases(self):
        text = "\n".join(generate.emit_symbols(self.table(self.READ)))
        self.assertIn('__asm__("read");', text)
        self.assertIn("call(SYS_read, word(fd), word(buf), word(n))", text)
        self.assertIn("return real(fd, buf, n);", text)
        self.assertIn('__asm__("__read") __attribute__((alias("read")));', text)

    def test_arguments_can_be_given(self):
        row = "recv ssize_t(int fd, void* b) syscall=recvfrom args=fd,b,0,-1"
        text = "\n".join(generate.emit_symbols(self.table(row)))
        self.assertIn("call(SYS_recvfrom, word(fd), word(b), 0, -1)", text)

    def test_an_error_can_be_returned(self):
        row = "clock_nanosleep int(int clock) syscall=clock_nanosleep error=return"
        text = "\n".join(generate.emit_symbols(self.table(row)))
        self.assertIn("positive(ramie::host::call(SYS_clock_nanosleep", text)

    def test_a_custom_row_is_exported_and_has_a_real_pointer_but_no_wrapper(self):
        path = self.table("open int(const char* path, int flags, ...) custom aliases=open64\n")
        self.assertEqual(generate.emit_real(path), ["REAL(int, open, (const char* path, int flags, ...))"])
        self.assertEqual(generate.exported_names(generate.parse_symbols(path)), ["open", "open64"])
        self.assertNotIn("symbol_open", "\n".join(generate.emit_symbols(path)))

    def test_a_parameter_may_be_a_function(self):
        path = self.table("thrd_create int(thrd_t* t, int (*start)(void*, int), void* a) custom\n")
        (symbol,) = generate.parse_symbols(path)
        self.assertEqual(symbol.parameters, "thrd_t* t, int (*start)(void*, int), void* a")

    def test_a_backslash_continues_the_row(self):
        path = self.table("sched_yield  int(void) \\\n  syscall=sched_yield\n")
        (symbol,) = generate.parse_symbols(path)
        self.assertEqual((symbol.name, symbol.arguments), ("sched_yield", ()))

    def test_the_map_lists_every_name(self):
        (text,) = generate.emit_map(self.table(self.READ))
        self.assertIn("    read;\n", text)
        self.assertIn("    __read;\n", text)

    def test_bad_rows_are_refused_with_their_line(self):
        for text, message in (
            ("read\n", "table.def:1: expected `name  type(parameters)"),
            ("read int(int fd syscall=read\n", "the parameter list is not closed"),
            ("read int(int fd)\n", "either custom or have a syscall="),
            ("read int(int fd) custom syscall=read\n", "either custom or have a syscall="),
            ("read int(int fd) syscall=read colour=red\n", "unknown option 'colour=red'"),
            ("read int(int fd) syscall=read syscall=write\n", "'syscall' is given twice"),
            ("read int(int fd) syscall=\n", "has a value where none fits"),
            ("read int(int fd) custom=yes\n", "has a value where none fits"),
            ("read int(int) syscall=read\n", "needs a plain type and a name"),
            ("read int(int a, int a) syscall=read\n", "two parameters have the same name"),
            ("read int(int fd, ...) syscall=read\n", "parameter '...' needs a plain type"),
            ("read int(int fd) syscall=read args=fd,x\n", "args= holds 'x'"),
            ("read int(int fd) syscall=read args=0,0,0,0,0,0,0\n", "at most 6 arguments"),
            ("read int(int fd) syscall=read error=maybe\n", "error= is 'errno' or 'return'"),
            ("read int(int fd) custom error=return\n", "has neither args= nor error="),
            ("read char*(int fd) syscall=read\n", "cannot return 'char*'; make it custom"),
            ("a int() custom\nb int() custom aliases=a\n", "table.def:2: 'a' is already tabled at"),
            ("a int() custom aliases=b,,c\n", "'' is not a name"),
            ("a int() \\\n", "table.def:1: the table ends in the middle of a row"),
        ):
            with self.subTest(text=text):
                self.refuses(generate.parse_symbols, text, message)


if __name__ == "__main__":
    unittest.main()
