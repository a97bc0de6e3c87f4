"""
`make soak`: sprox with everything around it failing, for SOAK seconds.

Clients of all kinds read objects that change all the time from an origin that
fails by chance, through workers that are killed and reloaded every few
seconds, over a cache that is too small and whose files somebody deletes. Each
byte is held against the version that its response names. In the end all is
mended, and everything must read right, with nothing left behind.

    soak.py [--seconds N] [--seed N] [--processes N] [--largest MIB] [--keep]
            [--without kill|reload|spoil]... [--level LEVEL] [--main "TEXT;"]

It prints a line of what was done, and ends with 1 if anything was wrong; the
folder of the nginx is then kept.
"""

import argparse
import ctypes
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from queue import Empty

sys.path[0] = str(Path(__file__).resolve().parents[1])

from harness.nginx import ASAN, Nginx
from harness.pki import Pki
from harness.ports import free_port
from soak import clients, origin
from soak.clients import Alias
from soak.content import BUCKET, MIB, ODD, SECURE, make_keys

WORKERS = 4
THREADS = 12                    # clients in a process
DEADLINE = 40 * (2 if ASAN else 1)  # a client that gets no byte for so long
MEMORY = 16 << 20               # private memory of a worker, at the most
GROWTH = 2 << 20                # of it, while all that is read is right
KEPT = 16                       # connections to the origin, idle, a worker
ORIGINS = 2
ZONES = "ram", "cache", "brief"     # their folders
LINGER = 6                      # worker_shutdown_timeout, seconds
PR_SET_PDEATHSIG = 1            # of prctl()

HTTP = """
    proxy_cache_path @dir@/cache levels=1:2 keys_zone=small:2m
                     max_size=64m inactive=1h use_temp_path=off;
    proxy_cache_path @dir@/brief levels=1:2 keys_zone=brief:2m
                     max_size=400m inactive=4s use_temp_path=off;
    proxy_cache_path @dir@/ram levels=1:2 keys_zone=ram:1m
                     max_size=16m inactive=1h use_temp_path=off;
    sprox_catalog zone=soak:512k file=@dir@/catalog interval=1s;
    sprox_origin store {
        endpoint http://127.0.0.1:@store@;
        region us-east-1;
        style path;
        credentials static ID SECRET;
        connect_timeout 2s;
        read_timeout 2s;
        retries 2;
        keepalive @kept@;
        max_connections 24;
        max_fails 8;
        fail_timeout 500ms;
    }
    sprox_origin safe {
        endpoint https://127.0.0.1:@safe@;
        trusted_certificate @ca@;
        style path;
        credentials anonymous;
        connect_timeout 2s;
        read_timeout 2s;
        keepalive @kept@;
        fail_timeout 1s;
    }
    sprox_cache small;
    sprox_valid_missing 1s;
    sprox_slice 128k;
    sprox_fill 512k;
    sprox_read_ahead 8m;

    sprox_alias always { target store://soak-data/; valid 0; valid_missing 0; }
    sprox_alias second { target store://soak-data/; valid 1s; list cached 1s;
                         slice 64k; fill 256k; cache ram brief; }
    sprox_alias bridge { target store://soak-data/; valid 2s; stale 3s;
                         cache ram small; }
    sprox_alias hour   { target store://soak-data/; valid 1h; valid_missing 0;
                         slice 512k; fill 2m; cache brief; }
    sprox_alias bypass { target store://soak-data/; cache off; valid 1s; }
    sprox_alias table/$x { target store://soak-data/b/c/$x; valid 1s; }
    sprox_alias odd    { target store://soak-odd/; valid 1s; }
    sprox_alias secure { target safe://soak-secure/; valid 1s; }

    ssl_certificate     @cert@;
    ssl_certificate_key @key@;
    access_log          off;
    keepalive_requests  200;
    send_timeout        20s;

    server {
        listen 127.0.0.1:@port@;
        listen 127.0.0.1:@port:reuse@ reuseport;
        listen 127.0.0.1:@port:tls@ ssl;
        location / { sprox on; }
        location = /metrics { sprox_metrics; }
    }
    server {
        listen 127.0.0.1:@port:threads@;
        location / { sprox on; aio threads; }
    }
    server {
        listen 127.0.0.1:@port:copied@;
        sendfile off;
        output_buffers 1 16k;
        open_file_cache max=100;
        open_file_cache_min_uses 1;
        location / { sprox on; }
    }
"""

