#!/usr/bin/env python3
"""The HTTP and the HTTPS server: pages, a connection that stays, many that wait at a time."""

import concurrent.futures
import http.client
import ssl
import subprocess
import tempfile
import time

import demo


class HttpServer(demo.ServerCase):
    server = "http_server"

    def client(self, server):
        return http.client.HTTPConnection("127.0.0.1", server.port, timeout=demo.PATIENCE)

    def get(self, client, path, body=None):
        client.request("POST" if body else "GET", path, body)
        answer = client.getresponse()
        return answer.status, answer.read()

    def test_it_serves_one_request_after_the_other(self):
        client = self.client(self.start_server())
        self.assertEqual(self.get(client, "/"), (200, b"hello\n"))
        first = client.sock
        body = b"0123456789" * 50_000
        self.assertEqual(self.get(client, "/echo", body), (200, body))
        self.assertEqual(self.get(client, "/none"), (404, b"there is no /none\n"))
        self.assertIs(client.sock, first, "the connection did not stay")
        client.close()

    def test_200_requests_that_sleep_are_served_together(self):
        server = self.start_server()

        def ask(_):
            client = self.client(server)
            answer = self.get(client, "/slow")
            client.close()
            return answer

        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(100) as clients:
            self.assertEqual(set(clients.map(ask, range(200))), {(200, b"good morning\n")})
        self.assertLess(time.monotonic() - begin, 15)  # of 20 s, one after the other

    def test_what_is_not_http_harms_nobody(self):
        server = self.start_server()
        with server.connect() as rude:
            rude.sendall(b"\0" * 20_000)
            server.wait_for("a client's ")
        client = self.client(server)
        self.assertEqual(self.get(client, "/"), (200, b"hello\n"))
        client.close()

    def test_a_stop_waits_for_nobody_for_ever(self):
        server = self.start_server()
        client = self.client(server)
        self.assertEqual(self.get(client, "/"), (200, b"hello\n"))
        self.assertEqual(server.stop(), 0)
        client.close()


class HttpsServer(HttpServer):
    server = "https_server"

    def client(self, server):
        trusting = ssl._create_unverified_context()
        return http.client.HTTPSConnection(
            "127.0.0.1", server.port, timeout=demo.PATIENCE, context=trusting)

    def test_it_shows_the_certificate_that_it_is_given(self):
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = folder + "/certificate.pem", folder + "/key.pem"
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-noenc", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
                 "-days", "2", "-keyout", key, "-out", certificate],
                check=True, capture_output=True)
            server = self.start("https_server", 0, certificate, key)
            strict = ssl.create_default_context(cafile=certificate)
            client = http.client.HTTPSConnection("127.0.0.1", server.port, context=strict)
            self.assertEqual(self.get(client, "/"), (200, b"hello\n"))
            client.close()


if __name__ == "__main__":
    demo.main()
