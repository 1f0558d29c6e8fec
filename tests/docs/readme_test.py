#!/usr/bin/env python3
"""The README's first program does what it says."""

import os
import subprocess
import time
import unittest


class Sum(unittest.TestCase):
    def test_it_prints_the_sum_after_a_second(self):
        begin = time.monotonic()
        done = subprocess.run([os.environ["README_SUM"]], capture_output=True, text=True, timeout=60,
                              check=True)
        self.assertEqual(done.stdout, "499500\n")
        self.assertGreaterEqual(time.monotonic() - begin, 1)


if __name__ == "__main__":
    unittest.main()
