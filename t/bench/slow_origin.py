"""
The slow origin of the benchmarks, a process of its own: each request waits,
then its bytes come at so many a second on each connection.

    slow_origin.py PORT LATENCY RATE FOLDER     seconds, bytes a second

A bucket that is a directory in FOLDER has the files in it below any prefix,
so that a prefix that nobody has read is there without being made:
"lake/run7/part-0.parquet" is FOLDER/lake/part-0.parquet. They can be listed.
Any other bucket has any object: a key ends in its size, "a/name-1048576", and
its bytes are pattern()'s.

GET /_counts tells the requests and the bytes of bodies that came, and how
many are being answered; GET /_reset begins anew.

Bytes go out in pieces, each at its time by the loop's clock, so that the
rate is no higher, and nothing is computed for them.
"""

import asyncio
import functools
import hashlib
import json
import mmap
import random
import re
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional
from urllib.parse import parse_qsl, unquote

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from harness import s3xml

PIECE = 256 << 10
PERIOD = 1 << 20
REQUEST = re.compile(rb"(GET|HEAD) /([^ ?]*)\??([^ ]*) HTTP/1\.1\r\n")
RANGE = re.compile(rb"\r\nrange: *bytes=(\d*)-(\d*)\r\n", re.I)
BLOCK = random.Random(1).randbytes(PERIOD)
DATA = memoryview(BLOCK + BLOCK[:PIECE])
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
MODIFIED = 784111777                # the same, in seconds


def pattern(first: int, length: int) -> bytes:
    """The bytes of every object that is no file, from first on."""
    at = first % PERIOD
    return (BLOCK * ((at + length) // PERIOD + 1))[at:at + length]


class Counts:
    requests = 0
    bytes = 0
    busy = 0                    # requests that are being answered


@dataclass
class Object:
    size: int
    etag: str
    data: Optional[memoryview] = None       # None: pattern()'s
    kind: str = "application/octet-stream"
    modified: int = MODIFIED
    storage_class: str = "STANDARD"

    def piece(self, first: int, limit: int) -> memoryview:
        """Up to that many bytes from first on, and at most PIECE."""
        limit = min(limit, PIECE)
        if self.data is None:
            first %= PERIOD
            return DATA[first:first + limit]
        return self.data[first:first + limit]


class Buckets:
    def __init__(self, folder: str):
        self.folder = Path(folder)

    @functools.lru_cache
    def files(self, bucket: str) -> Optional[dict]:
        """Name to object, of a bucket with files."""
        folder = self.folder / bucket
        if not bucket or not folder.is_dir():
            return None
        return {file.name: self.file(file) for file in folder.iterdir()}

    @staticmethod
    def file(path: Path) -> Object:
        with open(path, "rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
        digest = hashlib.md5(data).hexdigest()
        return Object(len(data), f'"{digest}"', data)

    def object(self, bucket: str, key: str) -> Optional[Object]:
        files = self.files(bucket)
        if files is not None:
            return files.get(key.rpartition("/")[2])
        size = key.rpartition("-")[2]
        return Object(int(size), f'"size-{size}"') if size.isdigit() else None

    def listing(self, bucket: str, query: dict) -> Object:
        """Of the directory that the prefix names or lies in."""
        above = query.get("prefix", "").rpartition("/")
        objects = {above[0] + above[1] + name: found
                   for name, found in (self.files(bucket) or {}).items()}
        body = s3xml.listing(bucket, objects, sorted(objects), query,
                             lambda name: name, lambda token: token)
        return Object(len(body), '"listing"', memoryview(body),
                      "application/xml")


class Connection(asyncio.Protocol):
    def __init__(self, buckets: Buckets, latency: float, rate: float):
        self.buckets, self.latency, self.rate = buckets, latency, rate
        self.loop = asyncio.get_running_loop()
        self.head = b""
        self.timer = None
        self.paused = False
        self.sent = self.length = self.is_busy = 0

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, error):
        if self.timer:
            self.timer.cancel()
        self.busy(0)

    def busy(self, now: int):
        Counts.busy += now - self.is_busy
        self.is_busy = now

    def data_received(self, data):
        self.head += data
        if b"\r\n\r\n" not in self.head:
            return
        head, self.head = self.head, b""
        method, path, query = REQUEST.match(head).groups()
        if path in (b"_counts", b"_reset"):
            if path == b"_reset":
                Counts.requests = Counts.bytes = 0
            body = json.dumps({"requests": Counts.requests,
                               "bytes": Counts.bytes,
                               "busy": Counts.busy}).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
                                 b"\r\n%s" % (len(body), body))
            return
        Counts.requests += 1
        self.busy(1)
        self.timer = self.loop.call_later(
            self.latency, self.answer, method == b"HEAD", path.decode(),
            query.decode(), RANGE.search(head))

    def find(self, path: str, query: str) -> Optional[Object]:
        bucket, _, key = path.partition("/")
        if key:
            return self.buckets.object(bucket, unquote(key))
        return self.buckets.listing(bucket, dict(
            parse_qsl(query, keep_blank_values=True)))

    def answer(self, is_head: bool, path: str, query: str, span):
        self.timer = None
        self.object = self.find(path, query)
        if self.object is None:
            body = s3xml.error("NoSuchKey", "there is none")
            self.object = Object(len(body), '"error"', memoryview(body),
                                 "application/xml")
            self.begin(is_head, "404 Not Found", 0, len(body))
            return
        size = self.object.size
        if not span:
            self.begin(is_head, "200 OK", 0, size)
            return
        first, last = span.groups()
        if not first:                           # the last so many
            first, last = max(size - int(last), 0), size - 1
        first = int(first)
        last = min(int(last), size - 1) if last else size - 1
        if first >= size:
            self.begin(True, "416 Range Not Satisfiable", 0, 0,
                       f"Content-Range: bytes */{size}")
        else:
            self.begin(is_head, "206 Partial Content", first, last - first + 1,
                       f"Content-Range: bytes {first}-{last}/{size}")

    def begin(self, is_head: bool, status: str, first: int, length: int,
              *more: str):
        """The header of an answer; its body begins, unless is_head."""
        self.transport.write("\r\n".join([
            f"HTTP/1.1 {status}", f"Content-Length: {length}",
            f"ETag: {self.object.etag}", f"Last-Modified: {DATE}",
            "Accept-Ranges: bytes", f"Content-Type: {self.object.kind}",
            *more, "", ""]).encode())
        self.first, self.length, self.sent = first, length, 0
        self.began = self.loop.time()
        if is_head or not length:
            self.length = 0
            self.busy(0)
        else:
            self.piece()

    def piece(self):
        """One piece, and the timer of the next: when this one's time is up."""
        self.timer = None
        if self.paused:
            return
        data = self.object.piece(self.first + self.sent,
                                 self.length - self.sent)
        self.transport.write(data)
        self.sent += len(data)
        Counts.bytes += len(data)
        if self.sent < self.length:
            self.timer = self.loop.call_at(
                self.began + self.sent / self.rate, self.piece)
        else:
            self.busy(0)

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        # from inside the transport: it would lose a connection twice that
        # ends in a write of ours, so the piece is written when it is done
        self.paused = False
        if not self.timer and self.sent < self.length:
            self.timer = self.loop.call_soon(self.piece)


async def serve(port: int, latency: float, rate: float, folder: str) -> None:
    buckets = Buckets(folder)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(buckets, latency, rate), "127.0.0.1", port,
        backlog=2048)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]),
                      float(sys.argv[3]), sys.argv[4]))
