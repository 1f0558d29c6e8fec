"""An echo server of the bench and the client, each on a CPU of its own where there are two."""
import os
import select
import subprocess

from programs import PATIENCE_S, Failure, NotHosted, Program, first_cpu, last_cpu, prepare_process
from programs import preload, read_figures

class EchoProgram(Program):
    """A server is started for each run, served from by the client, and killed."""

    def __init__(self, kind, name, connections, requests, command, build, mode=None,
                 poller="auto", **more):
        super().__init__(kind, {"echo": name}, command, **more)
        self.connections, self.requests, self.mode = connections, requests, mode
        self.client = build / "bench" / "echo_client"
        if mode:
            self.environment = {"LD_PRELOAD": str(preload(build)), "RAMIE_FS": mode}
        self.environment = self.environment | {"RAMIE_POLLER": poller}

    def run(self):
        server = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            stdin=subprocess.DEVNULL, env=os.environ | self.environment,
            preexec_fn=prepare_process(first_cpu()),
        )
        try:
            return self.ask(server)
        except Failure as failure:
            server.kill()
            said = server.communicate()[1].strip()[-300:]
            raise type(failure)(f"{failure}; the server: {said}") from failure
        finally:
            server.kill()
            server.communicate()

    def ask(self, server):
        if not select.select([server.stdout], [], [], PATIENCE_S)[0]:
            raise Failure("the server does not start")
        line = server.stdout.readline()
        port = line.rpartition(":")[2].strip()
        if not port.isdigit():
            raise Failure(f"the server says {line!r}")
        client = Program(self.kind, self.names,
                         [self.client, port, self.connections, self.requests, server.pid])
        client.cpus = last_cpu()
        figures = read_figures(client.start(), self.names)
        tasks = next(iter(figures.values()))[-1]
        if self.mode and tasks > self.connections:
            raise NotHosted("its threads are not hosted")
        return figures
