"""An echo server with a thread for each connection, until it is killed."""
import resource
import socket
import threading


def serve(peer):
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
        threading.Thread(target=serve, args=(doors.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main()
