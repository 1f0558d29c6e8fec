"""The servers that demos are clients of, each started by a test, on a port of the kernel's choice or
nearly so, with its files in a temporary directory."""

import contextlib
import socket
import subprocess
import tempfile
import time

PATIENCE = 60
# In front of a command: it ends with the test, also with one that is killed.
ENDS_WITH_US = ["setpriv", "--pdeathsig", "TERM"]


@contextlib.contextmanager
def redis():
    """A redis-server that keeps nothing on disk; gives its port."""
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(10):
            port = free_port()
            server = subprocess.Popen(
                [*ENDS_WITH_US, "redis-server", "--port", str(port), "--bind", "127.0.0.1",
                 "--save", "", "--dir", folder],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            try:
                if answers(server, port):
                    yield port
                    return
            finally:
                server.terminate()
                server.wait(PATIENCE)
    raise AssertionError("redis-server does not start")


def free_port():
    """A port that nobody had a moment ago: for servers that can't be told to choose one."""
    with socket.create_server(("127.0.0.1", 0)) as asked:
        return asked.getsockname()[1]


def answers(server, port):
    """Waits until it takes connections; false if it ends instead, as when the port has gone."""
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as peer:
            peer.sendall(b"PING\r\n")
            return peer.recv(100) == b"+PONG\r\n"
        time.sleep(0.01)
    return False
