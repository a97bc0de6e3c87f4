"""
Real nginx processes, each in a folder of its own, and what must hold of every
one of them when a test is over (see logcheck.py).

A configuration is text in which @...@ is replaced:

    @port@      the main port          @port:NAME@   another one, nginx.ports
    @dir@       the folder             @NAME@        of the keyword arguments
"""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, Optional

from . import logcheck, wire
from .metrics import Metrics
from .patience import ASAN, LOOK, SLOWER, until
from .ports import free_port
from .versity import guarded

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("SPROX_BUILD", "build")
OUT = BUILD / "asan" if ASAN else BUILD
MODULE = OUT / "ngx_http_sprox_module.so"

ESTABLISHED = "01"                  # in /proc/net/tcp

CONF = """\
load_module @module@;
daemon @daemon@;
master_process on;
worker_processes @workers@;
pid @dir@/nginx.pid;
error_log @dir@/error.log @level@;
@user@
@main@
events {
    worker_connections 4096;
    @events@
}
http {
    access_log @dir@/access.log;
    sendfile on;
    client_body_temp_path @dir@/temp/body;
    proxy_temp_path @dir@/temp/proxy;
    fastcgi_temp_path @dir@/temp/fastcgi;
    uwsgi_temp_path @dir@/temp/uwsgi;
    scgi_temp_path @dir@/temp/scgi;
@http@
}
"""


# What another binary is to have of the first one's environment.
HANDED_ON = "env LD_PRELOAD; env ASAN_OPTIONS; env UBSAN_OPTIONS;"


def program() -> str:
    """The nginx that was built with the module, or the machine's."""
    own = OUT / "nginx"
    if own.exists():
        return str(own)
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    found = shutil.which("nginx", path=path)
    if not found:
        raise RuntimeError("no nginx here: make deps")
    return found


def alive(pid: int) -> bool:
    """Whether any thread of a process runs, who need not be our child."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return False
    return threads > 1 or state.split()[0] not in "ZX"


class Adopted:
    """A process that is no child of ours, as far as Popen's words go."""

    def __init__(self, pid: int):
        self.pid, self.returncode = pid, None

    def poll(self) -> Optional[int]:
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text()
            if state.rpartition(")")[2].split()[0] == "Z":
                self.returncode = 0
        except OSError:
            self.returncode = 0
        return self.returncode

    def send_signal(self, how: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, how)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 15 * SLOWER) -> int:
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(LOOK)
        return self.returncode


