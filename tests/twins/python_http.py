"""ThreadingHTTPServer, fetched by 200 threads of the same process."""
import hashlib
import http.client
import http.server
import threading

CLIENTS = 200


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = (self.path * 300).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = hashlib.sha256(body).hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


def fetch(port, number, results):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", f"/page/{number}")
    page = connection.getresponse().read().decode()
    text = (f"upload {number} " * 5000).encode()
    connection.request("POST", "/upload", body=text)
    digest = connection.getresponse().read().decode()
    connection.close()
    results[number] = (
        page == f"/page/{number}" * 300,
        digest == hashlib.sha256(text).hexdigest(),
    )


def main():
    server = Server(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    results = [None] * CLIENTS
    clients = [
        threading.Thread(target=fetch, args=(server.server_address[1], number, results))
        for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    server.shutdown()
    serving.join()
    server.server_close()
    print("pages", sum(result[0] for result in results if result))
    print("digests", sum(result[1] for result in results if result))


main()