ALIASES = (
    Alias("always", BUCKET, 0), Alias("second", BUCKET, 1),
    Alias("bridge", BUCKET, 5), Alias("hour", BUCKET, None),
    Alias("bypass", BUCKET, 1), Alias("table", BUCKET, 1, "b/c/"),
    Alias("odd", ODD, 1), Alias("secure", SECURE, 1),
)

# a worker was killed in the middle of a change to nginx's own memory of the
# cache: all may follow from it that follows without sprox as well
LOCKED = r"shared memory zone \"\w+\" was locked by \d+"

# what nginx itself says of files that are cut under it, of files that go while
# its cache loader walks over them, of killed workers, and of zones that were
# too small
ALLOWED = (r"ignore long locked inactive cache entry",
           r" stat\(\) \".*/(ram|cache|brief)/.*\" failed \(2: No such file",
           r"unlink\(\) .* failed \(2: No such file or directory\)",
           r"cache file \".*\" is too small",
           r"sendfile\(\) reported that .* was truncated",
           r"pread\(\) read only \d+ of \d+ from",
           r"could not allocate node in cache keys zone",
           LOCKED)


class State:
    """What the parts are to do: flags that all processes share."""

    def __init__(self):
        for name in "asking", "changing", "faulty":
            setattr(self, "_" + name, multiprocessing.RawValue("b", 0))

    def __getattr__(self, name: str) -> bool:
        return bool(self.__dict__["_" + name].value)

    def set(self, **flags: bool) -> None:
        for name, value in flags.items():
            self.__dict__["_" + name].value = value


