"""The machine, and the versions of what was measured and of what measured."""
import os
import platform
import re
import subprocess

from programs import first_match

PACKAGES = ("libboost-fiber1.81-dev", "libbenchmark-dev", "liburing-dev", "libst-dev", "libpth-dev",
            "golang-go", "python3-gevent", "python3")


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def compiler_of(build):
    command = first_match(r'"command": "(?:ccache )?(\S+)', build / "compile_commands.json")
    return output_of(command, "--version").partition("\n")[0] or "unknown"


def versions():
    listed = output_of("dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES)
    return dict(line.split() for line in listed.splitlines())


def describe(build, source):
    """Load: how many wanted a CPU when this was asked, on average over the last minute."""
    return {
        "cpu": first_match(r"model name\s*: (.*)", "/proc/cpuinfo"),
        "cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)),
        "memory_mb": int(re.sub(r"\D", "", first_match(r"MemTotal:\s*(\d+)", "/proc/meminfo")) or 0)
        // 1024,
        "kernel": platform.release(),
        "libc": os.confstr("CS_GNU_LIBC_VERSION"),
        "compiler": compiler_of(build),
        "ramie": first_match(r'"version": "([^"]+)"', build / "meson-info" / "intro-projectinfo.json"),
        "commit": output_of("git", "-C", str(source), "rev-parse", "--short=12", "HEAD"),
        "versions": versions(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "load": os.getloadavg()[0],
    }
