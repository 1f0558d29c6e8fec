"""time.thread_time, and the CPU clock of another thread."""
import threading
import time


def check(good, what):
    if not good:
        print("FAILED", what)


def spin():
    begin = time.thread_time()
    while time.thread_time() - begin < 0.1:
        pass
    check(time.thread_time() - begin < 1, "spin")


def sleep():
    begin = time.thread_time()
    for _ in range(20):
        time.sleep(0.005)
    check(time.thread_time() - begin < 0.05, "sleep")


threads = [threading.Thread(target=body) for body in (spin, sleep, sleep)]
begin = time.process_time()
for thread in threads:
    thread.start()
clock = time.pthread_getcpuclockid(threads[0].ident)
seen = [time.clock_gettime(clock) for _ in range(20)]
check(seen == sorted(seen), "another thread's clock goes back")
for thread in threads:
    thread.join()
check(time.process_time() - begin >= 0.1, "process")
main = time.pthread_getcpuclockid(threading.get_ident())
check(abs(time.clock_gettime(main) - time.thread_time()) < 0.02, "main")
print("done")
