"""
The scripted origin: an S3-like server in threads of the test's own process,
so that a test can change objects and open gates while it serves.

    origin.put("bucket", "key", b"...")
    origin.script(key="key", times=1, status=503, headers={"Retry-After": "1"})
    gate = origin.hold(key="key", gate_after=65536)
    assert origin.count(method="GET", key="key") == 1
"""

import socket
import struct
import threading
import time
from typing import Optional

from . import s3xml
from .faults import Gate, Rule, make_rule
from .journal import Entry, Journal, describe
from .pki import Certificate
from .ports import listen
from .store import Answer, Store, http_date
from .wire import Closed, Reader, parse_head, to_dict

SEND = 1 << 20                  # bytes in one send, when nothing is throttled
NO_FAULT = Rule()

REASONS = {200: "OK", 206: "Partial Content", 301: "Moved Permanently",
           304: "Not Modified", 307: "Temporary Redirect", 400: "Bad Request",
           403: "Forbidden", 404: "Not Found", 412: "Precondition Failed",
           416: "Requested Range Not Satisfiable",
           500: "Internal Server Error", 501: "Not Implemented",
           503: "Service Unavailable"}


class Hangup(Exception):
    """The connection ends here, on purpose."""


class Origin(Store):
    def __init__(self, *, tls: Optional[Certificate] = None, port: int = 0,
                 region: str = "us-east-1", host: str = "127.0.0.1",
                 domains: tuple = ("localhost", "s3.test")):
        """domains: below these, Host names the bucket."""
        super().__init__(region)
        self.tls = tls
        self.host = host
        self.domains = domains
        self.journal = Journal()
        self.latency = 0.0              # of every response, seconds
        self.rate = None                # of every connection, bytes a second
        self.connections = 0            # so many were accepted
        self.resumed = 0                # TLS: of those, on a known session
        self._rules = []
        self._gates = []
        self._rule_lock = threading.Lock()
        self._open = set()
        self._stopped = False
        self.context = tls.server_context() if tls else None
        self._listener = listen(port, host=host)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,),
                         daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http{'s' * bool(self.tls)}://{self.host}:{self.port}"

    # the script

    def script(self, **options) -> Rule:
        """See faults.Rule. Later rules come first."""
        rule = make_rule(**options)
        with self._rule_lock:
            self._rules.insert(0, rule)
        return rule

    def hold(self, **options) -> Gate:
        gate = Gate()
        self._gates.append(gate)
        self.script(gate=gate, **options)
        return gate

    def redirect(self, region: str, location: str = "", status: int = 301,
                 **options) -> Rule:
        """As S3 answers for a bucket of another region."""
        headers = {"x-amz-bucket-region": region}
        if location:
            headers["Location"] = location
        code = {301: "PermanentRedirect", 307: "TemporaryRedirect",
                400: "AuthorizationHeaderMalformed"}[status]
        body = s3xml.error(code, "wrong region", Region=region)
        return self.script(status=status, headers=headers, body=body,
                           **options)

    def clear_script(self) -> None:
        """Forgets the rules and opens the gates; the journal stays."""
        with self._rule_lock:
            self._rules = []
        for gate in self._gates:
            gate.open()

    # the journal

    def requests(self, **match) -> list:
        return self.journal.requests(**match)

    def count(self, **match) -> int:
        return self.journal.count(**match)

    # serving

    def stop(self) -> None:
        """Gone: connections are refused until start()."""
        self._stopped = True
        self.clear_script()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.drop_connections()

    def start(self) -> None:
        """After stop(), on the same port."""
        self._stopped = False
        self._listener = listen(self.port, host=self.host)
        threading.Thread(target=self._accept, args=(self._listener,),
                         daemon=True).start()

    def drop_connections(self) -> None:
        for sock in list(self._open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopped:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve,
                             args=(sock, self.connections),
                             daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
                self.resumed += bool(sock.session_reused)
            self._open.add(sock)
            reader = Reader(sock)
            while self._one(sock, reader, number):
                pass
        except (OSError, Closed, Hangup, ValueError):
            pass
        finally:
            self._open.discard(sock)
            sock.close()

    def _one(self, sock, reader: Reader, number: int) -> bool:
        line, pairs = parse_head(reader.until(b"\r\n\r\n"))
        method, target, _ = line.split(" ")
        path, _, query = target.partition("?")
        entry = Entry(number, method, path, query, to_dict(pairs))
        describe(entry, self.domains)
        self.journal.add(entry)

        try:
            reader.exactly(int(entry.headers.get("content-length", 0)))
            rule = self._rule(entry)
            self._respond(sock, entry, rule)
            entry.complete = True
            return not rule.close \
                and entry.headers.get("connection", "") != "close"
        finally:
            self.journal.end(entry)

    def _rule(self, entry: Entry) -> Rule:
        with self._rule_lock:
            return next((r for r in self._rules if r.takes(entry)), NO_FAULT)

    def _respond(self, sock, entry: Entry, rule: Rule) -> None:
        if rule.interim:
            sock.sendall(rule.interim)
        if self.latency or rule.delay:
            time.sleep(self.latency + rule.delay)
        if rule.gate and rule.gate_after is None:
            rule.gate.hold()
        if rule.before:
            rule.before(entry)
        if rule.raw is not None:
            sock.sendall(rule.raw)
            raise Hangup()

        answer = self._answer(entry, rule)
        entry.status = answer.status
        sock.sendall(head(answer, rule))
        if entry.method != "HEAD" and answer.status not in (204, 304):
            Body(sock, entry, rule, rule.rate or self.rate).send(answer.body)

    def _answer(self, entry: Entry, rule: Rule) -> Answer:
        if rule.status is None:
            ranged = entry.headers.get("range")
            if rule.ignore_range and ranged:
                del entry.headers["range"]
                answer = self.answer(entry)
                entry.headers["range"] = ranged
            else:
                answer = self.answer(entry)
        else:
            body = rule.body
            if body is None:
                body = b""
                if rule.status >= 300 and rule.status != 304:
                    body = s3xml.error(rule.code or "InternalError",
                                       rule.message or "scripted")
            answer = Answer(rule.status, [("Content-Type", "application/xml")],
                            memoryview(body))

        skip = {n.lower() for n in (*rule.headers, *rule.drop)}
        answer.headers = [(n, v) for n, v in answer.headers
                          if n.lower() not in skip]
        answer.headers += rule.headers.items()
        return answer


def head(answer: Answer, rule: Rule) -> bytes:
    reason = REASONS.get(answer.status, "Status")
    lines = [f"HTTP/1.1 {answer.status} {reason}",
             "Server: sprox-test-origin", "x-amz-request-id: TESTORIGIN"]
    lines += [f"{n}: {v}" for n, v in answer.headers]
    given = {n.lower() for n in rule.headers}

    if "date" not in given | {n.lower() for n in rule.drop}:
        lines.append(f"Date: {http_date(time.time())}")

    if rule.chunked:
        lines.append("Transfer-Encoding: chunked")
    elif answer.status not in (204, 304) and "content-length" not in given:
        length = rule.content_length
        lines.append(f"Content-Length: "
                     f"{answer.length if length is None else length}")
    if rule.close:
        lines.append("Connection: close")
    for i in range(0, rule.huge_headers, 1024):
        lines.append(f"x-amz-meta-huge-{i}: {'h' * 1000}")

    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Body:
    """Sends one body, with what the rule says on the way."""

    def __init__(self, sock, entry: Entry, rule: Rule, rate: Optional[float]):
        self.sock, self.entry, self.rule, self.rate = sock, entry, rule, rate
        self.began = time.monotonic()

    def send(self, body: memoryview) -> None:
        rule, sent = self.rule, 0
        stops = [n for n in (rule.gate_after, rule.truncate, rule.reset)
                 if n is not None]
        stops = sorted({min(n, len(body)) for n in stops} | {len(body)})

        for stop in stops:
            self._piece(body[sent:stop])
            sent = stop
            if rule.truncate is not None and sent >= rule.truncate:
                raise Hangup()
            if rule.reset is not None and sent >= rule.reset:
                self._reset()
            if rule.gate and rule.gate_after is not None and sent == min(
                    rule.gate_after, len(body)):
                rule.gate.hold()

        if rule.extra:
            self._piece(memoryview(rule.extra))
        if rule.chunked:
            self.sock.sendall(b"0\r\n\r\n")

    def _piece(self, data: memoryview) -> None:
        # about 200 sends a second keep a rate smooth enough
        step = max(1, min(SEND, int(self.rate / 200))) if self.rate else SEND

        for start in range(0, len(data), step):
            part = data[start:start + step]
            if self.rule.chunked:
                self.sock.sendall(b"%x\r\n" % len(part))
            # before they go: who has them may look at once
            self.entry.body_bytes += len(part)
            try:
                self.sock.sendall(part)
            except OSError:
                self.entry.body_bytes -= len(part)
                raise
            if self.rule.chunked:
                self.sock.sendall(b"\r\n")
            if self.rate:
                due = self.began + self.entry.body_bytes / self.rate
                time.sleep(max(0, due - time.monotonic()))

    def _reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        raise Hangup()