def with_parent(target, *arguments) -> None:
    """Ends also when the soak is killed, which tells its children nothing."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    target(*arguments)


class Soak:
    def __init__(self, options):
        self.options = options
        self.chance = random.Random(f"{options.seed}-director")
        self.folder = Path(tempfile.mkdtemp(prefix="sprox-soak-"))
        self.findings, self.events = [], Counter()
        self.counts, self.stale, self.memory = Counter(), Counter(), 0
        self.lasted = 0
        self.state = State()
        self.keys = make_keys(options.largest * MIB)
        self.history = clients.SafeHistory(len(self.keys))
        self.counters = {name: multiprocessing.RawValue("q", 0) for name in
                         ("changes", "faults", "outages")}
        self.report = multiprocessing.Queue()

        pki = Pki(self.folder / "pki")
        ports = free_port(), free_port()
        self.nginx = Nginx(self.folder / "nginx", HTTP, workers=WORKERS,
                           level=options.level, store=ports[0],
                           safe=ports[1], ca=pki.ca, kept=KEPT,
                           main=f"worker_shutdown_timeout {LINGER}s;"
                           + options.main,
                           cert=pki.good.cert, key=pki.good.key)
        for line in ALLOWED:
            self.nginx.allow_log(line)
        self.ports = [(p, name == "tls") for name, p in
                      self.nginx.ports.items()]
        self.origin = self.process(origin.run, self.keys, self.history,
                                   options.seed, self.state, self.counters,
                                   ports, pki.good)
        self.clients = []

    @staticmethod
    def process(target, *arguments):
        process = multiprocessing.Process(target=with_parent, daemon=True,
                                          args=(target, *arguments))
        process.start()
        return process

    def shared(self):
        return clients.Shared(self.options.seed, self.keys, ALIASES,
                              self.ports, self.history, self.state, DEADLINE,
                              self.report)

    # the parts of a soak

    def run(self) -> None:
        try:
            deadline = time.monotonic() + 30
            while self.history.count < len(self.keys):
                if time.monotonic() > deadline or not self.origin.is_alive():
                    raise clients.Finding("the origin does not start")
                time.sleep(0.05)
            self.nginx.start()
            self.sockets = max(self.sockets_of(pid) for pid in
                               self.nginx.worker_pids())
            self.state.set(asking=True, changing=True, faulty=True)
            self.clients = [self.process(clients.run, self.shared(),
                                         n * THREADS, THREADS)
                            for n in range(self.options.processes)]
            self.disturb(time.monotonic() + self.options.seconds)
            self.lasted = time.monotonic() - self.began
            self.state.set(faulty=False, changing=False)
            if not self.findings:
                time.sleep(1)           # with all mended, the same clients
            self.state.set(asking=False)
            self.gather()
            if not self.findings:
                self.finish()
        except (clients.Finding, AssertionError) as error:
            self.findings.append(str(error))
        finally:
            self.end()

    def disturb(self, until: float) -> None:
        """Kills, reloads and spoils until then, or until a finding."""
        actions = {self.kill: 3.0, self.reload: 8.0, self.spoil: 0.5,
                   self.look: 1.0}
        for name in self.options.without:
            actions.pop(getattr(self, name))
        now = began = self.began = time.monotonic()
        due = {action: now + self.chance.expovariate(1 / every)
               for action, every in actions.items()}
        told = now
        while now < until and not self.findings:
            action = min(due, key=due.get)
            time.sleep(max(0, min(due[action], until) - time.monotonic()))
            self.read_report()
            now = time.monotonic()
            # a third of the time the workers may grow old
            calm = (now - began) % 45 > 30
            if not (calm and action in (self.kill, self.reload)):
                action()
            due[action] = now + self.chance.expovariate(1 / actions[action])
            if now - told > 20:
                told = now
                print(f"  {now - began:4.0f} s: {dict(self.events)}, "
                      f"{self.memory >> 20} MiB", file=sys.stderr)

    def kill(self) -> None:
        leaving = self.chance.random() < 0.2
        pids = self.nginx.worker_pids(leaving)
        if pids:
            pid = self.chance.choice(pids)
            self.nginx.allow_log(
                rf"worker process {pid} exited on signal 9")
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            self.events["kills"] += 1

    def reload(self) -> None:
        self.nginx.process.send_signal(signal.SIGHUP)
        self.events["reloads"] += 1

    def spoil(self) -> None:
        """
        Somebody deletes a file of the cache, or puts a shorter one in its
        place. Not cut where it is: what sendfile() has put into a socket are
        the file's own pages, where the kernel then writes zeros, whoever
        sends them (the tests of damage do cut files, between two reads).
        """
        files = [p for name in ZONES
                 for p in (self.nginx.dir / name).glob("*/*/*")
                 if re.fullmatch("[0-9a-f]{32}", p.name)]
        if not files:
            return
        path = self.chance.choice(files)
        try:
            if self.chance.random() < 0.5:
                path.unlink()
            else:
                data = path.read_bytes()
                short = self.folder / "short"
                short.write_bytes(data[:self.chance.randrange(len(data) + 1)])
                os.replace(short, path)
        except FileNotFoundError:
            return
        self.events["spoiled"] += 1

    def look(self) -> None:
        """Whatever can be seen while it runs."""
        if self.nginx.process.poll() is not None:
            raise clients.Finding(
                f"nginx ended with {self.nginx.process.returncode}")
        for pid in self.nginx.worker_pids():
            try:
                self.memory = max(self.memory, self.nginx.rss(pid))
            except (OSError, TypeError):
                pass                    # it is gone
        bad = self.nginx.checker.trouble(self.nginx.dir)
        if bad:
            raise clients.Finding("in the log: " + "\n".join(bad))

    def read_report(self) -> int:
        """What the clients sent; how many have ended."""
        ended = 0
        while True:
            try:
                kind, what = self.report.get_nowait()
            except Empty:
                return ended
            if kind == "finding":
                self.findings.append(what)
            else:
                ended += 1
                self.counts += what[0]
                for name, age in what[1].items():
                    self.stale[name] = max(self.stale[name], age)

    def gather(self) -> None:
        """The clients come to their end."""
        ended, until = 0, time.monotonic() + DEADLINE + 30
        while ended < len(self.clients):
            ended += self.read_report()
            if time.monotonic() > until:
                self.findings.append("clients that do not end")
                return
            time.sleep(0.05)

    # the end

    def finish(self) -> None:
        """All is mended: everything reads right, and nothing is left."""
        time.sleep(max(a.bound or 0 for a in ALIASES) + 1)
        self.old_ones_gone()
        for _ in range(2):
            self.read_all()
        before = {p: self.nginx.rss(p) for p in self.nginx.worker_pids()}
        for _ in range(3):
            self.read_all()
        for pid, size in before.items():
            grown = self.nginx.rss(pid) - size
            if grown > GROWTH and not ASAN:
                self.findings.append(f"worker {pid} has grown by {grown}")
        self.idle()
        self.nginx.reload(wait_old=True)    # sweeps after those killed last
        temporary = self.temporary_files()
        if temporary:
            self.findings.append(f"{len(temporary)} temporary files, such as "
                                 f"{temporary[0]}")
        if not ASAN and self.memory > MEMORY:
            self.findings.append(f"a worker had {self.memory} bytes")

    def old_ones_gone(self) -> None:
        self.nginx.wait(lambda: not self.nginx.worker_pids(leaving=True)
                        and len(self.nginx.worker_pids()) == WORKERS,
                        LINGER + 10, "to lose its old workers")

    def read_all(self) -> None:
        """Each object, each way in, through each alias."""
        shared = self.shared()
        worker = clients.Worker(shared, 1000)
        for number, alias in enumerate(ALIASES):
            worker.leave()
            shared.ports = [self.ports[number % len(self.ports)]]
            for key in self.keys:
                if key.bucket != alias.bucket \
                        or not key.name.startswith(alias.prefix):
                    continue
                since = 0
                if alias.bound is None:
                    since = time.monotonic()
                    worker.purged(clients.Ask("purge", "PURGE", alias, key))
                for method in "GET", "HEAD":
                    worker.perform(clients.Ask("whole", method, alias, key,
                                               since=since))
            worker.perform(clients.Ask("list", "GET", alias, self.keys[0]))
        worker.leave()
        bad = {n: c for n, c in worker.counts.items()
               if n in ("gone", "short") or n.startswith("status")}
        if bad:
            self.findings.append(f"with all mended: {bad}")

    def idle(self) -> None:
        """No fill, no connection, no descriptor that nobody needs."""
        nginx = self.nginx
        nginx.wait(lambda: nginx.metrics().sum("sprox_fills_in_flight") == 0,
                   10, "to end its fills")
        for pid in nginx.worker_pids():
            nginx.wait(lambda: not self.left(pid), 10,
                       f"to close: {self.left(pid)}")

    def temporary_files(self) -> list:
        return [p for name in ZONES
                for p in (self.nginx.dir / name).rglob("*.*") if p.is_file()]

    def left(self, pid: int) -> list:
        """Descriptors of a worker that is idle, and has no use for them."""
        fds = self.nginx.fds(pid).values()
        files = [n for n in fds if re.search(f"/({'|'.join(ZONES)})/", n)]
        bad = [n for n in files if re.search(r"\.\d{10}( |$)", n)]
        if len(files) > 100:            # open_file_cache max
            bad += files
        sockets = self.sockets_of(pid)
        if sockets > self.sockets + ORIGINS * KEPT:
            bad.append(f"{sockets} sockets, at first {self.sockets}")
        return bad

    def sockets_of(self, pid: int) -> int:
        return len([n for n in self.nginx.fds(pid).values()
                    if n.startswith("socket:")])

    def end(self) -> None:
        self.state.set(asking=False, changing=False, faulty=False)
        self.read_report()
        if self.nginx.process:
            try:
                self.nginx.stop()
            except AssertionError as error:
                self.findings.append(str(error))
        for process in [self.origin, *self.clients]:
            process.kill()
        self.summary()
        if self.findings or self.options.keep:
            print(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder)

    def summary(self) -> None:
        counts = dict(self.counts)
        statuses = {n[7:].strip(): counts.pop(n) for n in sorted(counts)
                    if n.startswith("status ")}
        total = sum(counts.get(n, 0) for n in clients.KINDS[0])
        kinds = ", ".join(f"{n} {counts.get(n, 0)}" for n in clients.KINDS[0])
        ends = ", ".join(f"{n} {counts.get(n, 0)}" for n in
                         ("complete", "left", "short", "gone"))
        print(f"soak of {self.lasted:.0f} s, seed {self.options.seed}: "
              f"{total} requests ({kinds}); {counts.get('bytes', 0) >> 20} MiB"
              f"; bodies: {ends}; errors: {statuses}; "
              f"{self.counters['changes'].value} versions, "
              f"{self.counters['faults'].value} faults, "
              f"{self.counters['outages'].value} outages, "
              f"{self.events['kills']} kills, "
              f"{self.events['reloads']} reloads, "
              f"{self.events['spoiled']} files spoiled, "
              f"{len(re.findall(LOCKED, self.nginx.log()))} locks broken; "
              f"stalest: { {n: round(s, 1) for n, s in self.stale.items()} }; "
              f"{self.memory >> 20} MiB a worker; wrong: {len(self.findings)}")
        for finding in self.findings[:20]:
            print("FOUND", finding)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000)
    parser.add_argument("--level", default="notice")
    parser.add_argument("--largest", type=int, default=64, help="MiB")
    parser.add_argument("--processes", type=int, default=3,
                        help=f"of {THREADS} clients each")
    parser.add_argument("--main", default="", help="more of nginx.conf")
    parser.add_argument("--without", action="append", default=[],
                        choices=("kill", "reload", "spoil"))
    parser.add_argument("--keep", action="store_true")
    soak = Soak(parser.parse_args())
    soak.run()
    return 1 if soak.findings else 0


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    sys.exit(main())
