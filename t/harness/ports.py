"""
Ports for servers under test. They lie below the range from which the kernel
takes ports for outgoing connections, and each is locked by a file for as
long as this process lives, so that parallel runs never share one.
"""

import fcntl
import os
import random
import socket
import tempfile

FIRST, LAST = 20000, 31999

_locks = []


def free_port() -> int:
    folder = os.path.join(tempfile.gettempdir(), f"sprox-ports-{os.getuid()}")
    os.makedirs(folder, exist_ok=True)

    for _ in range(10000):
        port = random.randint(FIRST, LAST)
        lock = open(os.path.join(folder, str(port)), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _locks.append(lock)
        return port

    raise RuntimeError("no free port")


def listen(port: int, backlog: int = 1024,
           host: str = "127.0.0.1") -> socket.socket:
    """A listening socket on loopback; port 0: one of free_port's."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port or free_port()))
    sock.listen(backlog)
    return sock
