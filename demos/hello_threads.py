"""Says hello, sleeps for three seconds, says goodbye; in N threads at once.

    python3 hello_threads.py [N] [SECONDS]
"""
import sys
import threading
import time

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 3


# python3.11's print() may lose lines which several threads print at once (CPython issue 118138).
printing = threading.Lock()


def say(line):
    with printing:
        print(line)


def greet(number):
    say(f"{number}: hello")
    time.sleep(SECONDS)
    say(f"{number}: goodbye")


threads = [threading.Thread(target=greet, args=(number,)) for number in range(COUNT)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
