"""
A journal in front of a real store: passes bytes both ways unchanged, one
connection to the store for each that comes, and notes each request and its
answer. Signatures hold, because the Host header that was signed is passed on
as it is.
"""

import asyncio
import threading
from typing import Optional

from .journal import Entry, Journal, describe
from .pki import Certificate, insecure
from .ports import listen
from .wire import parse_head, to_dict

LIMIT = 1 << 20
BLOCK = 1 << 18


class Recorder:
    def __init__(self, upstream_port: int, *, upstream_tls: bool = False,
                 tls: Optional[Certificate] = None,
                 domains: tuple = ("localhost", "s3.test")):
        self.journal = Journal()
        self.upstream_port = upstream_port
        self.tls = tls
        self.domains = domains
        self.connections = 0
        self._upstream_context = insecure() if upstream_tls else None

        sock = listen(0)
        self.port = sock.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(sock, ready),
                                        daemon=True)
        self._thread.start()
        ready.wait(10)

    @property
    def endpoint(self) -> str:
        return f"http{'s' * bool(self.tls)}://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self, sock, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        context = self.tls.server_context() if self.tls else None
        self._loop.run_until_complete(asyncio.start_server(
            self._serve, sock=sock, ssl=context, limit=LIMIT))
        ready.set()
        try:
            self._loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(
                asyncio.gather(*tasks, return_exceptions=True))

    async def _serve(self, reader, writer) -> None:
        self.connections += 1
        number, entry, up_writer = self.connections, None, None
        try:
            up_reader, up_writer = await asyncio.open_connection(
                "127.0.0.1", self.upstream_port, limit=LIMIT,
                ssl=self._upstream_context)
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                entry = self._note(head, number)
                if not await self._exchange(head, entry, reader, up_writer,
                                            up_reader, writer):
                    break
                self.journal.end(entry)
                entry = None
        except (OSError, asyncio.IncompleteReadError,
                asyncio.CancelledError):
            pass
        finally:
            if entry:
                self.journal.end(entry)
            for w in (writer, up_writer):
                if w:
                    w.close()

    def _note(self, head: bytes, number: int) -> Entry:
        line, pairs = parse_head(head[:-4])
        method, target, _ = line.split(" ")
        path, _, query = target.partition("?")
        entry = Entry(number, method, path, query, to_dict(pairs))
        describe(entry, self.domains)
        return self.journal.add(entry)

    async def _exchange(self, head: bytes, entry: Entry, reader, up_writer,
                        up_reader, writer) -> bool:
        """One request and its response; whether the connection goes on."""
        up_writer.write(head)
        # the request's body goes up on its own: the store may answer first
        body = asyncio.create_task(
            copy_body(entry.headers, reader, up_writer, False))
        try:
            while True:
                answer = await up_reader.readuntil(b"\r\n\r\n")
                line, pairs = parse_head(answer[:-4])
                status = int(line.split(" ")[1])
                if status >= 200:
                    break
                writer.write(answer)
            # noted before it goes: who has it may look at once
            entry.status, headers = status, to_dict(pairs)
            writer.write(answer)
            if entry.method != "HEAD" and status not in (204, 304):
                await copy_body(headers, up_reader, writer, True, entry)
            await writer.drain()
            entry.complete = True
            await body
        finally:
            body.cancel()

        return "close" not in (headers.get("connection", "").lower(),
                               entry.headers.get("connection", "").lower())


async def copy_body(headers: dict, reader, writer, to_end: bool,
                    entry: Optional[Entry] = None) -> None:
    """to_end: a body without a length lasts until the connection's end."""
    async def copy(size: int, count: bool = True) -> None:
        while size:
            data = await reader.read(min(size, BLOCK))
            if not data:
                raise asyncio.IncompleteReadError(b"", size)
            if entry and count:
                entry.body_bytes += len(data)
            writer.write(data)
            await writer.drain()
            size -= len(data)

    if headers.get("transfer-encoding", "").lower() == "chunked":
        while True:
            line = await reader.readuntil(b"\r\n")
            writer.write(line)
            size = int(line.split(b";")[0], 16)
            await copy(size)
            if size == 0:
                while line != b"\r\n":      # trailers
                    line = await reader.readuntil(b"\r\n")
                    writer.write(line)
                await writer.drain()
                return
            await copy(2, count=False)
    elif "content-length" in headers:
        await copy(int(headers["content-length"]))
    elif to_end:
        while data := await reader.read(BLOCK):
            if entry:
                entry.body_bytes += len(data)
            writer.write(data)
            await writer.drain()
