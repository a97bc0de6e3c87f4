"""
Events as a real store sends them: versitygw's webhook, whose sequencers
order nothing. Objects are put, replaced and deleted there while clients list
and read through sprox: each answer is one that was true at a moment between
its request, less the lag of an event, and its end.
"""

import hashlib
import random
import threading
import time

import pytest

from harness.admin import LOCATION, Admin
from harness.listing import parse
from harness.patience import SLOWER, until
from harness.ports import free_port
from harness.sprox import serve
from harness.versity import Versity

LAG = 0.5 * SLOWER             # on a machine that does much else
TOKEN = "0123456789abcdef"
UNDER_WAY = ".sgwtmp."      # files the store lists for a moment, never told of
BUCKET = "told"
KEYS = [f"dir{i % 3}/k+{i} %é" for i in range(9)]
ALIASES = f"""
    sprox_alias cat {{ target store://{BUCKET}/; list catalog; }}
"""


@pytest.fixture
def told(make_nginx, tmp_path):
    """An nginx, and the store that tells it; started in this order."""
    port = free_port()
    nginx = serve(make_nginx, f"http://127.0.0.1:{port}", workers=2,
                  server_more=LOCATION.replace(
                      "sprox_admin", f"sprox_admin token_file={tmp_path}/t"),
                  aliases=ALIASES, valid="1h", start=False,
                  more="sprox_valid_missing 1h;",
                  credentials=f'static {Versity.access} "{Versity.secret}"')
    (tmp_path / "t").write_text(TOKEN)
    (tmp_path / "t").chmod(0o600)
    nginx.allow_log(r"origin \"store\": ListObjectsV2")     # not up yet
    nginx.start()
    store = Versity(tmp_path / "versity", port=port, events=
                    f"http://127.0.0.1:{nginx.port}/_sprox/events"
                    f"?token={TOKEN}")
    store.put(BUCKET, {})
    nginx.admin = Admin(nginx, headers={"Authorization": f"Bearer {TOKEN}"})
    yield nginx, store
    store.stop()


def complete(nginx) -> None:
    """A crawl that begins now, when the store is there."""
    nginx.admin.crawl("cat")
    nginx.admin.wait_complete("cat", timeout=30)


def listed(nginx) -> dict:
    """The ETag of each key that a LIST tells."""
    response = nginx.get("/cat?list-type=2&encoding-type=url")
    assert response.status == 200, response
    return {key: item["ETag"] for key, item
            in parse(response.body).objects.items()
            if UNDER_WAY not in key}


