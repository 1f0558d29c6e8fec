"""An echo server with a greenlet for each connection, until it is killed."""
import resource

import gevent
from gevent import socket


def serve(peer):
    peer.setblocking(1)
    try:
        while data := peer.recv(4096):
            peer.sendall(data)
    except OSError:
        pass  # a client that goes away
    finally:
        peer.close()


def main():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    doors = socket.socket()
    doors.bind(("127.0.0.1", 0))
    doors.listen(4096)
    print("listening on 127.0.0.1:%d" % doors.getsockname()[1], flush=True)
    while True:
        gevent.spawn(serve, doors.accept()[0])


if __name__ == "__main__":
    main()
