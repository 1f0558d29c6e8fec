"""Servers of data."""
import os

from server import Failure, Server, number_in, output_of

SECONDS = 5


class MariaDB(Server):
    """A thread for each connection. sysbench reads by key; some writing follows."""

    name = "MariaDB"

    def prepare(self):
        output_of(["mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data",
                   "--auth-root-authentication-method=normal", "--skip-test-db",
                   *(["--user=root"] if os.geteuid() == 0 else [])])

    def command(self):
        return ["mariadbd", "--no-defaults", f"--datadir={self.folder}/data", "--user=root",
                f"--socket={self.folder}/socket", f"--port={self.port}", "--bind-address=127.0.0.1",
                "--max-connections=1200", "--back-log=1200", "--innodb-flush-log-at-trx-commit=2",
                f"--pid-file={self.folder}/pid", "--table-open-cache=4000"]

    def sysbench(self, test, connections, *arguments, seconds=SECONDS):
        return output_of(["sysbench", test, "--db-driver=mysql", "--mysql-host=127.0.0.1",
                          f"--mysql-port={self.port}", "--mysql-user=bench", "--mysql-db=bench",
                          "--mysql-password=bench", "--tables=2", "--table-size=10000",
                          f"--threads={connections}", f"--time={seconds}", *arguments])

    def client(self, statement):
        return output_of(["mariadb", "--no-defaults", "-uroot", f"--socket={self.folder}/socket",
                          "-N", "-e", statement])

    def fill(self):
        self.client("create database bench; create user bench@localhost identified by 'bench';"
                    " create user bench@'127.0.0.1' identified by 'bench';"
                    " grant all on bench.* to bench@localhost;"
                    " grant all on bench.* to bench@'127.0.0.1'")
        self.sysbench("oltp_read_write", 2, "prepare")

    def load(self, connections, share):
        told = self.sysbench("oltp_point_select", connections, "run",
                             seconds=max(1, round(SECONDS * share)))
        if number_in(r"ignored errors:\s+(\d+)", told) != 0:
            raise Failure("sysbench met errors")
        return (number_in(r"queries:\s+\d+\s+\(([\d.]+) per sec", told),
                number_in(r"queries:\s+(\d+)", told))

    def check(self):
        """Some writing by many, after which each table must be whole."""
        self.sysbench("oltp_update_index", 64, "run", seconds=2)
        told = self.client("check table bench.sbtest1, bench.sbtest2")
        if told.count("OK") != 2:
            raise Failure(f"a table is damaged: {told}")
        if self.client("select count(*) from bench.sbtest1").strip() != "10000":
            raise Failure("rows are missing")


class Redis(Server):
    """With threads for reading and writing; redis-benchmark gets."""

    name = "Redis, 2 I/O threads"

    def command(self):
        return ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "",
                "--appendonly", "no", "--io-threads", 2, "--io-threads-do-reads", "yes",
                "--maxclients", 2000, "--dir", self.folder]

    def load(self, connections, share):
        requests = max(connections, round(80_000 * share))
        told = output_of(["redis-benchmark", "-p", str(self.port), "-c", str(connections), "-n",
                          str(requests), "-r", "1000", "-t", "get", "--csv"])
        return number_in(r'^"GET","([\d.]+)"', told), requests


class Memcached(Server):
    """With 4 threads; memcslap gets, by a thread for each connection."""

    name = "memcached, 4 threads"

    def command(self):
        return ["memcached", "-p", self.port, "-l", "127.0.0.1", "-t", 4, "-c", 4096, "-u",
                "nobody" if os.geteuid() == 0 else "", "-U", 0]

    def load(self, connections, share):
        each = max(1, round(300_000 * share / connections))
        told = output_of(["memcslap", f"--servers=127.0.0.1:{self.port}",
                          f"--concurrency={connections}", f"--execute-number={each}", "--test=get"])
        seconds = number_in(r"^Time to get.*:\s+([\d.]+) seconds", told)
        return each * connections / seconds, each * connections
