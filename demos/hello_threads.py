"""Says hello, sleeps for three seconds, says goodbye; in N threads at once.

    python3 hello_threads.py [N] [SECONDS]
"""
import sys
import threading
import time

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 3


def greet(number):
    print(f"{number}: hello\n", end="")
    time.sleep(SECONDS)
    print(f"{number}: goodbye\n", end="")


threads = [threading.Thread(target=greet, args=(number,)) for number in range(COUNT)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
