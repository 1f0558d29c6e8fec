#!/usr/bin/env python3
"""The concurrent download: what came is what was sent, and the transfers were under way together."""

import http.server
import re
import threading

import demo


class SlowServer(http.server.ThreadingHTTPServer):
    """Answers only when so many requests are waiting at the same time."""

    request_queue_size = 200
    daemon_threads = True

    def __init__(self, together):
        super().__init__(("127.0.0.1", 0), Handler)
        self.all_here = threading.Barrier(together, timeout=demo.PATIENCE)
        self.url = f"http://127.0.0.1:{self.server_port}/%d"

    def handle_error(self, *_):
        """A client that goes away is none."""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        number = int(self.path[1:])
        self.server.all_here.wait()
        if number == 13 and self.server.all_here.parties == 1:
            self.send_error(404)
            return
        body = f"page {number}\n".encode() * (1 + number)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class ConcurrentDownload(demo.Case):
    def serve(self, together):
        server = SlowServer(together)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def test_a_hundred_transfers_are_under_way_at_once(self):
        server = self.serve(together=100)
        said = self.run_demo("concurrent_download", server.url)
        pages = dict(re.findall(r"^(\d+: \d+) bytes: (.*)$", said, re.MULTILINE))
        self.assertEqual(
            pages,
            {f"{n}: {(1 + n) * len(f'page {n} ')}": f"page {n}" for n in range(100)},
        )

    def test_no_more_than_asked_for_are_under_way(self):
        server = self.serve(together=10)
        said = self.run_demo("concurrent_download", server.url, 40, 10)
        self.assertIn("40 transfers, ", said)

    def test_a_failed_transfer_is_said(self):
        server = self.serve(together=1)
        status, error = self.refused("concurrent_download", server.url, 20, 5)
        self.assertEqual(status, 1)
        self.assertIn("/13: HTTP response code said error", error)

    def test_its_own_server_makes_it_a_demonstration(self):
        said = self.run_demo("concurrent_download")
        last = re.search(r"^100 transfers, 1450000 bytes, ([\d.]+) s$", said, re.MULTILINE)
        self.assertTrue(last, said)
        self.assertGreaterEqual(float(last[1]), 0.1)
        self.assertLess(float(last[1]), 8, "one after the other takes 10 s")


if __name__ == "__main__":
    demo.main()
