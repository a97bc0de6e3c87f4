"""
A name server for nginx's `resolver`: A and AAAA records out of a dictionary
that a test may change while it runs.
"""

import socket
import struct
import threading

from .ports import free_port

A, AAAA = 1, 28


class NameServer:
    def __init__(self, ttl: int = 1):
        """ttl: how long an answer may be believed, seconds."""
        self.ttl = ttl
        self.names = {}                 # name: [address, ...]
        self.questions = []             # (name, type), in order
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", free_port()))
        self.port = self._sock.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)   # wakes the receiver
        except OSError:
            pass                                    # it is not connected
        self._sock.close()

    def _run(self) -> None:
        while True:
            try:
                packet, peer = self._sock.recvfrom(4096)
                self._sock.sendto(self._answer(packet), peer)
            except OSError:
                return
            except (IndexError, struct.error):
                pass

    def _answer(self, packet: bytes) -> bytes:
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
            at += 1 + packet[at]
        question = packet[12:at + 5]
        kind = struct.unpack(">H", packet[at + 1:at + 3])[0]
        name = ".".join(labels).lower()
        self.questions.append((name, kind))

        records = []
        for address in self.names.get(name, []):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            if kind == (AAAA if ":" in address else A):
                data = socket.inet_pton(family, address)
                records.append(b"\xc0\x0c" + struct.pack(
                    ">HHIH", kind, 1, self.ttl, len(data)) + data)

        code = 0 if name in self.names else 3       # NXDOMAIN
        return packet[:2] + struct.pack(
            ">HHHHH", 0x8180 | code, 1, len(records), 0, 0) \
            + question + b"".join(records)
