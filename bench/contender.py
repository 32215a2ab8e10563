"""Contenders, each in a process of its own. One works at a time; the others are stopped."""

import json
import signal
import statistics
import subprocess
import sys

import machine


class Contender:
    """A process `script --serve *args n_threads` that calls `serve`; messages are lines of JSON."""

    def __init__(self, script, *args, n_threads):
        self.turns = []  # seconds
        self.added_bytes = 0
        self.ceiling = 0  # GFLOP/s
        self.process = subprocess.Popen(
            [sys.executable, script, "--serve", *args, str(n_threads)],
            env=machine.threads_environment(n_threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()

    def started(self):
        """Wait until the process is ready and return its message. Processes start in parallel."""
        return self._answer()

    def ask(self, order):
        """Send the dict `order` and return the answer, a dict with "added_bytes" and "ceiling"."""
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = self._answer()

        self.added_bytes = answer["added_bytes"]
        self.ceiling = max(answer["ceiling"], self.ceiling)
        return answer

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.process.args[2:])} failed")
        self.process.send_signal(signal.SIGSTOP)  # otherwise its idle threads would keep spinning
        return json.loads(line)


def compared(contenders, units, flops):
    """Results for JSON: {name: numbers} from {name: Contender}, times in units of 1 / `units` s."""
    best = {name: min(contender.turns) for name, contender in contenders.items()}
    median = {name: statistics.median(contender.turns) for name, contender in contenders.items()}
    return {
        name: {
            "turns": len(contender.turns),
            "best": units * best[name],
            "median": units * median[name],
            "ratio": best[name] / best["fastmlp"],
            "median_ratio": median[name] / median["fastmlp"],
            "gflops": flops / best[name] / 1e9 if flops else None,
            "added_bytes": contender.added_bytes,
        }
        for name, contender in contenders.items()
    }


def serve(started, answer):
    """Run the child process: print `started`, then answer each line of stdin."""
    print(json.dumps(started), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