def etag(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'


def quoted(key: str) -> bytes:
    return b"/cat/" + "".join(f"%{c:02X}" for c in key.encode()).encode()


class History:
    """What was true of each key, and when it may have begun and ended."""

    def __init__(self):
        self.states = {key: [(0.0, None)] for key in KEYS}  # begin, body
        self.ended = {key: [0.0] for key in KEYS}   # of the change to it

    def begin(self, key: str, body) -> None:
        self.states[key].append((time.monotonic(), body))

    def end(self, key: str) -> None:
        self.ended[key].append(time.monotonic())

    def bodies(self, key: str, begun: float, ended: float) -> list:
        """What an answer of that time may be."""
        states, over = self.states[key], self.ended[key]
        found = []
        for i, (first, body) in enumerate(states):
            last = over[i + 1] + LAG if i + 1 < len(over) else ended
            if first <= ended and last >= begun:
                found.append(body)
        return found


def change(store, history: History, seconds: float, failed: list,
           counts: list) -> None:
    """For so long, and until there was enough of changes and answers."""
    client, rng, number = store.client(), random.Random(1), 0
    deadline = time.monotonic() + seconds
    try:
        while not failed and (time.monotonic() < deadline
                              or number < 60 or len(counts) < 120):
            key, number = rng.choice(KEYS), number + 1
            body = None if rng.random() < 0.3 else \
                f"{key} {number}".encode() * rng.randint(1, 400)
            history.begin(key, body)
            if body is None:
                client.delete_object(Bucket=BUCKET, Key=key)
            else:
                client.put_object(Bucket=BUCKET, Key=key, Body=body)
            history.end(key)
    except Exception as error:
        failed.append(repr(error))


def read(nginx, history: History, stop: threading.Event, seed: int,
         failed: list, counts: list) -> None:
    rng = random.Random(seed)
    try:
        while not stop.is_set():
            begun = time.monotonic()
            if rng.random() < 0.4:
                objects = listed(nginx)
                ended = time.monotonic()
                assert set(objects) <= set(KEYS), objects
                for key in KEYS:
                    may = {body and etag(body) for body in
                           history.bodies(key, begun, ended)}
                    assert objects.get(key) in may, ("LIST", key, objects, may)
            else:
                key = rng.choice(KEYS)
                response = nginx.get(quoted(key))
                ended = time.monotonic()
                may = history.bodies(key, begun, ended)
                assert response.status in (200, 404), response
                if response.status == 404:
                    assert None in may, ("GET", key, 404)
                elif response.complete:         # else closed: it changed
                    assert response.body in may, ("GET", key, response)
                    assert response["etag"] == etag(response.body)
            counts.append(1)
    except BaseException as error:
        failed.append(repr(error))


def test_every_answer_was_true(told):
    nginx, store = told
    complete(nginx)
    history, stop, failed, counts = History(), threading.Event(), [], []
    nginx.allow_log("the response is closed short|the version is gone")
    nginx.allow_log("changed")
    readers = [threading.Thread(target=read, args=(
        nginx, history, stop, seed, failed, counts)) for seed in range(4)]
    for thread in readers:
        thread.start()
    change(store, history, 4, failed, counts)
    stop.set()
    for thread in readers:
        thread.join()
    assert failed == []
    changes = sum(len(ended) - 1 for ended in history.ended.values())
    assert len(counts) > 100 and changes > 50

    # and in the end both say the same
    truth = {item["Key"]: item["ETag"] for item in store.client()
             .list_objects_v2(Bucket=BUCKET).get("Contents", [])}
    until(lambda: listed(nginx) == truth, 5, lambda: (
        f"sprox lists {listed(nginx)}, the store {truth}"))
    assert nginx.metrics().sum("sprox_events_total", sender="versitygw",
                               result="bad") == 0
    nginx.wait(lambda: nginx.metrics().sum(
        "sprox_events_total", sender="versitygw") >= changes, 5,
        "to be told of each change")


def test_how_long_it_takes(told, record_property):
    """From the end of a change at the store to the answers of sprox."""
    nginx, store = told
    store.put(BUCKET, {"key": b"0"})
    complete(nginx)
    client, seen = store.client(), {"LIST": [], "GET": []}
    for number in range(1, 21):
        body = b"%d" % number
        client.put_object(Bucket=BUCKET, Key="key", Body=body)
        done = time.perf_counter()
        for name, ask in (
                ("GET", lambda: nginx.get("/cat/key").body == body),
                ("LIST", lambda: parse(nginx.get("/cat?list-type=2").body)
                 .objects["key"]["ETag"] == etag(body))):
            nginx.wait(ask, LAG * 20, "to know it")
            seen[name].append(time.perf_counter() - done)
    medians = {name: sorted(times)[len(times) // 2] * 1000
               for name, times in seen.items()}
    record_property("lag", f"GET {medians['GET']:.1f} ms, "
                    f"LIST {medians['LIST']:.1f} ms")
    assert medians["GET"] < LAG * 1000 and medians["LIST"] < LAG * 1000
    pages = nginx.metrics().sum("sprox_origin_requests_total",
                                operation="ListObjectsV2", status=200)
    assert pages < 20                   # the catalog answers, not the origin


def test_what_versitygw_says(told):
    """Each kind of change is told, and understood."""
    nginx, store = told
    complete(nginx)
    client = store.client()

    def known(key):
        nginx.wait(lambda: key in parse(nginx.get(
            "/cat?list-type=2").body).keys, 5, f"to list {key}")
        return nginx.get("/cat/" + key).body

    client.put_object(Bucket=BUCKET, Key="put", Body=b"1")
    assert known("put") == b"1"
    client.copy_object(Bucket=BUCKET, Key="copied",
                       CopySource={"Bucket": BUCKET, "Key": "put"})
    assert known("copied") == b"1"
    upload = client.create_multipart_upload(Bucket=BUCKET, Key="parts")
    part = client.upload_part(Bucket=BUCKET, Key="parts", PartNumber=1,
                              UploadId=upload["UploadId"], Body=b"p" * 9)
    client.complete_multipart_upload(
        Bucket=BUCKET, Key="parts", UploadId=upload["UploadId"],
        MultipartUpload={"Parts": [{"PartNumber": 1,
                                    "ETag": part["ETag"]}]})
    assert known("parts") == b"p" * 9
    client.delete_objects(Bucket=BUCKET, Delete={
        "Objects": [{"Key": "put"}, {"Key": "copied"}]})
    client.delete_object(Bucket=BUCKET, Key="parts")
    nginx.wait(lambda: parse(nginx.get("/cat?list-type=2").body).keys == [],
               5, "to forget them")
    for key in ("put", "copied", "parts"):
        assert nginx.get("/cat/" + key).status == 404
    assert TOKEN not in nginx.log()
