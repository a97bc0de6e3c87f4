"""
Binary upgrades (nginx's USR2). nginx takes that signal only when the process
that started it is gone, as it is behind `daemon on`.
"""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Optional

from .nginx import Nginx, SLOWER, alive


class Orphan:
    """A process whose parent is gone, used as subprocess.Popen is."""

    def __init__(self, pid: int):
        self.pid = pid
        self.returncode = None

    def poll(self) -> Optional[int]:
        if self.returncode is None and not alive(self.pid):
            self.returncode = 0         # nobody can ask for another
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 15) -> int:
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("nginx", timeout)
            time.sleep(0.01)
        return self.returncode


def start_orphan(nginx: Nginx) -> Nginx:
    """In the place of start()."""
    nginx._output = open(nginx.dir / "output.log", "ab")
    shell = subprocess.Popen(
        ["/bin/sh", "-c", '"$@" >&2 & echo $!; read line', "sh",
         *nginx._command("-e", str(nginx.error_log))],
        env=nginx._environment(), cwd=nginx.dir, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=nginx._output)
    nginx.process = Orphan(int(shell.stdout.readline()))
    nginx.wait(nginx._accepts, 15, "to accept connections")
    shell.communicate()
    return nginx


def upgrade(nginx: Nginx) -> Orphan:
    """
    USR2: a new master beside the old one, which is returned and still has its
    workers. nginx is the new one from now on.
    """
    old = nginx.process
    file = nginx.dir / "nginx.pid"
    old.send_signal(signal.SIGUSR2)

    deadline = time.monotonic() + 15 * SLOWER
    while not Path(f"{file}.oldbin").exists() or not file.exists() \
            or file.read_text().strip() in ("", str(old.pid)):
        assert time.monotonic() < deadline, nginx.log_tail()
        time.sleep(0.01)

    nginx.process = Orphan(int(file.read_text()))
    nginx.wait(nginx._accepts, 15, "to accept connections")
    return old
