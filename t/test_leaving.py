"""
Clients that leave, stop reading, come in crowds, over HTTP/2 or slowly, in
each of nginx's ways to send a file: others are answered right, and nothing
is left behind.
"""

import random
import socket
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.sprox import (FILL, SLICE, cache_files, serve, temporary_files,
                           wait_idle)

BIG = 16 * FILL + 12345
IO = {"plain": "sendfile on;", "copied": "sendfile off; output_buffers 1 8k;",
      "threads": "sendfile on; aio threads;",
      "copied by threads": "sendfile off; aio threads; output_buffers 2 8k;",
      "kept open": "sendfile on; open_file_cache max=50;"
                   "open_file_cache_min_uses 1;"}
POOL = "thread_pool default threads=4 max_queue=65536;"


def blob(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


BODIES = [blob(BIG, n) for n in (1, 2, 3)]


@pytest.fixture(params=IO)
def sprox(request, make_nginx, origin):
    """sprox(...): its worker has no more descriptors in the end than now."""
    started = []

    def make(more: str = "", **options):
        nginx = serve(make_nginx, origin.endpoint, main=POOL,
                      more=IO[request.param] + more, **options)
        for n in range(3):
            origin.put("bucket", f"key{n}", BODIES[n])
        nginx.metrics()
        started.append((nginx, held(nginx)))
        return nginx

    yield make

    origin.clear_script()
    for nginx, before in started:
        wait_idle(nginx)
        nginx.wait(lambda: held(nginx) <= before, 10, "to let go of all")
        nginx.wait(lambda: not temporary_files(nginx), 10,
                   "to remove its files")


def held(nginx) -> int:
    """Sockets of clients, temporary and deleted files; not what is kept."""
    origin_port = nginx._variables["endpoint"].rpartition(":")[2]
    kept = kept_sockets(int(origin_port))
    return sum(1 for what in nginx.fds().values()
               if what not in kept
               and (what.startswith("socket:") or "/cache/" in what
                    and ("." in what.rpartition("/")[2]
                         or not nginx._variables["more"].count("open_file"))))


def kept_sockets(port: int) -> set:
    """Connections to a port, as /proc shows them."""
    found = set()
    with open("/proc/net/tcp") as table:
        for line in list(table)[1:]:
            fields = line.split()
            if int(fields[2].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found


def leave(client, how: str) -> None:
    if how == "reset":
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("cache", ["nvme", "off"])
def test_leaving_at_any_time(sprox, origin, how, cache):
    nginx = sprox(cache=cache)
    rng = random.Random(how + cache)
    for rounds in range(2):                     # cold, then warm
        clients = []
        for n in range(24):
            client = nginx.client(receive_buffer=4096)
            key = rng.randrange(3)
            first = rng.randrange(BIG)
            client.send("GET", f"/bucket/key{key}",
                        {"Range": f"bytes={first}-"})
            take = rng.choice([0, 0, 1, 1000, SLICE, FILL])
            if take:
                client.read_head()
                want = BODIES[key][first:first + take]
                assert client.reader.exactly(len(want)) == want
            clients.append(client)
            if n % 3 == 0:
                leave(clients.pop(rng.randrange(len(clients))), how)
        rng.shuffle(clients)
        for client in clients:
            leave(client, how)
    for n in range(3):
        assert nginx.get(f"/bucket/key{n}").body == BODIES[n]


def test_a_crowd(sprox, origin):
    """Many at once over few slices, each with another range."""
    nginx = sprox()
    rng = random.Random(7)

    def read(seed: int) -> None:
        with nginx.client() as client:
            for _ in range(4):
                key = rng.randrange(3)
                first = rng.randrange(BIG)
                last = min(BIG - 1, first + rng.randrange(3 * SLICE))
                body = client.request("GET", f"/bucket/key{key}", {
                    "Range": f"bytes={first}-{last}"}).body
                assert body == BODIES[key][first:last + 1]

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(read, range(64)))


def test_limit_rate(sprox, origin):
    nginx = sprox("limit_rate_after 256k; limit_rate 8m;")
    for _ in range(2):
        with nginx.client() as client:
            for key in 0, 1:
                assert client.request("GET", f"/bucket/key{key}").body \
                    == BODIES[key]


def test_pipelined_reads(sprox, origin):
    nginx = sprox()
    with nginx.client() as client:
        for rounds in range(2):
            for n in 0, 1, 2, 0:
                client.send("GET", f"/bucket/key{n}")
                client.send("HEAD", f"/bucket/key{n}")
                client.send("GET", f"/bucket/key{n}", {"Range": "bytes=-5"})
            for n in 0, 1, 2, 0:
                want = BODIES[n]
                assert client.read().body == want
                assert client.read("HEAD")["Content-Length"] == str(BIG)
                assert client.read().body == want[-5:]


def curl(nginx, *args: str, folder) -> subprocess.CompletedProcess:
    return subprocess.run(["curl", "-sS", "--http2", "--parallel", *args],
                          cwd=folder, capture_output=True, timeout=240)


def test_http2(sprox, origin, pki, tmp_path):
    """Streams side by side on one connection, some of which end early."""
    nginx = sprox(server_more=f"""
        listen 127.0.0.1:@port:h2@ ssl http2;
        ssl_certificate {pki.good.cert}; ssl_certificate_key {pki.good.key};
        access_log @dir@/h2.log;
    """)
    url = f"https://127.0.0.1:{nginx.ports['h2']}/bucket/key"
    trust = "--cacert", str(pki.ca)
    for _ in range(2):
        done = curl(nginx, f"{url}[0-2]?n=[1-4]", "-o", "#1-#2", *trust,
                    folder=tmp_path)
        assert done.returncode == 0, done.stderr
        for key in range(3):
            for n in range(1, 5):
                assert (tmp_path / f"{key}-{n}").read_bytes() == BODIES[key]
        nginx.request("PURGE", "/bucket/key1")
        # a client that is slow, and then ends what it has begun
        done = curl(nginx, f"{url}[0-2]?n=[1-4]", "--max-time", "0.1",
                    "--limit-rate", "20k", "-o", "/dev/null", *trust,
                    folder=tmp_path)
        assert done.returncode == 28, done.stderr
    assert "HTTP/2.0" in (nginx.dir / "h2.log").read_text()
