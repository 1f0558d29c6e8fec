"""threading's own primitives, queue and concurrent.futures."""
import concurrent.futures
import itertools
import queue
import threading
import time


def start_all(count, target):
    threads = [threading.Thread(target=target, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads


def join_all(threads):
    for thread in threads:
        thread.join()


def locks():
    lock, counter = threading.Lock(), itertools.count()
    total = [0]

    def add(_):
        for _ in range(50):
            with lock:
                before = total[0]
                if next(counter) % 40 == 0:
                    time.sleep(0.001)
                total[0] = before + 1

    join_all(start_all(10, add))
    with lock:
        before = time.monotonic()
        print("locks", total[0], lock.acquire(timeout=0.015))
        assert time.monotonic() - before >= 0.014


def conditions():
    condition, turn = threading.Condition(), [0]

    def take_turns(number):
        for _ in range(10):
            with condition:
                condition.wait_for(lambda: turn[0] % 5 == number)
                turn[0] += 1
                condition.notify_all()

    join_all(start_all(5, take_turns))
    with condition:
        print("conditions", turn[0], condition.wait(0.01))


def events_barriers_semaphores():
    event, barrier = threading.Event(), threading.Barrier(6)
    semaphore, inside, most = threading.BoundedSemaphore(2), [0], [0]
    order = []

    def run(number):
        event.wait()
        order.append("arrived")
        barrier.wait()
        order.append("left")
        with semaphore:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.002)
            inside[0] -= 1

    threads = start_all(6, run)
    print("event", event.wait(0.01))
    event.set()
    join_all(threads)
    print("order", order[:6] == ["arrived"] * 6, order[6:] == ["left"] * 6, most[0] <= 2)
    lonely = threading.Barrier(2)
    try:
        lonely.wait(timeout=0.01)
    except threading.BrokenBarrierError:
        print("barrier is broken")


def queues():
    tasks, results = queue.Queue(maxsize=3), queue.SimpleQueue()

    def work(_):
        while (task := tasks.get()) is not None:
            if task % 10 == 0:
                time.sleep(0.001)
            results.put(task * task)
            tasks.task_done()
        tasks.task_done()

    threads = start_all(4, work)
    for task in range(100):
        tasks.put(task)
    tasks.join()
    for _ in threads:
        tasks.put(None)
    join_all(threads)
    print("queues", results.qsize(), sum(results.get() for _ in range(100)))
    try:
        results.get(timeout=0.01)
    except queue.Empty:
        print("empty")


def futures():
    def square(number):
        time.sleep(0.001 * (number % 5))
        if number == 13:
            raise ValueError(f"unlucky {number}")
        return number * number

    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        print("map", sum(pool.map(square, range(10))))
        submitted = [pool.submit(square, number) for number in range(10, 20)]
        done, not_done = concurrent.futures.wait(submitted, timeout=60)
        print("wait", len(done), len(not_done), submitted[3].exception())
        release = threading.Event()
        pending = pool.submit(release.wait, 60)
        try:
            pending.result(timeout=0.01)
        except concurrent.futures.TimeoutError:
            print("not yet")
        release.set()
        print("now", pending.result())


def thread_locals():
    local, seen = threading.local(), [None] * 8

    def run(number):
        local.value = number
        for _ in range(5):
            time.sleep(0.001)
            local.value += 10
        seen[number] = (local.value, threading.current_thread().name != "MainThread")

    local.value = "main"
    join_all(start_all(8, run))
    print("locals", seen, local.value)


def timers_and_daemons():
    fired = threading.Event()
    timer = threading.Timer(0.005, fired.set)
    timer.start()
    print("timer", fired.wait(60))
    timer.join()
    cancelled = threading.Timer(100, fired.clear)
    cancelled.start()
    cancelled.cancel()
    cancelled.join()
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    print("alive", threading.active_count())


def sleepers():
    lines = []

    def sleep(number):
        lines.append((number, "before"))
        time.sleep(0.3)
        lines.append((number, "after"))

    join_all(start_all(1000, sleep))
    print("sleepers", len(lines), len(set(lines)))


for case in (
    locks,
    conditions,
    events_barriers_semaphores,
    queues,
    futures,
    thread_locals,
    timers_and_daemons,
    sleepers,
):
    case()
