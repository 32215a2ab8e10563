"""Contenders that have a process each: one works when told to, the others stand still."""

import json
import signal
import statistics
import subprocess
import sys

import machine


class Contender:
    """A process `script --serve *args n_threads`, that calls `serve`. Talks in lines of JSON."""

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
        """What it says when it is ready. It works on until then, beside others that start."""
        return self._answer()

    def ask(self, order):
        """Its answer to `order`; both are dicts. An answer has "added_bytes" and "ceiling"."""
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
        self.process.send_signal(signal.SIGSTOP)  # its idle threads would go on turning
        return json.loads(line)


def compared(contenders, units, flops):
    """For JSON: {name: numbers} of {name: Contender}, times in `units` a second."""
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
    """The child's part: say `started`, then answer each line of stdin."""
    print(json.dumps(started), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
