"""
What the benchmarks run: one nginx with one worker, and in it the sides that
are compared; the slow origin behind them; and a client that costs little.

    static   nginx, of files            sprox   of a proxy_cache_path zone
    none     nginx, `return 200`        proxy   proxy_cache with `slice`
    direct   the origin itself

    files    the pages of a listing, as files of nginx's
    url      sprox, with encoding-type=url

And `start` is sprox on another port, where engines read before the clock
runs; `write` and `disk` are no servers, but what the disk alone would take.
"""

import contextlib
import json
import re
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench import slow_origin
from bench.client import connect
from bench.lake import Lake
from bench.listing import Listing
from harness import wire
from harness.nginx import Nginx, program
from harness.ports import free_port
from harness.versity import guarded

LATENCY, RATE = 0.030, 90e6
KEYS = 1_000_000                    # of the listings
KEEP = 1 << 20                      # bytes that a client reads at a time
PIECE = 64 << 10                    # bytes that write() writes at a time
SETTLE = 0.02                       # seconds between two looks at the origin

HTTP = """
    access_log off;
    tcp_nopush off;
    keepalive_requests 100000000;
    proxy_cache_path @dir@/cache levels=1:2 keys_zone=sprox:32m max_size=8g
                     inactive=1d use_temp_path=off;
    sprox_origin slow {
        endpoint http://127.0.0.1:@origin@;
        credentials anonymous;
        keepalive 64;
    }
    sprox_cache sprox;
    sprox_valid 1d;
    sprox_list cached 1d;
    sprox_alias $bucket { target slow://$bucket/; }
    server {
        listen 127.0.0.1:@port:sprox@;
        listen 127.0.0.1:@port:start@;
        location / { sprox on; }
    }
    server {
        listen 127.0.0.1:@port:static@;
        location / { root @dir@/static; }
        location /none { return 200; }
        location ~ ^/lake/[^/]+/(?<part>[^/]+)$ {
            alias @dir@/buckets/lake/$part;
            etag off;                       # the origin's is another
        }
        location /lake {                    # listings
            proxy_pass http://127.0.0.1:@port:sprox@;
        }
    }
    @proxy@
"""

PROXY = """
    proxy_cache_path @dir@/proxy levels=1:2 keys_zone=proxy:32m max_size=8g
                     inactive=1d use_temp_path=off;
    upstream slow {
        server 127.0.0.1:@origin@;
        keepalive 64;
    }
    server {
        listen 127.0.0.1:@port:proxy@;
        location / {
            slice 512k;
            proxy_pass http://slow;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Range $slice_range;
            proxy_cache proxy;
            proxy_cache_key $uri$slice_range;
            proxy_cache_valid 200 206 1d;
            proxy_cache_lock on;
        }
        location ~ ^/[^/]+/?$ {             # listings
            proxy_pass http://slow;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_cache proxy;
            proxy_cache_key $request_uri;
            proxy_cache_valid 200 1d;
        }
    }
"""


class Sides:
    """To be used with `with`."""

    def __init__(self, keys: int = KEYS):
        """keys: of the catalog that is listed."""
        self.keys = keys

    def __enter__(self):
        with contextlib.ExitStack() as stack:       # when one does not start
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack):
        self.dir = Path(tempfile.mkdtemp(prefix="sprox-bench-"))
        stack.callback(shutil.rmtree, self.dir, ignore_errors=True)
        self.origin_port = free_port()
        self.origin = stack.enter_context(subprocess.Popen(
            [*guarded(), sys.executable, slow_origin.__file__,
             str(self.origin_port), str(LATENCY), str(RATE),
             str(self.dir / "buckets")],
            stdout=subprocess.PIPE))
        stack.callback(self.origin.kill)
        self.origin.stdout.readline()
        self.origin_control = stack.enter_context(
            wire.Client(self.origin_port))
        built = subprocess.run([program(), "-V"], capture_output=True,
                               text=True).stderr
        self.version = re.search(r"nginx/([\d.]+)", built)[1]
        self.has_proxy = "http_slice_module" in built
        self.nginx = Nginx(self.dir, HTTP, level="error",
                           main="worker_rlimit_nofile 16384;",
                           origin=self.origin_port,
                           proxy=PROXY if self.has_proxy else "").start()
        stack.callback(self.nginx.stop)
        self.ports = {**self.nginx.ports, "direct": self.origin_port}
        self._number = 0
        self._settled = None
        self._lake = self._listing = None

    def key(self, size: int) -> str:
        """The path of an object that nobody has read."""
        return f"/bench/{self.fresh()}-{size}"

    def fresh(self) -> str:
        """A name that was not used before."""
        self._number += 1
        return f"o{self._number}"

    @property
    def lake(self) -> Lake:
        """The buckets with Parquet, made when they are first asked for."""
        self._lake = self._lake or Lake(self.dir / "buckets", self.ports)
        return self._lake

    @property
    def listing(self) -> Listing:
        """The catalog with many objects, made when it is first asked for."""
        if not self._listing:
            self._listing = Listing(self.dir / "listing", self.keys,
                                    self.origin_port)
            self._stack.callback(self._listing.nginx.kill)
        return self._listing

    def write(self, size: int) -> float:
        """
        Seconds to write a new file of that size, in pieces as a fill writes
        them. The file stays: freed memory would make what follows faster.
        """
        folder = self.dir / "written"
        folder.mkdir(exist_ok=True)
        piece = memoryview(slow_origin.pattern(0, PIECE))
        began = time.perf_counter()
        with open(folder / self.fresh(), "wb", buffering=0) as file:
            for left in range(size, 0, -PIECE):
                file.write(piece[:left])
        return time.perf_counter() - began

    def origin_counts(self, path: str = "/_counts") -> dict:
        return json.loads(self.origin_control.request("GET", path).body)

    def reset(self) -> None:
        self.origin_counts("/_reset")

    def counts(self) -> dict:
        """
        What the origin was asked since reset(), when nothing runs behind
        any more: twice in a row, as one fill may follow another.
        """
        before = None
        while before is None or before["busy"] or before != self._settled:
            self._settled = before
            time.sleep(SETTLE)
            before = self.origin_counts()
        return before

    def known(self, *sides: str) -> list:
        """Of these sides, those that this nginx has."""
        return [s for s in sides if s != "proxy" or self.has_proxy]

    def warm(self, size: int) -> str:
        """The path of an object that all sides have, with the same bytes."""
        path = self.key(size)
        file = self.dir / ("static" + path)
        file.parent.mkdir(parents=True, exist_ok=True)
        want = slow_origin.pattern(0, size)
        file.write_bytes(want)
        for side in self.known("static", "sprox", "proxy"):
            with wire.Client(self.ports[side]) as client:
                for _ in range(2):
                    assert client.request("GET", path).body == want, side
        return path


