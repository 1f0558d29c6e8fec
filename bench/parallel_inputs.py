"""What the parallel programs of the bench work on: made in a temporary folder when it is first asked for,
and the same in every run of the bench."""
import functools
import pathlib
import random
import tempfile

WORDS = 5000  # different ones in the text
FUNCTIONS = 60  # in each source file of the project


class Inputs:
    """One folder for all."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="ramie-parallel-")

    @functools.cache
    def text(self, kilobytes):
        """A file of words, some of them frequent."""
        path, chance = pathlib.Path(self.folder.name, f"text-{kilobytes}"), random.Random(1)
        words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(WORDS)]
        size, weights = kilobytes * 1024, [1 / place for place in range(1, WORDS + 1)]
        path.write_text(" ".join(chance.choices(words, weights, k=size // 4))[:size], encoding="ascii")
        return path

    @functools.cache
    def project(self, files):
        """A folder with a Makefile, and that many files of C."""
        folder = pathlib.Path(self.folder.name, f"project-{files}")
        folder.mkdir()
        for number in range(files):
            bodies = [f"static int f{i}(int x) {{ for (int i = 0; i < x % {i + 3}; ++i)"
                      f" x = x * {number + 3} + i; return x; }}" for i in range(FUNCTIONS)]
            sums = " + ".join(f"f{i}(x + {i})" for i in range(FUNCTIONS))
            (folder / f"part{number}.c").write_text(
                "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n" + "\n".join(bodies) +
                f"\nint part{number}(int x) {{ return {sums}; }}\n", encoding="ascii")
        parts = [f"part{number}" for number in range(files)]
        (folder / "main.c").write_text(
            "#include <stdio.h>\n" + "".join(f"int {part}(int);\n" for part in parts) +
            'int main(void) { printf("%x\\n", 0u + ' + " + ".join(f"{part}(1)" for part in parts) +
            "); return 0; }\n", encoding="ascii")
        objects = " ".join(f"{part}.o" for part in (*parts, "main"))
        (folder / "Makefile").write_text(
            f"CFLAGS = -O1 -fwrapv\nprogram: {objects}\n\t$(CC) -o $@ $^\n",
            encoding="ascii")
        return folder

    @staticmethod
    def clean(project):
        """The project, as it was before it was made."""
        for made in (*project.glob("*.o"), *project.glob("program")):
            made.unlink()
        return project
