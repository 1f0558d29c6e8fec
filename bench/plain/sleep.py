"""usage: sleep.py N SECONDS; so many threads that each sleep once, from the first start to the last end."""
import resource
import sys
import threading
import time


def main():
    count, seconds = int(sys.argv[1]), float(sys.argv[2])
    begin, cpu = time.monotonic(), time.process_time()
    threads = [threading.Thread(target=time.sleep, args=(seconds,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"sleeps {time.monotonic() - begin:.4f} {time.process_time() - cpu:.4f} {peak_mb:.2f}")


if __name__ == "__main__":
    main()
