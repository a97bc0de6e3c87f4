"""
Objects in memory, and S3's answers about them: what the scripted origin
serves when nothing is scripted. test_harness_origin.py holds it against a
real store.
"""

import base64
import hashlib
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from typing import Optional

from . import s3xml
from .journal import Entry, parse_query

OVERRIDES = {f"response-{name}": name for name in (
    "content-type", "content-language", "expires", "cache-control",
    "content-disposition", "content-encoding")}


@dataclass
class Object:
    body: bytes
    etag: str = ""                      # with its quotes
    modified: int = 0                   # seconds since 1970
    content_type: str = "binary/octet-stream"
    meta: dict = field(default_factory=dict)
    headers: dict = field(default_factory=dict)
    storage_class: str = "STANDARD"
    owner: str = ""                     # listings tell it, if asked to
    version_id: str = ""
    parts: tuple = ()                   # sizes, for ?partNumber=
    generation: int = 0                 # GCS

    @property
    def size(self) -> int:
        return len(self.body)


@dataclass
class Answer:
    status: int
    headers: list                       # (name, value); no Content-Length
    body: memoryview = memoryview(b"")
    size: Optional[int] = None          # Content-Length where body is absent

    @property
    def length(self) -> int:
        return len(self.body) if self.size is None else self.size


class Store:
    """Buckets and objects; every method may be called while serving."""

    def __init__(self, region: str = "us-east-1"):
        self.region = region
        self._lock = threading.RLock()
        self._buckets = {}
        self._created = {}
        self._sorted = {}
        self._generation = 1000

    def bucket(self, name: str) -> None:
        with self._lock:
            self._buckets.setdefault(name, {})
            self._created.setdefault(name, int(time.time()))

    def put(self, bucket: str, key: str, body: bytes = b"", **more) -> Object:
        """Makes the bucket as well; more: Object's fields."""
        obj = Object(body, **more)
        with self._lock:
            self.bucket(bucket)
            self._generation += 1
            obj.generation = obj.generation or self._generation
            obj.modified = obj.modified or int(time.time())
            if not obj.etag:
                digest = hashlib.md5(body).hexdigest()
                count = f"-{len(obj.parts)}" if obj.parts else ""
                obj.etag = f'"{digest}{count}"'
            if key not in self._buckets[bucket]:
                self._sorted.pop(bucket, None)
            self._buckets[bucket][key] = obj
        return obj

    def delete(self, bucket: str, key: str) -> None:
        with self._lock:
            self._buckets.get(bucket, {}).pop(key, None)
            self._sorted.pop(bucket, None)

    def get(self, bucket: str, key: str) -> Optional[Object]:
        with self._lock:
            return self._buckets.get(bucket, {}).get(key)

    def keys(self, bucket: str) -> list:
        with self._lock:
            if bucket not in self._sorted:
                self._sorted[bucket] = sorted(self._buckets[bucket],
                                              key=s3xml.order)
            return self._sorted[bucket]

    # the answers

    def answer(self, entry: Entry) -> Answer:
        query = parse_query(entry.query)
        with self._lock:
            if entry.operation == "ListBuckets":
                return xml(200, s3xml.buckets(self._created))
            if entry.operation not in (
                    "GetObject", "HeadObject", "HeadBucket", "ListObjects",
                    "ListObjectsV2", "GetBucketLocation"):
                return failure(501, "NotImplemented", entry)
            if entry.bucket not in self._buckets:
                return failure(404, "NoSuchBucket", entry)
            if entry.operation.endswith("Object"):
                obj = self.get(entry.bucket, entry.key)
                if obj is None:
                    return failure(404, "NoSuchKey", entry)
                return object_answer(entry, obj, query)
            region = [("x-amz-bucket-region", self.region)]
            if entry.operation == "HeadBucket":
                return Answer(200, region)
            if entry.operation == "GetBucketLocation":
                return xml(200, s3xml.location(self.region))
            keys = self.keys(entry.bucket)
            objects = dict(self._buckets[entry.bucket]) \
                if len(keys) < 2000 else self._buckets[entry.bucket]
            try:
                body = s3xml.listing(entry.bucket, objects, keys, query,
                                     make_token, read_token)
            except ValueError:
                return failure(400, "InvalidArgument", entry)
            answer = xml(200, body)
            answer.headers += region
            return answer


def make_token(name: str) -> str:
    # '+', '/' and '=' on purpose: a token must survive its encoding
    return "tok+/" + base64.b64encode(s3xml.order(name)).decode()


def read_token(token: str) -> str:
    if not token.startswith("tok+/"):
        raise ValueError("continuation-token")
    data = base64.b64decode(token[5:], validate=True)
    return data.decode("utf-8", "surrogateescape")


