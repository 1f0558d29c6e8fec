"""gevent, as the others are measured.

measure.py yield N TURNS | one_by_one N | burst N | handover PAIRS ROUNDS | memory N |
           sleeps N MOST_US | skynet LEAVES | primitives N
"""
import pathlib
import re
import resource
import sys
import time

import gevent
import gevent.event
import gevent.hub
import gevent.lock

import primitives


def now():
    return time.monotonic_ns(), time.process_time_ns()


def tell(name, begin, operations):
    """ns and ns of CPU time for each of the operations since begin."""
    print(name, *(round((end - start) / operations, 2) for start, end in zip(begin, now())))


def tell_whole(name, begin):
    """Seconds, seconds of CPU time, and the most memory that the process has had, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(name, *((end - start) / 1e9 for start, end in zip(begin, now())), peak)


def random_below(seed, most):
    """The generator of figures.h."""
    state = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
    return (state >> 33) % most


def measure_yield(count, turns):
    """Greenlets take turns by sleep(0), the main one among them."""
    stop, taken = False, 0

    def take_turns():
        nonlocal taken
        while not stop:
            taken += 1
            gevent.sleep(0)

    others = [gevent.spawn(take_turns) for _ in range(count - 1)]
    gevent.sleep(0)
    passes, before = max(1, turns // count), taken
    begin = now()
    for _ in range(passes):
        gevent.sleep(0)
    tell("switch", begin, passes * count)
    assert abs(taken - before - passes * (count - 1)) <= count, "not everyone had each turn"
    stop = True
    gevent.joinall(others)


def nothing():
    """What a greenlet runs whose start and end alone are of interest."""


def measure_one_by_one(count):
    begin = now()
    for _ in range(count):
        gevent.spawn(nothing).join()
    tell("spawn", begin, count)


def measure_burst(count):
    for name in ("cold", "warm"):
        begin = now()
        gevent.joinall([gevent.spawn(nothing) for _ in range(count)])
        tell(name, begin, count)


def measure_handover(pairs, rounds):
    def take(mine, other):
        for _ in range(rounds):
            mine.acquire()
            other.release()

    greenlets = []
    begin = now()
    for _ in range(pairs):
        ping, pong = gevent.lock.Semaphore(1), gevent.lock.Semaphore(0)
        greenlets += [gevent.spawn(take, ping, pong), gevent.spawn(take, pong, ping)]
    gevent.joinall(greenlets)
    tell("handover", begin, 2 * rounds * pairs)


def memory_now():
    """Resident memory and page tables of the process, in bytes."""
    status = pathlib.Path("/proc/self/status").read_text(encoding="utf-8")
    return [int(re.search(rf"{name}:\s*(\d+)", status)[1]) * 1024 for name in ("VmRSS", "VmPTE")]


def park(count):
    """Bytes of memory and of page tables, ns to start it and ns to wake and end it, of each."""
    gate = gevent.event.Event()
    before = memory_now()
    begin = now()
    greenlets = [gevent.spawn(gate.wait) for _ in range(count)]
    gevent.sleep(0)
    parked = now()
    sizes = [(end - start) / count for start, end in zip(before, memory_now())]
    gate.set()
    gevent.joinall(greenlets)
    ended = now()
    return *sizes, (parked[0] - begin[0]) / count, (ended[0] - parked[0]) / count


def measure_memory(count):
    park(1)
    print("parked", *park(count))


def measure_sleeps(count, most_us):
    begin = now()
    gevent.joinall([gevent.spawn(gevent.sleep, random_below(i + 1, most_us) / 1e6)
                    for i in range(count)])
    tell_whole("sleeps", begin)


def add_up(first, leaves):
    if leaves == 1:
        return first
    each = leaves // 10
    children = [gevent.spawn(add_up, first + i * each, each) for i in range(10)]
    return sum(child.get() for child in children)


def measure_skynet(leaves):
    begin = now()
    total = gevent.spawn(add_up, 0, leaves).get()
    tell_whole("skynet", begin)
    assert total == leaves * (leaves - 1) // 2


def measure_primitives(count):
    for name, measure in primitives.ALL.items():
        begin = now()
        tell(name, begin, measure(count))


KNOWN = {
    "yield": measure_yield, "one_by_one": measure_one_by_one, "burst": measure_burst,
    "handover": measure_handover, "memory": measure_memory, "sleeps": measure_sleeps,
    "skynet": measure_skynet, "primitives": measure_primitives,
}

if __name__ == "__main__":
    KNOWN[sys.argv[1]](*map(int, sys.argv[2:]))
