"""
A catalog with many objects, and who lists it: an nginx of its own that reads
them at its start out of a file, as one that was crawled would have left it.

    big      COUNT objects below 10 prefixes; its origin is not there
    bench    of the slow origin

    /pages   the same pages as files, served by nginx alone
"""

import hashlib
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Callable, Optional

from bench.client import TOKEN, Client
from harness import snapshot
from harness.nginx import Nginx
from harness.ports import free_port

PREFIXES, PAGE = 10, 1000
LOADED = re.compile(r"(\d+) objects read from .* in (\d+) ms\n")

HTTP = """
    access_log off;
    tcp_nopush off;
    keepalive_requests 100000000;
    proxy_cache_path @dir@/cache levels=1:2 keys_zone=sprox:1m max_size=1g
                     inactive=1d use_temp_path=off;
    sprox_catalog zone=catalog:@zone@m file=@dir@/catalog interval=1d;
    sprox_origin none { endpoint @none@; credentials anonymous; retries 0; }
    sprox_origin slow { endpoint @slow@; credentials anonymous; }
    sprox_cache sprox;
    sprox_valid 1d;
    sprox_alias big   { target none://big/; list catalog; }
    sprox_alias bench { target slow://bench/; }
    server {
        listen 127.0.0.1:@port@;
        location / { sprox on; }
        location /pages { root @dir@; }
        location = /metrics { sprox_metrics; }
    }
"""


class Objects(Mapping):
    """Of that number, made when they are asked for."""

    def __init__(self, count: int, now: int):
        self.count, self.now = count, now
        self.size = len(self.key(0))

    def key(self, number: int) -> bytes:
        return b"part=%d/data-%010d.parquet" % (
            number * PREFIXES // self.count, number)

    def __iter__(self):
        return map(self.key, range(self.count))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key: bytes) -> snapshot.Object:
        return snapshot.Object(
            1 << 20, self.now - 1000, self.now,
            b'"%s"' % hashlib.md5(key).hexdigest().encode(), kind=b"STANDARD")


class Listing:
    def __init__(self, folder: Path, count: int, slow_port: int):
        now = int(time.time() * 1000)
        endpoint = f"http://127.0.0.1:{free_port()}"
        self.objects = Objects(count, now)
        self.nginx = Nginx(
            folder, HTTP, level="notice", none=endpoint,
            slow=f"http://127.0.0.1:{slow_port}", zone=16 + count // 4000)
        self.file, self.made = folder / "catalog", folder / "made"
        name = snapshot.space("none", endpoint, "big")
        snapshot.write(self.made, {name: self.objects},
                       regions={(name, b""): now})
        self._pages()

    def _pages(self) -> None:
        """What an object takes; and the pages, each looked at, as files."""
        self.nginx.start()
        empty = self.used()
        self.nginx.kill()
        self.load()
        count = self.objects.count
        self.bytes = (self.used() - empty) / count - self.objects.size
        keys = list(self.objects)
        with Client(self.nginx.port) as client:
            self.paths = []
            for at, body in enumerate(client.pages("/big?list-type=2")):
                assert re.findall(rb"<Key>([^<]*)</Key>", body) \
                    == keys[at * PAGE:(at + 1) * PAGE], at
                path = f"/pages/{at}"
                file = Path(str(self.nginx.dir) + path)
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(body)
                self.paths.append(path)
        assert len(self.paths) == -(-count // PAGE)

    def used(self) -> float:
        return self.nginx.metrics().sum("sprox_catalog_bytes")

    def load(self, meanwhile: Optional[Callable] = None) -> float:
        """Starts with the file; seconds, as nginx says. Calls meanwhile()."""
        self.nginx.kill()
        shutil.copy(self.made, self.file)
        self.file.chmod(0o600)
        log = self.nginx.dir / "error.log"
        log.write_text("")
        self.nginx.start()
        while not (match := LOADED.search(log.read_text())):
            meanwhile() if meanwhile else time.sleep(0.01)
        assert int(match[1]) == self.objects.count, match[0]
        return int(match[2]) / 1000

    def load_and_head(self) -> tuple:
        """
        (seconds to load, the slowest HEAD of a known object meanwhile, the
        slowest of as many when it is loaded).
        """
        times = []

        def heads() -> None:
            with Client(self.nginx.port) as client:
                client.head("/bench/known-1000")
                for _ in range(100):
                    began = time.perf_counter()
                    client.head("/bench/known-1000")
                    times.append(time.perf_counter() - began)

        seconds = self.load(heads)
        number, worst = len(times), max(times)
        while len(times) < 2 * number:
            heads()
        return seconds, worst, max(times[number:2 * number])

    def all_pages(self, query: str = "") -> float:
        """Seconds of all pages."""
        with Client(self.nginx.port) as client:
            began = time.perf_counter()
            number = sum(1 for _ in client.pages("/big?list-type=2" + query))
            seconds = time.perf_counter() - began
        assert number == len(self.paths)
        return seconds

    def all_files(self) -> float:
        with Client(self.nginx.port) as client:
            began = time.perf_counter()
            for path in self.paths:
                TOKEN.search(client.get(path))
            return time.perf_counter() - began

    def jump(self, times: int) -> float:
        """Seconds of one listing of the prefixes."""
        with Client(self.nginx.port) as client:
            began = time.perf_counter()
            for _ in range(times):
                body = client.get("/big?list-type=2&delimiter=%2F")
            seconds = time.perf_counter() - began
        assert body.tobytes().count(b"<CommonPrefixes>") \
            == min(PREFIXES, self.objects.count)
        return seconds / times