class Nginx:
    def __init__(self, folder: Path, http: str, *, main: str = "",
                 events: str = "", workers: int = 1, level: str = "info",
                 env: Optional[dict] = None, conf: str = CONF,
                 daemon: bool = False, **variables):
        """
        env: added to a clean environment (nginx's own `env` directive decides
        what workers see). conf: instead of the frame above. daemon: nginx
        upgrades its binary only when it has left its parent.
        """
        self.dir = Path(folder)
        (self.dir / "temp").mkdir(parents=True, exist_ok=True)
        os.chmod(self.dir, 0o755)
        self.workers = workers
        self.ports = {}
        self.process = None
        self.checker = logcheck.Checker()
        self._env = env or {}
        self._variables = {
            "module": MODULE, "dir": self.dir, "workers": workers,
            "level": level, "events": events,
            "main": main + HANDED_ON * daemon,
            "daemon": "on" if daemon else "off",
            "user": "user root;" if os.getuid() == 0 else "", **variables}
        self.write(http, conf)

    # configuration

    def write(self, http: str, conf: str = CONF) -> None:
        """The configuration, or a new one for reload()."""
        self._variables["http"] = http
        text = conf
        for _ in range(3):                  # values may hold @...@ themselves
            text = re.sub(r"@(\w+(?::\w+)?)@", self._value, text)
        self.conf.write_text(text)

    def _value(self, match: re.Match) -> str:
        name = match[1]
        if name == "port" or name.startswith("port:"):
            label = name.partition(":")[2]
            if label not in self.ports:
                self.ports[label] = free_port()
            return str(self.ports[label])
        return str(self._variables[name])

    @property
    def conf(self) -> Path:
        return self.dir / "nginx.conf"

    @property
    def port(self) -> int:
        return self.ports[""]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def line_of(self, text: str) -> int:
        """The first line of the written configuration that has this text."""
        for number, line in enumerate(self.conf.read_text().split("\n"), 1):
            if text in line:
                return number
        raise ValueError(f"not in the configuration: {text}")

    def check(self) -> tuple:
        """nginx -t: (exit code, what it said)."""
        done = subprocess.run(self._command("-t", "-e", "stderr"),
                              env=self._environment(), cwd=self.dir,
                              capture_output=True, timeout=30 * SLOWER)
        return done.returncode, done.stderr.decode("utf-8", "replace")

    # the processes

    def start(self) -> "Nginx":
        self._output = open(self.dir / "output.log", "ab")
        self.process = subprocess.Popen(
            [*guarded(), *self._command("-e", str(self.error_log))],
            env=self._environment(), cwd=self.dir,
            stdout=self._output, stderr=subprocess.STDOUT)
        try:
            if self._variables["daemon"] == "on":
                self._wait_daemon()
            self.wait(self._accepts, 15, "to accept connections")
        except AssertionError:
            self.kill()
            raise
        return self

    def _wait_daemon(self) -> None:
        """The first process has ended as soon as the second was there."""
        assert self.process.wait(15 * SLOWER) == 0, self.log_tail()
        pid_file = self.dir / "nginx.pid"
        until(lambda: pid_file.exists() and pid_file.read_text().strip(), 15,
              self.log_tail)
        self.process = Adopted(int(pid_file.read_text()))

    def stop(self) -> None:
        """Gracefully, then says what was wrong (AssertionError)."""
        trouble = []
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(15 * SLOWER)
            except subprocess.TimeoutExpired:
                trouble.append("did not quit: " + ", ".join(
                    f"{pid} {cmd}" for pid, cmd in self._children().items()))
        elif self.process:
            trouble.append(f"ended before: {self.process.returncode}")
        self.kill()
        trouble += self.checker.trouble(self.dir)
        if trouble:
            raise AssertionError("nginx in " + str(self.dir) + ":\n"
                                 + "\n".join(trouble))

    def kill(self) -> None:
        """At once, workers and all; nothing is checked."""
        if self.process:
            pids = list(self._children())
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            for pid in pids:            # their ports are free then
                while alive(pid):
                    time.sleep(LOOK)
            self._output.close()
            self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def reload(self, wait_old: bool = False) -> None:
        """HUP; until the new workers are there (and the old ones gone)."""
        old = set(self.worker_pids())
        self.process.send_signal(signal.SIGHUP)
        self.wait(lambda: len(set(self.worker_pids()) - old) == self.workers
                  and not old & set(self.worker_pids()), 15, "to reload")
        if wait_old:
            self.wait(lambda: not old & set(self._children()), 15,
                      "to lose its old workers")

    def upgrade(self) -> "Adopted":
        """
        USR2: until another master has workers, which this is from now on.
        The old one, whose QUIT is left to the caller.
        """
        old = self.process
        pid_file = self.dir / "nginx.pid"
        old.send_signal(signal.SIGUSR2)
        self.wait(lambda: (self.dir / "nginx.pid.oldbin").exists()
                  and pid_file.exists() and pid_file.read_text().strip()
                  not in ("", str(old.pid)), 15, "to start its new binary")
        self.process = Adopted(int(pid_file.read_text()))
        self.wait(lambda: len(self.worker_pids()) == self.workers, 15,
                  "to start the workers of its new binary")
        return old

    def kill_worker(self, pid: Optional[int] = None,
                    how: int = signal.SIGKILL) -> int:
        """Kills one worker, waits for the next; the pid that was."""
        pid = pid or self.worker_pids()[0]
        self.allow_log(rf"worker process {pid} exited on signal {int(how)}")
        os.kill(pid, how)
        self.wait(lambda: pid not in self._children()
                  and len(self.worker_pids()) == self.workers, 10,
                  "to replace the worker")
        return pid

    def worker_pids(self, leaving: bool = False) -> list:
        """Those that take connections; leaving: those that shut down."""
        return [pid for pid, cmd in self._children().items()
                if "worker process" in cmd
                and ("shutting down" in cmd) == leaving]

    def helper_pids(self) -> list:
        """The cache manager and loader."""
        return [pid for pid, cmd in self._children().items() if "cache " in cmd]

    def manage_cache(self) -> None:
        """The cache manager's next look, at once: by a new manager."""
        def manager():
            return [pid for pid, cmd in self._children().items()
                    if "cache manager" in cmd]

        old = manager()
        for pid in old:
            os.kill(pid, signal.SIGTERM)
        self.wait(lambda: len(manager()) == len(old)
                  and not set(old) & set(manager()), 10,
                  "to replace its cache manager")

    def fds(self, pid: Optional[int] = None) -> dict:
        """Descriptor to what it is, of a worker (the only one: its own)."""
        pid = pid or self.worker_pids()[0]
        fds = {}
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                fds[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
            except FileNotFoundError:
                pass
        return fds

    def rss(self, pid: Optional[int] = None) -> int:
        """Private bytes of a worker: shared zones are left out."""
        pid = pid or self.worker_pids()[0]
        status = Path(f"/proc/{pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) * 1024

    def wait(self, condition: Callable, timeout: float, what: str) -> None:
        def holds() -> bool:
            if condition():
                return True
            if self.process.poll() is not None:
                raise AssertionError(f"nginx ended with {self.process.returncode}"
                                     f":\n{self.log_tail()}")
            return False

        until(holds, timeout,
              lambda: f"nginx failed {what}:\n{self.log_tail()}")

    def wait_taken(self, number: int) -> None:
        """
        Until so many connections to the main port were accepted, by whichever
        worker, and all that was sent over any of them was read.
        """
        def taken() -> bool:
            found = 0
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
                _, local, _, state, queues, _, _, _, _, inode = \
                    line.split()[:10]
                if int(local.rpartition(":")[2], 16) == self.port \
                        and state == ESTABLISHED:
                    if inode == "0" or int(queues.partition(":")[2], 16):
                        return False
                    found += 1
            return found >= number

        self.wait(taken, 10, f"to take {number} connections")

    # the log

    @property
    def error_log(self) -> Path:
        return self.dir / "error.log"

    def log(self) -> str:
        try:
            return self.error_log.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def access_log(self) -> list:
        return (self.dir / "access.log").read_text(errors="replace") \
            .splitlines()

    def log_tail(self, lines: int = 40) -> str:
        text = self.log()
        output = self.dir / "output.log"
        if output.exists():
            text += output.read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def wait_log(self, pattern: str, timeout: float = 10) -> re.Match:
        found = []

        def seen():
            found[:] = [re.search(pattern, self.log())]
            return found[0]

        self.wait(seen, timeout, f"to log {pattern}")
        return found[0]

    def expect_log(self, pattern: str) -> None:
        """A line that would fail the test, and must come now."""
        self.checker.expected.append(re.compile(pattern))

    def allow_log(self, pattern: str) -> None:
        """A line that would fail the test, and may come."""
        self.checker.allowed.append(re.compile(pattern))

    # requests

    def request(self, method: str, target, headers: dict = {},
                body: bytes = b"", **options) -> wire.Response:
        return wire.request(self.port, method, target, headers, body,
                            **options)

    def get(self, target, headers: dict = {}, **options) -> wire.Response:
        return self.request("GET", target, headers, **options)

    def head(self, target, headers: dict = {}, **options) -> wire.Response:
        return self.request("HEAD", target, headers, **options)

    def client(self, **options) -> wire.Client:
        return wire.Client(self.port, **options)

    def metrics(self, target: str = "/metrics") -> Metrics:
        response = self.get(target)
        assert response.status == 200, response
        return Metrics(response.text)

    # inside

    def _command(self, *more: str) -> list:
        return [program(), "-p", str(self.dir), "-c", str(self.conf), *more]

    def _environment(self) -> dict:
        env = {"PATH": os.environ.get("PATH", ""), "TZ": "UTC", **self._env}
        if ASAN:
            options = (f"detect_leaks=0:detect_odr_violation=0:"
                       f"log_path={self.dir}/asan")
            env["ASAN_OPTIONS"] = options
            env["UBSAN_OPTIONS"] = f"print_stacktrace=1:log_path={self.dir}/asan"
            asan = subprocess.run(
                ["gcc", "-print-file-name=libasan.so"], text=True, check=True,
                capture_output=True).stdout.strip()
            env["LD_PRELOAD"] = ":".join(
                filter(None, [asan, env.get("LD_PRELOAD")]))
        return env

    def _accepts(self) -> bool:
        if len(self.worker_pids()) < self.workers:
            return False
        for port in self.ports.values():
            try:
                wire.Client(port, timeout=1).close()
            except ConnectionRefusedError:
                return False
        return True

    def _children(self) -> dict:
        """pid to title, of the master's children."""
        if not self.process:
            return {}
        children = {}
        try:
            pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}"
                        "/children").read_text().split()
        except OSError:
            return {}
        for pid in pids:
            try:
                title = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if title:                       # empty: a zombie
                children[int(pid)] = title.replace(b"\0", b" ").decode().strip()
        return children
