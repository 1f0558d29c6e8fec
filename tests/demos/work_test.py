#!/usr/bin/env python3
"""The demos without a network: child processes, kernel threads, producers and consumers."""

import pathlib
import re
import tempfile

import demo


class Processes(demo.Case):
    def test_children_run_at_once_are_watched_and_killed(self):
        said = self.run_demo("processes", 100).splitlines()
        first = re.fullmatch(r"100 children of 0\.2 s each sorted in ([\d.]+) s", said[0])
        self.assertTrue(first, said)
        self.assertLess(float(first[1]), 16, "one after the other takes 20 s")
        self.assertEqual(
            said[1:],
            [
                "the child says one",
                "the child says two",
                "the child says three",
                "and leaves with status 0",
                "one that took too long was killed",
            ],
        )


class ThreadPool(demo.Case):
    def test_a_fiber_ticks_while_threads_compute_and_block(self):
        said = self.run_demo("threadpool", 1_000_000)
        self.assertIn("78498 primes below 1000000\n", said)
        self.assertGreater(int(re.search(r"the ticks of a fiber: (\d+)", said)[1]), 0)
        took = float(re.search(r"50 calls that block for 0\.1 s: ([\d.]+) s", said)[1])
        self.assertLess(took, 4, "one after the other takes 5 s")
        self.assertIn("thrown on a thread, caught on a fiber\n", said)


class ProducerConsumer(demo.Case):
    def test_each_job_is_done_once_and_few_wait(self):
        said = self.run_demo("producer_consumer", 60, 3, 5)
        done = sorted(map(int, re.findall(r"^consumer \d+: job (\d+)$", said, re.MULTILINE)))
        self.assertEqual(done, list(range(60)))
        self.assertEqual(len(re.findall("failed$", said, re.MULTILINE)), 6)
        self.assertEqual(len(set(re.findall(r"^consumer (\d+)", said, re.MULTILINE))), 5)
        self.assertTrue(said.endswith("60 jobs done, at most 4 waiting\n"), said)

    def test_more_producers_than_room_and_one_consumer_come_to_an_end(self):
        said = self.run_demo("producer_consumer", 20, 10, 1)
        self.assertTrue(said.endswith("20 jobs done, at most 4 waiting\n"), said)


class WatchFiles(demo.Case):
    def test_it_tells_what_comes_and_goes(self):
        with tempfile.TemporaryDirectory() as folder:
            watcher = self.start("watch_files", folder)
            watcher.wait_for("watching ")
            made = pathlib.Path(folder, "made")
            made.touch()
            watcher.wait_for("new: made")
            made.unlink()
            watcher.wait_for("gone: made")
            watcher.stop()


class FibersInC(demo.Case):
    def test_each_says_both_lines(self):
        said = self.run_demo("hello_fibers_in_c", 100).splitlines()
        wanted = [f"{i}: {word}" for i in range(100) for word in ("hello", "goodbye")]
        self.assertEqual(said[0], "sleep() goes to libc")
        self.assertEqual(sorted(said[1:]), sorted(wanted))


if __name__ == "__main__":
    demo.main()
