"""A WebSocket client of a few lines, for text messages (RFC 6455)."""

import base64
import os
import socket
import struct


class WebSocket:
    def __init__(self, port, path="/chat", timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.reader = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = []
        while line := self.reader.readline().strip():
            head.append(line)
        if b" 101 " not in head[0]:
            raise ConnectionError(head)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.abort()

    @staticmethod
    def _frame(kind, data):
        mask = os.urandom(4)
        head = bytes([0x80 | kind])
        if len(data) < 126:
            head += bytes([0x80 | len(data)])
        else:
            head += bytes([0x80 | 126]) + struct.pack(">H", len(data))
        pattern = (mask * (len(data) // 4 + 1))[:len(data)]
        masked = int.from_bytes(data, "big") ^ int.from_bytes(pattern, "big")
        return head + mask + masked.to_bytes(len(data), "big")

    def send(self, text):
        self.send_all([text])

    def send_all(self, texts):
        """By one call, so that they arrive together."""
        self.socket.sendall(b"".join(self._frame(1, text.encode()) for text in texts))

    def ping(self, data):
        self.socket.sendall(self._frame(9, data))

    def close(self):
        """Says that it goes; receive() then gives None."""
        self.socket.sendall(self._frame(8, struct.pack(">H", 1000)))

    def abort(self):
        self.reader.close()
        self.socket.close()

    def receive(self):
        """The next text; None when the server has closed, ("pong", data) for a pong."""
        text = b""
        while True:
            head = self.reader.read(2)
            if len(head) < 2:
                return None
            kind, size = head[0] & 0x0F, head[1] & 0x7F
            if size == 126:
                size, = struct.unpack(">H", self.reader.read(2))
            data = self.reader.read(size)
            if kind == 8:
                return None
            if kind == 10:
                return "pong", data
            text += data
            if head[0] & 0x80:
                return text.decode()

    def receive_until(self, wanted):
        """Takes messages until this one."""
        seen = []
        while (message := self.receive()) != wanted:
            if message is None:
                raise ConnectionError(f"the end instead of {wanted!r}, after {seen}")
            seen.append(message)
        return seen
