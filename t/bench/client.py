"""A client that costs little, for answers of which little is looked at."""

import re
import socket

ROOM = 1 << 20                      # bytes of an answer, at most
HEAD = 4096                         # of a page, before its keys
TOKEN = re.compile(rb"<NextContinuationToken>([^<]+)<")


def connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Client:
    """Costs little: an answer is one buffer, of which no more is read."""

    def __init__(self, port: int):
        self.sock = connect(port)
        self.buffer = bytearray(ROOM)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self.sock.close()

    def head(self, path: str) -> None:
        self.ask("HEAD", path)

    def get(self, path: str) -> memoryview:
        """The body, until the next request."""
        return self.ask("GET", path)

    def ask(self, method: str, path: str) -> memoryview:
        self.sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                          "\r\n".encode())
        view, have, end = memoryview(self.buffer), 0, -1
        while end < 0:
            have += self.sock.recv_into(view[have:])
            end = self.buffer.find(b"\r\n\r\n", 0, have)
        head = bytes(view[:end]).lower()
        assert head.startswith(b"http/1.1 200 "), head
        at = head.index(b"\r\ncontent-length: ") + 18
        size = int(head[at:].split(b"\r\n", 1)[0]) * (method != "HEAD")
        end += 4
        while have < end + size:
            n = self.sock.recv_into(view[have:end + size])
            assert n, "closed short"
            have += n
        return view[end:end + size]

    def pages(self, path: str):
        """Of a listing, all; the token stands before the keys."""
        token = ""
        while True:
            body = self.get(path + token)
            yield body
            match = TOKEN.search(body, 0, HEAD)
            if not match:
                return
            token = "&continuation-token=" + match[1].decode()
