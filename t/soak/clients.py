"""
The soak's clients: threads in processes of their own, each of which asks for
something, in some way, and checks what comes: every byte against the version
that the response names, and the version against what there was at that time.
"""

import random
import re
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Optional
from urllib.parse import quote, quote_plus

from harness import listing, s3xml
from harness.pki import insecure
from harness.wire import Client, Closed, to_dict

from .content import ODD, PART, Bytes, History, Key, Version

READ = 1 << 18
SLACK = 1.0         # what may be added to a bound, seconds
GONE = (Closed, ConnectionError, ssl.SSLError, BrokenPipeError)
KEEP = 0.9          # how often a client asks on the connection that it has


class Finding(Exception):
    """Something that must not be."""


@dataclass(frozen=True)
class Alias:
    name: str
    bucket: str
    bound: Optional[float]      # how stale what it says may be; None: no bound
    prefix: str = ""            # of the keys that it has


@dataclass
class Ask:
    kind: str
    method: str
    alias: Alias
    key: Key
    span: tuple = ()            # first, last; None where it says nothing
    headers: dict = field(default_factory=dict)
    condition: tuple = ()       # header, version or time
    leave: Optional[int] = None     # after so many bytes
    rate: Optional[float] = None    # bytes a second that are read
    query: str = ""
    part: int = 0                   # its partNumber
    since: float = 0            # the answer must be no staler than this

    @property
    def target(self) -> str:
        name = self.key.name.removeprefix(self.alias.prefix)
        return f"/{self.alias.name}/" + quote(name, safe="/") + self.query

    def __str__(self) -> str:
        return f"{self.kind}: {self.method} {self.target} {self.headers}"


