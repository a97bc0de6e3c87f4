"""
HTTP/1.1 as bytes, for tests that must send what a library would refuse to,
and see what came as it came.
"""

import socket
import ssl
from dataclasses import dataclass
from typing import Optional


@dataclass
class Response:
    status: int
    reason: str
    header_list: list           # (name, value) as sent, in order
    body: bytes
    complete: bool              # the body came as long as was announced

    @property
    def headers(self) -> dict:
        return to_dict(self.header_list)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def __getitem__(self, name: str) -> str:
        return self.headers[name.lower()]

    def get(self, name: str, default: Optional[str] = None) -> Optional[str]:
        return self.headers.get(name.lower(), default)


def to_dict(pairs: list) -> dict:
    """By names in lower case; the values of a repeated one are joined."""
    headers = {}
    for name, value in pairs:
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def parse_head(head: bytes) -> tuple:
    """(first line, [(name, value), ...]) of a head without its empty line."""
    lines = head.decode("latin-1").split("\r\n")
    pairs = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            pairs.append((name, value.strip(" \t")))
    return lines[0], pairs


class Closed(Exception):
    """The peer closed the connection where more had to come."""


class Reader:
    """Buffered reading from a socket."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def _more(self) -> bool:
        data = self.sock.recv(1 << 18)
        self.buffer += data
        return bool(data)

    def until(self, mark: bytes, limit: int = 1 << 20) -> bytes:
        """What comes before mark; mark itself is dropped."""
        while mark not in self.buffer:
            if len(self.buffer) > limit:
                raise ValueError("too long")
            if not self._more():
                raise Closed()
        data, _, self.buffer = self.buffer.partition(mark)
        return data

    def some(self, limit: int = 1 << 18) -> bytes:
        if not self.buffer and not self._more():
            return b""
        data, self.buffer = self.buffer[:limit], self.buffer[limit:]
        return data

    def exactly(self, size: int) -> bytes:
        """size bytes, or fewer when the peer closes before."""
        parts, left = [], size
        while left:
            data = self.some(left)
            if not data:
                break
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    def chunked(self) -> bytes:
        parts = []
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                while self.until(b"\r\n"):
                    pass
                return b"".join(parts)
            data = self.exactly(size)
            parts.append(data)
            if len(data) < size:
                raise Closed()
            self.until(b"\r\n")


class Client:
    """
    One connection. request() and read() may be apart, so that a test can
    pipeline, stop reading in the middle, or leave.
    """

    def __init__(self, port: int, *, host: str = "127.0.0.1",
                 tls: Optional[ssl.SSLContext] = None, server_name: str = "",
                 timeout: float = 60, receive_buffer: int = 0):
        self.host = f"{host}:{port}"
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                 receive_buffer)
        self.sock.settimeout(timeout)
        self.sock.connect((host, port))
        if tls:
            self.sock = tls.wrap_socket(self.sock,
                                        server_hostname=server_name or host)
        self.reader = Reader(self.sock)

    def send(self, method: str, target, headers: dict = {},
             body: bytes = b"") -> None:
        """target: str or bytes, sent as it is."""
        if isinstance(target, str):
            target = target.encode("latin-1")
        lines = [method.encode() + b" " + target + b" HTTP/1.1"]
        if not any(name.lower() == "host" for name in headers):
            lines.append(b"Host: " + self.host.encode())
        if body:
            lines.append(b"Content-Length: %d" % len(body))
        lines += [f"{n}: {v}".encode("latin-1") for n, v in headers.items()]
        self.sock.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    def read_head(self) -> tuple:
        """(status, reason, header list); interim responses are skipped."""
        while True:
            line, pairs = parse_head(self.reader.until(b"\r\n\r\n"))
            _, status, *reason = line.split(" ", 2)
            if not status.startswith("1"):
                return int(status), " ".join(reason), pairs

    def read(self, method: str = "GET") -> Response:
        """method: of the request that is answered (HEAD has no body)."""
        status, reason, pairs = self.read_head()
        headers, complete = to_dict(pairs), True

        if method == "HEAD" or status in (204, 304):
            body = b""
        elif "content-length" in headers:
            size = int(headers["content-length"])
            body = self.reader.exactly(size)
            complete = len(body) == size
        elif headers.get("transfer-encoding") == "chunked":
            try:
                body = self.reader.chunked()
            except Closed:
                body, complete = b"", False
        else:
            parts = list(iter(self.reader.some, b""))
            body = b"".join(parts)

        return Response(status, reason, pairs, body, complete)

    def request(self, method: str, target, headers: dict = {},
                body: bytes = b"") -> Response:
        self.send(method, target, headers, body)
        return self.read(method)

    def close(self) -> None:
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def request(port: int, method: str, target, headers: dict = {},
            body: bytes = b"", **options) -> Response:
    """One request on a connection of its own."""
    with Client(port, **options) as client:
        return client.request(method, target, headers, body)
