"""Commands as processes that cost no imports: a process that has imported everything forks, and each fork is signalled at a moment of its own.

Run as a program it is that process: one JSON request per line of stdin, one exit code per line of stdout.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

MARK = "ISTHMUS_INTERRUPTED"


class Commands:
    """Runs commands; a context manager."""

    def __enter__(self):
        environment = {**os.environ, "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl")}
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment
        )
        return self

    def __exit__(self, *_):
        self._server.kill()
        self._server.wait()

    def run(self, words, folder, moment=None, number=signal.SIGINT, again=None, busy=True):
        """Runs a command and signals it; SIGINT reaches all its processes, as from a terminal, any other signal the command alone.

        Args:
            moment: s after its beginning; None for never.
            number: of the signal.
            again: s after which it is sent once more; None for never.
            busy: whether these are seconds of the processor, so that they mean the same on a machine with other work.

        Returns:
            exit code, negative where the signal ended the process; stdout and stderr; whether the signal was sent; processes that were left.
        """
        told = {"words": [str(word) for word in words], "folder": str(folder), "moment": moment, "again": again}
        told |= {"signal": int(number), "busy": busy}
        self._server.stdin.write(json.dumps(told) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        out, error, sent = ((folder.parent / f"{folder.name}.{name}") for name in ("out", "err", "sent"))
        return code, out.read_text(), error.read_text(), sent.exists(), _left(str(folder))


def _left(mark):
    """Processes of a command that has ended, a moment later; they are killed."""
    for _ in range(600):
        there = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (
                    f"{MARK}={mark}\0".encode() in (entry / "environ").read_bytes()
                    and "Z" not in (entry / "stat").read_text().split(")")[-1]
                ):
                    there.append((int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]))
            except OSError:
                continue
        if not there:
            return []
        time.sleep(0.1)
    for process, _ in there:
        os.kill(process, signal.SIGKILL)
    return [words for _, words in there]


def _serve():
    import importlib

    for name in ("isthmus_cli.dispatch", "isthmus_cli.train.sac", "isthmus_cli.eval.command", "isthmus_cli.view.command", "tyro", "torch"):
        importlib.import_module(name)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs in its background has it ignored
    for line in sys.stdin:
        sys.stdout.flush()
        told = json.loads(line)
        if (child := os.fork()) == 0:
            _command(told)
            return
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


def _command(told):
    os.setsid()
    os.chdir(told["folder"])
    os.environ[MARK] = told["folder"]
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{told['folder']}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    again = told["again"]
    number, clock, alarm = signal.Signals(told["signal"]), signal.ITIMER_VIRTUAL, signal.SIGVTALRM
    if not told["busy"]:
        clock, alarm = signal.ITIMER_REAL, signal.SIGALRM

    def send(*_):
        nonlocal again
        if again:
            signal.setitimer(clock, again)
            again = None
        os.close(os.open(f"{told['folder']}.sent", os.O_CREAT))
        if number == signal.SIGINT:
            os.killpg(0, number)
        else:
            os.kill(os.getpid(), number)

    signal.signal(alarm, send)
    if told["moment"] is not None:
        signal.setitimer(clock, told["moment"])
    sys.argv = ["isthmus", *told["words"]]
    from isthmus_cli.main import main

    sys.exit(main())


if __name__ == "__main__":
    _serve()
