"""
A queue of SQS, spoken to by its query API: signatures are checked, messages
that were received are hidden for a while, and everything is in a journal.

    queue = Queue(access, secret)
    queue.send({"Records": [...]})
    queue.journal.wait(1, operation="DeleteMessage")
"""

import json
import select
import socket
import ssl
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Optional
from xml.sax.saxutils import escape

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .journal import Entry, Journal, parse_query
from .patience import SLOWER
from .ports import listen
from .wire import Closed, Reader, parse_head, to_dict

PATH = "/123456789012/lake-events"
NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"


@dataclass
class Message:
    body: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    hidden_until: float = 0
    received: int = 0
    handle: str = ""


class Queue:
    def __init__(self, access: str, secret: str, region: str = "eu-west-1",
                 token: str = "", visibility: float = 30, context=None):
        self.access, self.secret, self.region = access, secret, region
        self.token, self.visibility, self.context = token, visibility, context
        self.journal = Journal()
        self.messages = []
        self.failing = None             # (status, code[, operation])
        self.answer = None              # bytes instead of an answer
        self._changed = threading.Condition()
        self._stopped = False
        self._open = set()
        self._listener = listen(0)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"sqs://127.0.0.1:{self.port}{PATH}"

    # what a test does

    def send(self, *documents) -> list:
        """Dictionaries, or texts as they are."""
        made = [Message(d if isinstance(d, str) else json.dumps(d))
                for d in documents]
        with self._changed:
            self.messages += made
            self._changed.notify_all()
        return made

    def show(self) -> None:
        """What was received and not deleted can be received again now."""
        with self._changed:
            for message in self.messages:
                message.hidden_until = 0
            self._changed.notify_all()

    def wait_empty(self, timeout: float = 15) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: not self.messages,
                                          timeout * SLOWER), \
                f"{len(self.messages)} messages left:\n{self.journal}"

    def count(self, **match) -> int:
        return self.journal.count(**match)

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for sock in list(self._open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    # serving

    def _accept(self) -> None:
        while not self._stopped:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,),
                             daemon=True).start()

    def _serve(self, sock) -> None:
        try:
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            self._open.add(sock)
            reader = Reader(sock)
            while not self._stopped:
                self._one(sock, reader)
        except (OSError, Closed, ValueError):
            pass
        finally:
            self._open.discard(sock)
            sock.close()

    def _one(self, sock, reader: Reader) -> None:
        line, pairs = parse_head(reader.until(b"\r\n\r\n"))
        method, target, _ = line.split(" ")
        path, _, query = target.partition("?")
        entry = Entry(0, method, path, query, to_dict(pairs))
        arguments = parse_query(query)
        entry.operation = arguments.get("Action", "")
        self.journal.add(entry)
        try:
            status, body = self._answer(entry, arguments, sock)
            entry.status = status
            sock.sendall(f"HTTP/1.1 {status} X\r\nContent-Type: text/xml\r\n"
                         f"Content-Length: {len(body)}\r\n\r\n".encode()
                         + body)
            entry.complete = True
        except Exception as error:
            entry.fault = repr(error)
            raise
        finally:
            self.journal.end(entry)

    def _answer(self, entry: Entry, arguments: dict, sock) -> tuple:
        if self.failing and self.failing[2:] in ((), (entry.operation,)):
            return failure(*self.failing[:2])
        if self.answer is not None:
            return 200, self.answer
        wrong = self._wrong(entry)
        if wrong:
            return failure(403, wrong)
        if entry.path != PATH or arguments.get("Version") != "2012-11-05":
            return failure(400, "AWS.SimpleQueueService.NonExistentQueue")
        if entry.operation == "ReceiveMessage":
            return 200, self._receive(arguments, sock)
        if entry.operation == "DeleteMessage":
            return self._delete(arguments["ReceiptHandle"])
        return failure(400, "InvalidAction")

    def _wrong(self, entry: Entry) -> Optional[str]:
        """The code for a signature that is not the one botocore makes."""
        sent = entry.headers
        authorization = sent.get("authorization", "")
        if f"Credential={self.access}/" not in authorization:
            return "InvalidClientTokenId"
        if f"/{self.region}/sqs/aws4_request" not in authorization \
                or sent.get("x-amz-security-token", "") != self.token:
            return "SignatureDoesNotMatch"
        signed = authorization.partition("SignedHeaders=")[2].split(",")[0]
        request = AWSRequest(
            entry.method, f"http://{sent['host']}{entry.path}?{entry.query}",
            headers={name: sent[name] for name in signed.split(";")})
        request.context["timestamp"] = sent["x-amz-date"]
        signer = SigV4Auth(Credentials(self.access, self.secret), "sqs",
                           self.region)
        text = signer.string_to_sign(request,
                                     signer.canonical_request(request))
        if not authorization.endswith(
                "Signature=" + signer.signature(text, request)):
            return "SignatureDoesNotMatch"
        return None

    def _receive(self, arguments: dict, sock) -> bytes:
        wait = int(arguments.get("WaitTimeSeconds", 0))
        most = int(arguments.get("MaxNumberOfMessages", 1))
        deadline = time.monotonic() + wait

        def there():
            now = time.monotonic()
            return [m for m in self.messages if m.hidden_until <= now]

        with self._changed:
            while not there() and time.monotonic() < deadline \
                    and not self._stopped:
                self._changed.wait(0.05)
                if gone(sock):          # nobody would see the messages
                    raise Closed
            taken = there()[:most]
            for message in taken:
                message.hidden_until = time.monotonic() + self.visibility
                message.received += 1
                message.handle = f"AQEB+/{uuid.uuid4()}=="
        return envelope("ReceiveMessage", "".join(
            f"<Message><MessageId>{m.id}</MessageId><ReceiptHandle>"
            f"{m.handle}</ReceiptHandle><MD5OfBody>0</MD5OfBody><Body>"
            f"{escape(m.body, {chr(34): '&quot;'})}</Body></Message>"
            for m in taken), True)

    def _delete(self, handle: str) -> tuple:
        with self._changed:
            left = [m for m in self.messages if m.handle != handle]
            if len(left) == len(self.messages):
                return failure(404, "ReceiptHandleIsInvalid")
            self.messages = left
            self._changed.notify_all()
        return 200, envelope("DeleteMessage", "", False)


def gone(sock) -> bool:
    """The client has left; of TLS that is not looked at."""
    return not isinstance(sock, ssl.SSLSocket) \
        and bool(select.select([sock], [], [], 0)[0]) \
        and not sock.recv(1, socket.MSG_PEEK)


def envelope(action: str, inside: str, result: bool) -> bytes:
    if result:
        inside = f"<{action}Result>{inside}</{action}Result>"
    return (f'<?xml version="1.0"?><{action}Response xmlns="{NAMESPACE}">'
            f"{inside}<ResponseMetadata><RequestId>{uuid.uuid4()}"
            f"</RequestId></ResponseMetadata></{action}Response>").encode()


def failure(status: int, code: str) -> tuple:
    return status, (
        f'<?xml version="1.0"?><ErrorResponse xmlns="{NAMESPACE}"><Error>'
        f"<Type>Sender</Type><Code>{code}</Code><Message>scripted</Message>"
        f"<Detail/></Error><RequestId>r</RequestId></ErrorResponse>").encode()
