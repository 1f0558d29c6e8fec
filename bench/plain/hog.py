"""usage: hog.py MILLISECONDS; hog.c in python3: what a thread that computes does to the others."""
import socket
import sys
import threading
import time

SLEEP_S, PAUSE_S, SLEEPERS = 0.01, 0.001, 50


def percentiles(name, samples):
    samples.sort()
    middle, late = samples[len(samples) // 2], samples[len(samples) * 99 // 100]
    print(f"{name} {middle * 1e6:.1f} {late * 1e6:.1f}")


def main():
    ends_at = time.monotonic() + int(sys.argv[1]) / 1000
    late, trips, is_over = [], [], threading.Event()
    near, far = socket.socketpair()

    def compute():
        x = 1
        while not is_over.is_set():
            for _ in range(1000):
                x = x * 48271 % 2147483647

    def sleep_often():
        while not late or time.monotonic() < ends_at:
            begin = time.monotonic()
            time.sleep(SLEEP_S)
            late.append(time.monotonic() - begin - SLEEP_S)

    def answer():
        while byte := far.recv(1):
            far.send(byte)

    def ask():
        while not trips or time.monotonic() < ends_at:
            begin = time.monotonic()
            near.send(b"x")
            near.recv(1)
            trips.append(time.monotonic() - begin)
            time.sleep(PAUSE_S)
        near.shutdown(socket.SHUT_RDWR)

    hog = threading.Thread(target=compute)
    others = [threading.Thread(target=body) for body in (answer, ask, *[sleep_often] * SLEEPERS)]
    for thread in (hog, *others):
        thread.start()
    for thread in others:
        thread.join()
    is_over.set()
    hog.join()
    percentiles("late", late)
    percentiles("trip", trips)


main()
