"""subprocess and os.fork, from threads."""
import os
import subprocess
import sys
import threading


def in_threads(count, function):
    results = [None] * count

    def run(number):
        results[number] = function(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def shell(number):
    done = subprocess.run(
        ["sh", "-c", f"read line; sleep 0.01; echo $line {number}; echo err >&2; exit {number}"],
        input=f"input {number}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def too_slow(_):
    try:
        subprocess.run(["sleep", "100"], timeout=0.02, check=False)
    except subprocess.TimeoutExpired:
        return "timed out"
    return "?"


def conversation(number):
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
        answers = []
        for word in range(5):
            cat.stdin.write(f"{number}-{word}\n".encode())
            cat.stdin.flush()
            answers.append(cat.stdout.readline().decode().strip())
        cat.stdin.close()
    return " ".join(answers), cat.returncode


def big_pipe(number):
    size = 300_000 + number
    done = subprocess.run(["cat"], input=b"x" * size, capture_output=True, check=True)
    return len(done.stdout) == size


def missing(_):
    try:
        subprocess.run(["/no/such/program"], check=False)
    except FileNotFoundError as error:
        return error.strerror
    return "?"


def forked(number):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        # The child has this thread alone, and may start others.
        alone = threading.active_count()
        sums = in_threads(3, lambda i: i * number)
        os.write(writing, f"alone {alone}, sum {sum(sums)}".encode())
        os._exit(number)
    os.close(writing)
    text = os.read(reading, 100).decode()
    os.close(reading)
    return text, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main():
    for function, count in (
        (shell, 6),
        (too_slow, 2),
        (conversation, 4),
        (big_pipe, 3),
        (missing, 2),
        (forked, 4),
    ):
        print(function.__name__, in_threads(count, function))
        sys.stdout.flush()


main()
