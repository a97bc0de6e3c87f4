"""
The slow origin of the benchmarks, a process of its own: each request waits,
then its bytes come at so many a second on each connection.

    slow_origin.py PORT LATENCY RATE        seconds, bytes a second

Any bucket has any object: a key ends in its size, "a/name-1048576", and its
bytes are pattern()'s. GET /_counts tells the requests and the bytes of bodies
that came, and how many are being answered; GET /_reset begins anew.

Bytes go out in pieces, each at its time by the loop's clock, so that the
rate is no higher, and nothing is computed for them.
"""

import asyncio
import json
import random
import re
import socket
import sys

PIECE = 256 << 10
PERIOD = 1 << 20
REQUEST = re.compile(rb"(GET|HEAD) (/[^ ]*) HTTP/1\.1\r\n")
RANGE = re.compile(rb"\r\nrange: *bytes=(\d*)-(\d*)\r\n", re.I)
BLOCK = random.Random(1).randbytes(PERIOD)
DATA = memoryview(BLOCK + BLOCK[:PIECE])
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def pattern(first: int, length: int) -> bytes:
    """The bytes of every object from first on."""
    at = first % PERIOD
    return (BLOCK * ((at + length) // PERIOD + 1))[at:at + length]


class Counts:
    requests = 0
    bytes = 0
    busy = 0                    # requests that are being answered


class Connection(asyncio.Protocol):
    def __init__(self, latency: float, rate: float):
        self.latency, self.rate = latency, rate
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
        method, target = REQUEST.match(head).groups()
        if target in (b"/_counts", b"/_reset"):
            if target == b"/_reset":
                Counts.requests = Counts.bytes = 0
            body = json.dumps({"requests": Counts.requests,
                               "bytes": Counts.bytes,
                               "busy": Counts.busy}).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
                                 b"\r\n%s" % (len(body), body))
            return
        Counts.requests += 1
        self.busy(1)
        self.timer = self.loop.call_later(self.latency, self.answer, method,
                                          target, head)

    def answer(self, method, target, head):
        size = int(target.partition(b"?")[0].rsplit(b"-", 1)[1])
        first, last, status = 0, size - 1, "200 OK"
        if found := RANGE.search(head):
            a, b = found.groups()
            first = int(a) if a else max(size - int(b), 0)
            last = min(int(b), size - 1) if a and b else size - 1
            status = "206 Partial Content"
            if first >= size:
                self.transport.write(
                    b"HTTP/1.1 416 Range Not Satisfiable\r\n"
                    b"Content-Length: 0\r\nContent-Range: bytes */%d\r\n\r\n"
                    % size)
                self.busy(0)
                return
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {last - first + 1}",
                 f'ETag: "size-{size}"', f"Last-Modified: {DATE}",
                 "Accept-Ranges: bytes",
                 "Content-Type: application/octet-stream"]
        if found:
            lines.append(f"Content-Range: bytes {first}-{last}/{size}")
        self.transport.write("\r\n".join(lines + ["", ""]).encode())
        self.timer = None
        if method == b"GET":
            self.began, self.sent = self.loop.time(), 0
            self.first, self.length = first, last - first + 1
            self.piece()
        else:
            self.busy(0)

    def piece(self):
        """One piece, and the timer of the next: when this one's time is up."""
        self.timer = None
        if self.paused:
            return
        at = (self.first + self.sent) % PERIOD
        n = min(PIECE, self.length - self.sent)
        self.transport.write(DATA[at:at + n])
        self.sent += n
        Counts.bytes += n
        if self.sent < self.length:
            self.timer = self.loop.call_at(
                self.began + self.sent / self.rate, self.piece)
        else:
            self.busy(0)

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False
        if not self.timer and self.sent < self.length:
            self.piece()


async def serve(port: int, latency: float, rate: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(latency, rate), "127.0.0.1", port, backlog=2048)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]),
                      float(sys.argv[3])))