class Worker:
    """One thread: asks until it is told to stop."""

    def __init__(self, shared, number: int):
        self.shared, self.number = shared, number
        self.chance = random.Random(f"{shared.seed}-client-{number}")
        self.history = shared.history       # of this process
        self.bytes = shared.bytes
        self.counts = Counter()
        self.tags = {}                      # (bucket, key): Version seen
        self.client = None
        self.stale = Counter()              # alias: the most, seconds

    # what is asked

    def key(self, alias: Alias) -> Key:
        keys = [k for k in self.shared.keys if k.bucket == alias.bucket
                and k.name.startswith(alias.prefix)]
        if self.chance.random() < 0.3:
            # one that others ask for as well
            moment = random.Random(int(time.monotonic() / 1.5))
            return moment.choice(keys)
        weights = [1 / (1 + k.top / (4 << 20)) for k in keys]
        return self.chance.choices(keys, weights)[0]

    def ask(self) -> Ask:
        alias = self.chance.choice(self.shared.aliases)
        ask = Ask(self.chance.choices(*KINDS)[0], "GET", alias,
                  self.key(alias))
        getattr(self, "ask_" + ask.kind)(ask)
        first, last = ask.span or (None, None)
        if ask.span:
            ask.headers["Range"] = "bytes=" + (
                "" if first is None else str(first)) + "-" + (
                "" if last is None else str(last))
        return ask

    def ask_whole(self, ask: Ask) -> None:
        pass

    def ask_range(self, ask: Ask) -> None:
        top = max(ask.key.top, 1)
        first = self.chance.randrange(top)
        length = int(self.chance.choice((1, 1000, 64 << 10, 1 << 20, 8 << 20))
                     * self.chance.uniform(0.5, 1.5)) or 1
        ask.span = (first, first + length - 1)

    def ask_open_range(self, ask: Ask) -> None:
        ask.span = (self.chance.randrange(max(ask.key.top, 1)), None)

    def ask_beyond(self, ask: Ask) -> None:
        ask.span = (ask.key.top + self.chance.randint(0, 3), None)

    def ask_suffix(self, ask: Ask) -> None:
        ask.span = (None, int(self.chance.choice(
            (1, 8, 1000, 65536, 100_000, 1 << 20))))

    def ask_head(self, ask: Ask) -> None:
        ask.method = "HEAD"

    def ask_condition(self, ask: Ask) -> None:
        version = self.tags.get(ask.key)
        if not version or ask.key.tag != "strong":
            return
        if self.chance.random() < 0.3:
            ask.method = "HEAD"
        elif self.chance.random() < 0.4:
            self.ask_range(ask)
        name = self.chance.choice(("If-Match", "If-None-Match",
                                   "If-Modified-Since",
                                   "If-Unmodified-Since"))
        if name.endswith("Match"):
            ask.headers[name] = f'"{version.name}"'
        else:
            ask.headers[name] = formatdate(version.modified, usegmt=True)
        ask.condition = (name, version)

    def ask_if_range(self, ask: Ask) -> None:
        self.ask_range(ask)
        version = self.tags.get(ask.key)
        if version and ask.key.tag == "strong":
            ask.headers["If-Range"] = f'"{version.name}"'
            ask.condition = ("If-Range", version)

    def ask_leave(self, ask: Ask) -> None:
        if self.chance.random() < 0.4:
            self.ask_range(ask)
        ask.leave = int(self.chance.choice((0, 1, 10_000, 300_000, 3e6))
                        * self.chance.random())

    def ask_slow(self, ask: Ask) -> None:
        ask.rate = self.chance.choice((50e3, 500e3, 5e6))
        ask.leave = int(ask.rate * 6)

    def ask_part(self, ask: Ask) -> None:
        ask.part = self.chance.randint(1, max(1, ask.key.top // PART))
        ask.query = f"?partNumber={ask.part}"

    def ask_pipeline(self, ask: Ask) -> None:
        self.ask_range(ask)

    def ask_list(self, ask: Ask) -> None:
        pass

    def ask_purge(self, ask: Ask) -> None:
        ask.method = "PURGE"

    # asking

    def run(self) -> None:
        while not self.shared.stop():
            ask = self.ask()
            self.perform(ask)
        self.leave()

    def perform(self, ask: Ask) -> None:
        self.shared.begin(self.number, ask)
        try:
            if ask.kind == "list":
                self.list(ask)
            elif ask.kind == "purge":
                self.purge(ask)
            elif ask.kind == "pipeline":
                self.read(ask, self.ask_another(ask))
            else:
                self.read(ask)
        except TimeoutError:
            raise Finding(f"no byte for {self.shared.deadline} s: {ask}")
        except GONE as error:
            self.counts["gone"] += 1
            self.leave()
            if isinstance(error, ConnectionRefusedError):
                raise Finding(f"nobody listens: {ask}")
        finally:
            self.shared.end(self.number)

    def leave(self) -> None:
        if self.client:
            self.client.close()
            self.client = None

    def connected(self, ask: Ask) -> Client:
        if self.client and (ask.rate or self.chance.random() > KEEP):
            self.leave()
        if not self.client:
            port, tls = self.chance.choice(self.shared.ports)
            self.client = Client(
                port, timeout=self.shared.deadline,
                tls=insecure() if tls else None,
                receive_buffer=16384 if ask.rate else 0)
        return self.client

    def ask_another(self, ask: Ask) -> Ask:
        """Another piece of the same."""
        other = Ask(ask.kind, "GET", ask.alias, ask.key)
        self.ask_range(other)
        other.headers["Range"] = "bytes=%d-%d" % other.span
        return other

    def read(self, *asks: Ask) -> None:
        """Sends all of them, then reads the answers."""
        client = self.connected(asks[0])
        start = time.monotonic()
        for ask in asks:
            self.counts[ask.kind] += 1
            client.send(ask.method, ask.target, ask.headers)
        for ask in asks:
            self.answer(ask, start)
            if self.client is not client:
                return

    def answer(self, ask: Ask, start: float) -> None:
        client = self.client
        status, _, pairs = client.read_head()
        end = time.monotonic()
        headers = to_dict(pairs)

        if status in (200, 206):
            version = self.named(ask, headers)
            self.fresh(ask, version, start, end)
            self.conditions(ask, status, version)
            first, length = self.span(ask, status, headers, version)
            self.tags[ask.key] = version
            if ask.method == "HEAD":
                return
            self.body(ask, version, first, length)
            if ask.rate:
                self.leave()
            return

        body = b""
        if ask.method != "HEAD" and status != 304:
            size = int(headers["content-length"])
            body = client.reader.exactly(size)
            if len(body) < size:
                raise Closed()
        self.refused(ask, status, headers, body, start, end)

    # what comes

    def named(self, ask: Ask, headers: dict) -> Version:
        """The version that a response says it is of."""
        name = headers.get("x-amz-meta-version")
        tag = headers.get("etag")
        want = {"strong": f'"{name}"', "weak": f'W/"{name}"',
                "none": None}[ask.key.tag]
        if name is None or tag != want:
            raise Finding(f"{ask}: ETag {tag} with headers of {name}")
        version = self.history.find(ask.key.number, name)
        if version is None:
            raise Finding(f"{ask}: {name} never was a version of it")
        times = {formatdate(m, usegmt=True) for m in
                 self.history.modified(ask.key.number, name)}
        if headers.get("last-modified") not in times:
            raise Finding(f"{ask}: {name}: Last-Modified "
                          f"{headers.get('last-modified')}, not {times}")
        if headers.get("content-type") != "application/x-soak":
            raise Finding(f"{ask}: {name}: {headers}")
        return version

    def fresh(self, ask: Ask, version: Optional[Version], start: float,
              end: float) -> None:
        age = self.history.age(ask.key.number, version, ask.since or start,
                               end)
        what = version.name if version else "absence"
        if age is None:
            raise Finding(f"{ask}: {what} was not yet")
        bound = 0 if ask.since else ask.alias.bound
        if bound is None:
            return
        name = ask.alias.name + (" after purge" if ask.since else "")
        self.stale[name] = max(self.stale[name], age - bound)
        if age > bound + SLACK:
            raise Finding(f"{ask}: {what} is {age:.1f} s stale")

    def conditions(self, ask: Ask, status: int, version: Version) -> None:
        if not ask.condition:
            return
        name, known = ask.condition
        same = known.name == version.name
        if name == "If-Range" and ask.alias.name == "bypass" \
                and status == 200:
            return                      # the whole is always right
        if name == "If-Match" and not same \
                or name == "If-None-Match" and same \
                or name == "If-Range" and (status == 206) != same:
            raise Finding(f"{ask}: {status} of {version.name}")

    def span(self, ask: Ask, status: int, headers: dict,
             version: Version) -> tuple:
        """(first byte, length) of a body, which its headers must say."""
        size = version.size
        if ask.part:
            return self.part(ask, status, headers, version)
        first, last = ask.span or (0, None)
        if first is None:
            first, last = max(0, size - last), size - 1
        else:
            last = size - 1 if last is None else min(last, size - 1)
        if status == 200:
            whole = not ask.span or ask.condition[:1] == ("If-Range",)
            want = None
            first, last = 0, size - 1
        else:
            whole = bool(ask.span)
            want = f"bytes {first}-{last}/{size}"
        length = last - first + 1
        if not whole or headers.get("content-range") != want \
                or headers.get("content-length") != str(length):
            raise Finding(f"{ask}: {status} of {version.name} with {headers}")
        return first, length

    def part(self, ask: Ask, status: int, headers: dict,
             version: Version) -> tuple:
        """The same of a part."""
        sizes = version.parts or (version.size,)
        first = sum(sizes[:ask.part - 1])
        length = sizes[ask.part - 1] if ask.part <= len(sizes) else 0
        want = (f"bytes {first}-{first + length - 1}/{version.size}"
                if length else None)
        count = str(len(version.parts)) if version.parts else None
        if status != (206 if length else 200) or ask.part > len(sizes) \
                or headers.get("content-range") != want \
                or headers.get("x-amz-mp-parts-count") != count \
                or headers.get("content-length") != str(length):
            raise Finding(f"{ask}: {status} of {version.name} with {headers}")
        return first, length

    def body(self, ask: Ask, version: Version, first: int,
             length: int) -> None:
        done, began = 0, time.monotonic()
        reader = self.client.reader
        while done < length:
            if ask.leave is not None and done >= ask.leave:
                self.counts["left"] += 1
                self.leave()
                return
            limit = READ
            if ask.rate:
                limit = 1 + int(ask.rate / 50)
                due = began + done / ask.rate
                time.sleep(max(0, due - time.monotonic()))
            try:
                data = reader.some(min(limit, length - done))
            except ConnectionError:
                data = b""
            if not data:
                self.counts["short"] += 1
                self.leave()
                return
            if not self.bytes.right(version, first + done, data):
                others = [v for _, v in self.history.of(ask.key.number)
                          if v.number]
                raise Finding(f"{ask}: WRONG BYTES in {version.name}, "
                              f"[{first}, +{length}), piece at "
                              f"{first + done}, +{len(data)}: "
                              + self.bytes.explain(version, first + done,
                                                   data, others[::-1]))
            done += len(data)
            self.counts["bytes"] += len(data)
        self.counts["complete"] += 1

    def refused(self, ask: Ask, status: int, headers: dict, body: bytes,
                start: float, end: float) -> None:
        key = ask.key.number
        text = body.decode("utf-8", "replace")
        found = re.search(r"<Error><Code>(\w+)</Code><Message>([^<]*)<", text)
        if body and not found:
            raise Finding(f"{ask}: {status} with {body[:300]}")
        code, message = found.groups() if found else ("", "")
        self.counts[f"status {status} {code}"] += 1

        if status == 304:
            version = ask.condition and ask.condition[1]
            if not version or ask.condition[0] not in (
                    "If-None-Match", "If-Modified-Since"):
                raise Finding(f"{ask}: 304")
            if ask.condition[0] == "If-None-Match":
                self.fresh(ask, version, start, end)
        elif status == 404:
            self.fresh(ask, None, start, end)
        elif status == 412:
            if ask.condition[:1] not in (("If-Match",),
                                         ("If-Unmodified-Since",)) \
                    and message != "scripted":
                raise Finding(f"{ask}: 412 {message}")
        elif status == 416 and (ask.part > 1 or message == "scripted"):
            pass                        # fewer parts than there were
        elif status == 416:
            bound = SLACK + (ask.alias.bound or 1e9)
            sizes = self.history.sizes(key, start - bound, end)
            first, last = ask.span or (0, None)
            fit = [s for s in sizes if (s > first if first is not None
                                        else s and last)]
            if not ask.span or len(fit) == len(sizes):
                raise Finding(f"{ask}: 416 {message} {headers}, though it "
                              f"had {sizes}")
        elif status < 500 and status != 429:
            raise Finding(f"{ask}: {status} {text[:300]}")
        elif code == "InternalError" and message != "scripted":
            raise Finding(f"{ask}: {status} {text[:300]}")

    # lists and purges

    def list(self, ask: Ask) -> None:
        alias, size = ask.alias, self.chance.choice((1000, 1000, 7))
        if alias.bucket == ODD:
            return                      # a listing tells tags that it has not
        self.counts["list"] += 1
        token, last = "", ""
        for _ in range(3):
            query = f"list-type=2&encoding-type=url&max-keys={size}"
            if token:
                query += "&continuation-token=" + quote_plus(token)
            client = self.connected(ask)
            start = time.monotonic()
            client.send("GET", f"/{alias.name}?{query}")
            response = client.read()
            end = time.monotonic()
            if not response.complete:
                self.counts["short"] += 1
                self.leave()
                return
            if response.status != 200:
                self.refused(ask, response.status, response.headers,
                             response.body, start, end)
                return
            page = listing.parse(response.body)
            last = self.listed(ask, page, last, start, end)
            token = page.fields.get("NextContinuationToken")
            if not token:
                return

    def listed(self, ask: Ask, page, after: str, start: float,
               end: float) -> str:
        """Checks a page; its last key."""
        alias = ask.alias
        if page.keys != sorted(page.keys, key=s3xml.order):
            raise Finding(f"{ask}: not in order: {page.keys}")
        keys = {k.name.removeprefix(alias.prefix): k for k in self.shared.keys
                if k.bucket == alias.bucket
                and k.name.startswith(alias.prefix)}
        for name in page.keys:
            key = keys.pop(name, None)
            if key is None:
                raise Finding(f"{ask}: listed without being: {name}")
            told = page.objects[name]
            tag = told["ETag"].strip('"')
            version = self.history.find(key.number, tag)
            if version is None or int(told["Size"]) != version.size:
                raise Finding(f"{ask}: {name} is listed with {told}")
            if told["LastModified"] not in {
                    s3xml.iso_time(m) for m in
                    self.history.modified(key.number, tag)}:
                raise Finding(f"{ask}: {name} is listed with {told}")
            self.fresh(Ask("listed", "GET", alias, key), version, start, end)
        order = s3xml.order
        final = page.keys[-1] if page.truncated else None
        for name, key in keys.items():
            if order(name) > order(after) and (
                    final is None or order(name) < order(final)):
                self.fresh(Ask("not listed", "GET", alias, key), None, start,
                           end)
        return page.keys[-1] if page.keys else after

    def purge(self, ask: Ask) -> None:
        self.counts["purge"] += 1
        start = time.monotonic()
        if not self.purged(ask):
            return
        after = Ask("whole", "GET", ask.alias, ask.key, since=start)
        if ask.key.top > 1 << 20:
            self.ask_range(after)
            after.headers["Range"] = "bytes=%d-%d" % after.span
        self.read(after)

    def purged(self, ask: Ask) -> bool:
        response = self.connected(ask).request("PURGE", ask.target)
        if not response.complete:
            self.leave()
            return False
        if response.status != 200 or not re.fullmatch(
                r'\{"objects": \d+, "slices": \d+, "bytes": \d+\}\r\n',
                response.text):
            raise Finding(f"{ask}: {response.status} {response.text}")
        return True


KINDS = zip(*{"whole": 22, "range": 25, "open_range": 4, "beyond": 1,
              "suffix": 9, "head": 12, "condition": 12, "if_range": 4,
              "part": 3, "pipeline": 2, "list": 4, "purge": 2, "slow": 2,
              "leave": 7}.items())
KINDS = tuple(map(tuple, KINDS))


class Shared:
    """What the threads of one process have in common."""

    def __init__(self, seed, keys, aliases, ports, history, state, deadline,
                 report):
        self.seed, self.keys, self.aliases = seed, keys, aliases
        self.ports, self.history, self.state = ports, history, state
        self.deadline, self.report = deadline, report
        self.bytes = Bytes(seed)
        self._now = {}

    def stop(self) -> bool:
        return not self.state.asking

    def begin(self, number: int, ask: Ask) -> None:
        self._now[number] = (time.monotonic(), str(ask))

    def end(self, number: int) -> None:
        self._now.pop(number, None)

    def busy(self) -> list:
        return sorted(self._now.values())


class SafeHistory(History):
    """For the threads of a process: one reads what is new at a time."""

    def __init__(self, keys: int):
        super().__init__(keys)
        self._lock = threading.Lock()

    def of(self, key: int) -> list:
        with self._lock:
            return list(super().of(key))


def run(shared: Shared, first: int, threads: int) -> None:
    """The process of some clients; sends what they found and counted."""
    workers = [Worker(shared, first + n) for n in range(threads)]

    def work(worker: Worker) -> None:
        try:
            worker.run()
        except Finding as finding:
            shared.report.put(("finding", str(finding)))
        except Exception as error:          # a mistake of the soak's own
            shared.report.put(("finding", f"{type(error).__name__}: {error}"))

    running = [threading.Thread(target=work, args=(w,), daemon=True)
               for w in workers]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    counts, stale = Counter(), Counter()
    for worker in workers:
        counts += worker.counts
        for name, age in worker.stale.items():
            stale[name] = max(stale[name], age)
    shared.report.put(("counts", (counts, stale)))
