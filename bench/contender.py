"""Measuring in processes of their own: one works when told to, the others stand still."""

import json
import signal
import subprocess
import sys

import machine


class Contender:
    """A process `script --serve *args`, that calls `serve`. Talks in lines of JSON."""

    def __init__(self, script, *args, n_threads):
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
        """Its answer to `order`; both are dicts."""
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.process.args[2:])} failed")
        self.process.send_signal(signal.SIGSTOP)  # its idle threads would go on turning
        return json.loads(line)


def serve(started, answer):
    """The child's part: say `started`, then answer each line of stdin."""
    print(json.dumps(started), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
