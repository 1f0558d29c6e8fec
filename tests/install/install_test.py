#!/usr/bin/env python3
"""Installs into a temporary directory, and builds a small program outside of the tree against that:
by pkg-config, by CMake and by meson, each with the library alone and with the shim linked first.

install_test.py BUILD_DIR PREFIX LIBDIR PROGRAM.CC
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CMAKE = """cmake_minimum_required(VERSION 3.16)
project(out_of_tree CXX)
find_package(ramie REQUIRED)
add_executable(plain program.cc)
target_link_libraries(plain ramie::ramie)
add_executable(full program.cc)
target_link_libraries(full ramie::full)
"""
MESON = """project('out-of-tree', 'cpp', default_options: ['cpp_std=c++20'])
executable('plain', 'program.cc', dependencies: dependency('ramie'))
executable('full', 'program.cc', dependencies: dependency('ramie-full'))
"""


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def by_pkg_config(folder, environment):
    for name, package in (("plain", "ramie"), ("full", "ramie-full")):
        flags = run("pkg-config", "--cflags", "--libs", package, env=environment).split()
        run("c++", folder / "program.cc", *flags, "-o", folder / name)


def by_cmake(folder, environment, libdir):
    (folder / "CMakeLists.txt").write_text(CMAKE, encoding="utf-8")
    run("cmake", "-S", folder, "-B", folder, f"-Dramie_DIR={libdir}/cmake/ramie", env=environment)
    run("cmake", "--build", folder, env=environment)


def by_meson(folder, environment):
    (folder / "meson.build").write_text(MESON, encoding="utf-8")
    run("meson", "setup", folder / "build", folder, env=environment)
    run("meson", "compile", "-C", folder / "build", env=environment)
    for name in ("plain", "full"):
        shutil.copy(folder / "build" / name, folder / name)


def main():
    build, prefix, libdir, program = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch, "root")
        run("meson", "install", "-C", build, "--no-rebuild", "--destdir", root)
        libraries = root / prefix.lstrip("/") / libdir
        environment = os.environ | {
            "PKG_CONFIG_LIBDIR": str(libraries / "pkgconfig"),
            "PKG_CONFIG_SYSROOT_DIR": str(root),
            "LD_LIBRARY_PATH": str(libraries),
        }
        ways = {
            "pkg-config": lambda folder: by_pkg_config(folder, environment),
            "CMake": lambda folder: by_cmake(folder, environment, libraries),
            "meson": lambda folder: by_meson(folder, environment),
        }
        for way, make in ways.items():
            folder = pathlib.Path(scratch, way)
            folder.mkdir()
            shutil.copy(program, folder)
            make(folder)
            for name, patched in (("plain", 0), ("full", 1)):
                said = run(folder / name, env=environment)
                expected = f"sum 6, usleep patched: {patched}\n"
                if said != expected:
                    sys.exit(f"{way}, {name}: said {said!r} instead of {expected!r}")
                print(f"{way}, {name}: works")


if __name__ == "__main__":
    main()
