"""
An origin that answers with whatever bytes a test wants, as slowly and for
as long as it wants. The scripted origin of origin.py keeps HTTP's rules but
for what a rule says; this one has none.

    hostile = Hostile(lambda request, send: send(b"HTTP/1.1 200 OK..."))

The function is called for each request, with its entry as in a journal; the
connection is kept unless it returns False. What send() cannot write, because
the other side has gone, ends it.
"""

import itertools
import socket
import threading
from typing import Callable

from .journal import Entry, Journal, describe
from .ports import listen
from .wire import Closed, Reader, parse_head, to_dict


class Hostile:
    def __init__(self, answer: Callable):
        self.answer = answer
        self.journal = Journal()
        self.sent = 0                   # bytes, of all answers
        self._listener = listen(0)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, **match) -> int:
        return self.journal.count(**match)

    def stop(self) -> None:
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()

    def _accept(self) -> None:
        for number in itertools.count(1):
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock, number),
                             daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = Reader(sock)
        try:
            while self._one(sock, reader, number):
                pass
        except (OSError, Closed, ValueError):
            pass
        finally:
            sock.close()

    def _one(self, sock, reader: Reader, number: int) -> bool:
        line, pairs = parse_head(reader.until(b"\r\n\r\n"))
        method, target, _ = line.split(" ")
        path, _, query = target.partition("?")
        entry = Entry(number, method, path, query, to_dict(pairs))
        describe(entry)
        self.journal.add(entry)

        def send(data: bytes) -> None:
            sock.sendall(data)
            entry.body_bytes += len(data)
            self.sent += len(data)

        try:
            kept = self.answer(entry, send) is not False
            entry.complete = True
            return kept
        finally:
            self.journal.end(entry)


def answer(status: int = 200, body: bytes = b"", **headers) -> bytes:
    """A whole answer; underscores of names are hyphens, None leaves out."""
    lines = {"Content-Length": len(body), "ETag": '"e"',
             "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    lines.update({n.replace("_", "-"): v for n, v in headers.items()})
    head = [f"HTTP/1.1 {status} Status"]
    head += [f"{n}: {v}" for n, v in lines.items() if v is not None]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body
