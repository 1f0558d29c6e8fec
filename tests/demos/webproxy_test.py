#!/usr/bin/env python3
"""The web proxy: pages through it by http and through a tunnel, many at a time."""

import concurrent.futures
import http.client
import urllib.request

import demo
import services
from site_of_pages import Site

TEXT = "text/plain"


class WebProxy(demo.ServerCase):
    server = "webproxy"

    def opener(self, server):
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({"http": f"http://127.0.0.1:{server.port}"}))

    def test_it_passes_pages_and_what_is_posted(self):
        opener = self.opener(self.start_server())
        large = b"0123456789" * 200_000
        with Site({"/": (TEXT, "the page"), "/large?a=b": (TEXT, large)}) as site:
            for path, expected in ("/", b"the page"), ("", b"the page"), ("/large?a=b", large):
                with opener.open(site.base + path, timeout=demo.PATIENCE) as answer:
                    self.assertEqual(answer.read(), expected)
            with opener.open(site.base + "/post", large, timeout=demo.PATIENCE) as answer:
                self.assertEqual(answer.read(), large)
            with opener.open(f"http://localhost:{site.port}/", timeout=demo.PATIENCE) as answer:
                self.assertEqual(answer.read(), b"the page")

    def test_100_pages_that_take_their_time_come_together(self):
        opener = self.opener(self.start_server())

        def get(number):
            with opener.open(f"{site.base}/{number}", timeout=demo.PATIENCE) as answer:
                return answer.read()

        with Site({f"/{i}": (TEXT, f"page {i}") for i in range(100)}, delay=0.3) as site:
            with concurrent.futures.ThreadPoolExecutor(50) as clients:
                self.assertEqual(list(clients.map(get, range(100))),
                                 [b"page %d" % i for i in range(100)])
        self.assertGreater(site.most_at_once, 5)

    def test_a_tunnel_leads_there_and_back(self):
        server = self.start_server()
        with Site({"/": (TEXT, "the page")}) as site:
            client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=demo.PATIENCE)
            client.set_tunnel("127.0.0.1", site.port)
            client.request("GET", "/")
            self.assertEqual(client.getresponse().read(), b"the page")
            client.close()
        server.wait_for("CONNECT 127.0.0.1:")

    def test_what_cannot_be_reached_is_a_bad_gateway(self):
        server = self.start_server()
        opener = self.opener(server)
        with self.assertRaises(urllib.error.HTTPError) as refused:
            opener.open(f"http://127.0.0.1:{services.free_port()}/", timeout=demo.PATIENCE)
        self.assertEqual(refused.exception.code, 502)
        self.assertIn(b"Connection refused", refused.exception.read())
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=demo.PATIENCE)
        client.request("GET", "/not-for-a-proxy")
        self.assertEqual(client.getresponse().status, 400)
        client.close()

    def test_what_is_not_http_harms_nobody(self):
        server = self.start_server()
        with server.connect() as rude:
            rude.sendall(b"\0\r\n" * 1000)
            server.wait_for("a client's connection: ")


if __name__ == "__main__":
    demo.main()