def xml(status: int, body: bytes) -> Answer:
    return Answer(status, [("Content-Type", "application/xml")],
                  memoryview(body))


MESSAGES = {
    "NoSuchKey": "The specified key does not exist.",
    "NoSuchBucket": "The specified bucket does not exist",
    "PreconditionFailed":
        "At least one of the pre-conditions you specified did not hold",
    "InvalidRange": "The requested range is not satisfiable",
}


def failure(status: int, code: str, entry: Entry, **more) -> Answer:
    if entry.key:
        more = {"Key": entry.key, **more}
    if entry.bucket:
        more = {"BucketName": entry.bucket, **more}
    return xml(status, s3xml.error(code, MESSAGES.get(code, code), **more,
                                   RequestId="TESTORIGIN"))


def seconds(date: str) -> Optional[float]:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None


def tags_match(header: str, etag: str) -> bool:
    """If-Match and If-None-Match: '*' or a list; S3 takes bare tags too."""
    tags = [t.strip().removeprefix("W/").strip('"') for t in header.split(",")]
    return "*" in tags or etag.removeprefix("W/").strip('"') in tags


def condition(headers: dict, obj: Object) -> int:
    """200, 304 or 412, with S3's precedence."""
    match, none = headers.get("if-match"), headers.get("if-none-match")
    until = seconds(headers.get("if-unmodified-since", ""))
    since = seconds(headers.get("if-modified-since", ""))
    generation = headers.get("x-goog-if-generation-match")

    if generation is not None and generation != str(obj.generation):
        return 412
    if match is not None:
        if not tags_match(match, obj.etag):
            return 412
    elif until is not None and obj.modified > until:
        return 412
    if none is not None:
        return 304 if tags_match(none, obj.etag) else 200
    if since is not None and obj.modified <= since:
        return 304
    return 200


def parse_range(header: str, size: int) -> Optional[tuple]:
    """(first, last), () for one that cannot be met, None for one ignored."""
    unit, _, spec = header.partition("=")
    first, dash, last = (part.strip() for part in spec.partition("-"))
    if unit.strip() != "bytes" or not dash or "," in spec \
            or not (first + last).isdigit():
        return None
    if not first:
        count = min(int(last), size)
        return (size - count, size - 1) if count else ()
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        return ()
    return (int(first), min(int(last or size), size - 1))


def object_answer(entry: Entry, obj: Object, query: dict) -> Answer:
    tags = [("ETag", obj.etag), ("Last-Modified", http_date(obj.modified))]
    verdict = condition(entry.headers, obj)
    if verdict == 304:
        return Answer(304, tags)
    if verdict == 412:
        return failure(412, "PreconditionFailed", entry)

    status, first, last, extra = 200, 0, obj.size - 1, []

    if "partNumber" in query:
        number, sizes = int(query["partNumber"]), obj.parts or (obj.size,)
        if not 1 <= number <= len(sizes):
            return failure(416, "InvalidPartNumber", entry)
        first = sum(sizes[:number - 1])
        status, last = 206, first + sizes[number - 1] - 1
        if obj.parts:
            extra.append(("x-amz-mp-parts-count", str(len(obj.parts))))
        if not obj.size:
            status = 200
    elif "range" in entry.headers:
        span = parse_range(entry.headers["range"], obj.size)
        if span == ():
            answer = failure(416, "InvalidRange", entry,
                             RangeRequested=entry.headers["range"],
                             ActualObjectSize=obj.size)
            answer.headers.append(("Content-Range", f"bytes */{obj.size}"))
            return answer
        if span:
            status, (first, last) = 206, span

    if status == 206:
        extra.append(("Content-Range", f"bytes {first}-{last}/{obj.size}"))

    headers = {"Content-Type": obj.content_type, **obj.headers}
    for name, header in OVERRIDES.items():
        if name in query:
            headers = {n: v for n, v in headers.items()
                       if n.lower() != header}
            headers[header.title()] = query[name]

    more = [(f"x-amz-meta-{n}", v) for n, v in obj.meta.items()]
    if obj.version_id:
        more.append(("x-amz-version-id", obj.version_id))
    if obj.storage_class != "STANDARD":
        more.append(("x-amz-storage-class", obj.storage_class))
    more.append(("x-goog-generation", str(obj.generation)))

    return Answer(status, tags + [("Accept-Ranges", "bytes")]
                  + list(headers.items()) + more + extra,
                  memoryview(obj.body)[first:last + 1])


def http_date(moment: float) -> str:
    return formatdate(moment, usegmt=True)
