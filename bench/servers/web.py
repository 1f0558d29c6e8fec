"""Servers of HTTP, and of TLS before it; `ab` asks."""
import os
import pathlib

from server import Failure, Server, number_in, output_of

REQUESTS = 80_000
PAGE = "x" * 1000


def ab(url, connections, share, keep=True):
    requests = max(connections, round(REQUESTS * share))
    told = output_of(["ab", "-q", *(["-k"] if keep else []), "-s", "60", "-c", str(connections),
                      "-n", str(requests), url])
    if number_in(r"Failed requests:\s+(\d+)", told) != 0 or "Non-2xx responses" in told:
        raise Failure("ab got wrong answers")
    return number_in(r"Requests per second:\s+([\d.]+)", told), requests


class Varnish(Server):
    """A thread for each connection that has work. The answer is made by its own configuration."""

    name = "Varnish"

    def prepare(self):
        (self.folder / "answer.vcl").write_text(
            'vcl 4.1;\nbackend none none;\nsub vcl_recv { return (synth(200)); }\n'
            f'sub vcl_synth {{ synthetic("{PAGE}"); return (deliver); }}\n', encoding="utf-8")

    def command(self):
        return ["varnishd", "-F", "-a", f"127.0.0.1:{self.port}", "-f", self.folder / "answer.vcl",
                "-n", self.folder / "work", "-j", "none", "-p", "thread_pool_max=1000",
                "-p", "thread_pools=2",
                "-p", "timeout_idle=120"]

    def load(self, connections, share):
        return ab(f"http://127.0.0.1:{self.port}/", connections, share)


class Apache(Server):
    """One file of 1 kB, by processes of 64 threads each."""

    module, keep = "", True

    def prepare(self):
        (self.folder / "index.html").write_text(PAGE, encoding="utf-8")
        modules = pathlib.Path("/usr/lib/apache2/modules")
        user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
        os.chmod(self.folder, 0o755)  # for that user
        (self.folder / "conf").write_text(
            f"ServerRoot {self.folder}\nServerName localhost\nListen 127.0.0.1:{self.port}\n"
            f"PidFile {self.folder}/pid\nErrorLog {self.folder}/error\n{user}"
            f"DocumentRoot {self.folder}\nDefaultRuntimeDir {self.folder}\n"
            f"LoadModule mpm_{self.module}_module {modules}/mod_mpm_{self.module}.so\n"
            f"LoadModule authz_core_module {modules}/mod_authz_core.so\n"
            "StartServers 2\nServerLimit 20\nThreadsPerChild 64\nThreadLimit 64\n"
            "MaxRequestWorkers 1280\nMaxSpareThreads 1280\nMaxKeepAliveRequests 0\nKeepAliveTimeout 60\n"
            "ListenBacklog 1500\n", encoding="utf-8")

    def command(self):
        return ["apache2", "-DFOREGROUND", "-f",
                self.folder / "conf"]

    def load(self, connections, share):
        return ab(f"http://127.0.0.1:{self.port}/index.html", connections, share, self.keep)


class ApacheWorker(Apache):
    name, module = "Apache, worker", "worker"


class ApacheEvent(Apache):
    """It hangs up on connections that wait for their next question when it is busy, which ab counts
    as failures: so each question has a connection of its own."""

    name, module, keep = "Apache, event", "event", False


class Stunnel(Server):
    """A thread for each connection, TLS to the client, and behind it a Varnish that is always
    native."""

    name = "stunnel"

    def prepare(self):
        key = self.folder / "key.pem"
        output_of(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                   "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(key)])
        behind = self.folder / "behind"
        behind.mkdir()
        self.behind = Varnish(behind, [])
        self.behind.__enter__()
        (self.folder / "conf").write_text(
            f"foreground = yes\npid =\ndebug = 3\n[web]\naccept = 127.0.0.1:{self.port}\n"
            f"connect = 127.0.0.1:{self.behind.port}\ncert = {key}\n", encoding="utf-8")

    def command(self):
        return ["stunnel4", self.folder / "conf"]

    def load(self, connections, share):
        return ab(f"https://127.0.0.1:{self.port}/", connections, share)

    def end(self):
        super().end()
        self.behind.end()