class Read:
    """One read: seconds to the first byte of the body, and to the last."""

    def __init__(self, port: int, path: str, range: str = "",
                 leave: bool = False, sock=None):
        """leave: after the first byte. sock: a connection that is kept."""
        began = time.perf_counter()
        own = sock is None
        sock = sock or connect(port)
        more = f"Range: bytes={range}\r\n" if range else ""
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n"
                     .encode())
        reader = wire.Reader(sock)
        line, pairs = wire.parse_head(reader.until(b"\r\n\r\n"))
        self.status = int(line.split(" ")[1])
        assert self.status == (206 if range else 200), line
        self.size = left = int(wire.to_dict(pairs)["content-length"])
        left -= len(reader.some(1)) + len(reader.buffer)
        self.first = time.perf_counter() - began
        buffer = bytearray(KEEP)
        while left > 0 and not leave:
            n = sock.recv_into(buffer, min(left, KEEP))
            assert n, f"{left} bytes are missing"
            left -= n
        self.total = time.perf_counter() - began
        if own:
            sock.close()


def read_many(port: int, asked: list, clients: int) -> float:
    """
    (path, range) each, taken in turn by so many clients, each on its own
    connection: seconds for all.
    """
    todo, done, trouble = list(reversed(asked)), [], []

    def client():
        try:
            sock = connect(port)
            while todo:
                path, span = todo.pop()
                done.append(Read(port, path, span, sock=sock))
            sock.close()
        except IndexError:                  # another one took the last
            pass
        except Exception as error:
            trouble.append(error)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not trouble, trouble[0]
    assert len(done) == len(asked)
    return time.perf_counter() - began


def crowd(port: int, paths: list, size: int, look=None) -> tuple:
    """
    One client for each path, all at once: reads until each has that many
    bytes of the body, then takes no more. (Seconds until the slowest has
    them, the largest of what look() said meanwhile.)

    They are one thread, and what they take is thrown away in the kernel:
    a hundred threads that copy are slower than what is to be measured.
    """
    most, got, buffer = 0, {}, bytearray(KEEP)
    with selectors.DefaultSelector() as ready:
        for _ in paths:
            sock = connect(port)
            got[sock] = 0
            ready.register(sock, selectors.EVENT_READ)
        began = time.perf_counter()
        for sock, path in zip(got, paths):
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
                         .encode())
        heads = set()
        while ready.get_map():
            assert time.perf_counter() - began < 120, "they wait for bytes"
            for key, _ in ready.select(0.1):
                sock = key.fileobj
                if sock in heads:
                    part = sock.recv_into(buffer, min(KEEP, size - got[sock]),
                                          socket.MSG_TRUNC)
                    assert part, "closed short"
                else:
                    head, end, body = sock.recv(PIECE).partition(b"\r\n\r\n")
                    assert head.startswith(b"HTTP/1.1 200 ") and end, head
                    part = len(body)
                    heads.add(sock)
                got[sock] += part
                if got[sock] >= size:
                    ready.unregister(sock)      # open, and taking no more
            most = max(most, look()) if look else 0
        seconds = time.perf_counter() - began
    for sock in got:
        sock.close()
    return seconds, most


def wrk(port: int, path: str, connections: int, seconds: float, size: int,
        headers: tuple = (), script: str = "") -> float:
    """Requests a second; each answer's body must have this size."""
    more = [word for h in headers for word in ("-H", h)]
    if script:
        more += ["-s", script]
    said = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s",
         "--timeout", "60s", *more,
         f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True,
        check=True).stdout
    assert "Non-2xx" not in said and "Socket errors" not in said, said
    count, got, unit = re.search(
        r"(\d+) requests in .*, ([\d.]+)([KMGT]?)B read", said).groups()
    got = float(got) * 1024 ** " KMGT".index(unit or " ")
    assert int(count) and got > 0.98 * int(count) * size, said
    return float(re.search(r"Requests/sec: +([\d.]+)", said)[1])
