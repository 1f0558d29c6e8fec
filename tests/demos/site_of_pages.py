"""A web site for those who read the web: pages from a dictionary, each after a while, and a note of
how many were asked for at the same time."""

import contextlib
import http.server
import threading
import time


class Site:
    """`pages`: path -> (type, body). What is posted comes back."""

    def __init__(self, pages, delay=0.0):
        self.pages = pages
        self.delay = delay
        self.asked = []
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def _counted(self, path):
        with self._lock:
            self.asked.append(path)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1

    def _handler(self):
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                with site._counted(self.path):
                    time.sleep(site.delay)
                kind, body = site.pages.get(self.path, ("text/plain", None))
                if body is None:
                    self._answer(404, kind, "not here\n")
                else:
                    self._answer(200, kind, body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(200, "application/octet-stream", body)

            def _answer(self, status, kind, body):
                data = body if isinstance(body, bytes) else body.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        return Handler

    def __enter__(self):
        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 1000

        self.server = Server(("127.0.0.1", 0), self._handler())
        self.port = self.server.server_address[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
