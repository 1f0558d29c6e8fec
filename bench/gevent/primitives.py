"""gevent's primitives: each function does N operations, and returns how many it did."""
import gevent
import gevent.event
import gevent.lock
import gevent.pool
import gevent.queue


def mutex(count):
    lock = gevent.lock.BoundedSemaphore(1)
    for _ in range(count):
        lock.acquire()
        lock.release()
    return count


def contended(count):
    """Four hold it by turns, each while the others have a turn."""
    lock = gevent.lock.BoundedSemaphore(1)

    def hold():
        for _ in range(count // 4):
            with lock:
                gevent.sleep(0)

    gevent.joinall([gevent.spawn(hold) for _ in range(4)])
    return count // 4 * 4


def channel(count):
    return pass_through(gevent.queue.Channel(), count)


def buffered(count):
    return pass_through(gevent.queue.Queue(128), count)


def queue(count):
    return pass_through(gevent.queue.Queue(), count)


def pass_through(way, count):
    """One puts, the other gets."""

    def put():
        for i in range(count):
            way.put(i)

    other = gevent.spawn(put)
    for _ in range(count):
        way.get()
    other.join()
    return count


def future(count):
    """Each is made by one greenlet, fulfilled by another one, and waited for."""
    promises = gevent.queue.Channel()

    def fulfil():
        for _ in range(count):
            promises.get().set(1)

    other = gevent.spawn(fulfil)
    for _ in range(count):
        promise = gevent.event.AsyncResult()
        promises.put(promise)
        promise.get()
    other.join()
    return count


def nothing():
    """A task."""


def pool(count):
    """Ten places."""
    ten = gevent.pool.Pool(10)
    for _ in range(count):
        ten.spawn(nothing)
    ten.join()
    return count


ALL = {"mutex": mutex, "contended": contended, "semaphore": mutex, "channel": channel,
       "buffered": buffered, "queue": queue, "future": future, "pool": pool}
