"""The servers that demos are clients of, each started by a test, on a port of the kernel's choice or
nearly so, with its files in a temporary directory."""

import contextlib
import os
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
        def command(port):
            return ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                    "--dir", folder]

        with on_a_free_port(command, answers_ping) as port:
            yield port


@contextlib.contextmanager
def on_a_free_port(command, is_up, environment=None):
    """Runs command(port), waits for is_up(port), and gives the port. A server that ends before it is up
    gets another port: the one that was free may have gone, or was free for TCP and not for UDP."""
    for _ in range(20):
        port = free_port()
        with tempfile.TemporaryFile() as log:
            server = subprocess.Popen(
                [*ENDS_WITH_US, *command(port)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | (environment or {}),
            )
            try:
                if comes_up(server, lambda: is_up(port)):
                    yield port
                    return
            finally:
                server.terminate()
                server.wait(PATIENCE)
            log.seek(0)
            said = log.read()
    raise AssertionError(f"{command(port)[0]} does not start: {said}")


def free_port():
    """A port that nobody had a moment ago: for servers that can't be told to choose one."""
    with socket.create_server(("127.0.0.1", 0)) as asked:
        return asked.getsockname()[1]


def comes_up(server, is_up):
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        if is_up():
            return server.poll() is None
        time.sleep(0.01)
    return False


def answers_ping(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as peer:
        peer.sendall(b"PING\r\n")
        return peer.recv(100) == b"+PONG\r\n"
    return False
