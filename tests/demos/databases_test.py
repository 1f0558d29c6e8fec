#!/usr/bin/env python3
"""Blocking clients of databases: many at a time on one kernel thread, against real servers."""

import glob
import os
import tempfile

import demo
import services


class PostgresPool(demo.Case):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        os.chmod(self.folder, 0o755)  # the server may be another user
        self.environment = {"TMPDIR": self.folder}

    def test_200_sleeping_queries_take_the_time_of_a_few(self):
        said = self.run_demo("postgres_pool", environment=self.environment)
        self.assertRegex(said, "PostgreSQL 1[0-9]")
        self.assertRegex(said, r"200 times `select pg_sleep\(0\.1\)`, 50 connections: ")
        seconds = float(said.split()[-2])
        self.assertGreaterEqual(seconds, 0.4)  # four turns of 50
        self.assertLess(seconds, 10)  # of 20 s, one after the other
        self.assertEqual(glob.glob(self.folder + "/*"), [])

    def test_a_stop_takes_the_server_along(self):
        started = self.start("postgres_pool", environment=self.environment)
        started.wait_for("starting a PostgreSQL")
        self.assertEqual(started.stop(), 0)
        self.assertEqual(glob.glob(self.folder + "/*"), [])

    def test_a_missing_database_is_said_in_one_line(self):
        status, error = self.refused("postgres_pool", f"host={self.folder} dbname=x")
        self.assertEqual(status, 1)
        self.assertIn("No such file or directory", error)


class RedisClient(demo.Case):
    def test_1000_fibers_talk_at_the_same_time(self):
        with services.redis() as port:
            said = self.run_demo("redis_client", port, 1000)
        self.assertIn("Redis has 1002 clients, 1002 of them ours", said)
        self.assertIn("1000 visits counted, 500 of 500 messages passed on", said)

    def test_a_missing_redis_is_said_in_one_line(self):
        status, error = self.refused("redis_client", services.free_port())
        self.assertEqual(status, 1)
        self.assertIn("Connection refused", error)


if __name__ == "__main__":
    demo.main()
