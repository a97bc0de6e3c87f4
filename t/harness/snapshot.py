"""
The catalog's file in Python: written from the drawing in
src/core/catalog/snapshot.c, not from its code, so that each holds the other
to it. A catalog is a dict: name of a space to a dict of keys to Objects.
"""

import hashlib
import os
import struct
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

MAGIC, FORMAT, HEAD = b"SPXCATLG", 1, 64
BANS, SPACE, REGIONS, OBJECTS, WHOLE, LAST = range(1, 7)
LISTED, HEADED, SETTLED, ABSENT, TOLD, DOUBTED = 1, 2, 4, 8, 16, 32
BOOT = bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text()
                     .strip().replace("-", ""))
OBJECT = struct.Struct("<8HQqq")
BAN, REGION = struct.Struct("<3Hq"), struct.Struct("<HIq3H")


@dataclass
class Object:
    size: int = 0
    modified: int = 1_700_000_000_000
    proved: int = 0                     # ms; 0: never
    etag: bytes = b""
    version: bytes = b""
    headers: bytes = b""
    kind: bytes = b""                   # storage class
    sequencer: bytes = b""
    flags: int = LISTED


@dataclass
class File:
    state: bytes
    catalog: dict
    bans: list                  # (name, prefix, ms); None: all
    regions: dict               # (name, prefix) to ms: those that are whole
    owners: dict                # (name, prefix) to (id, name)


def space(origin: str, endpoint: str, bucket: str, dialect: str = "s3",
          root: str = "") -> bytes:
    """The name of a bucket's space: see _zone.c."""
    store = "\0".join((dialect, endpoint, root)).encode()
    return (origin.encode() + b"\0" + hashlib.md5(store).digest()
            + bucket.encode())


def head(state: bytes = b"shut", *, form: int = FORMAT, boot: bytes = BOOT,
         at: int = 0) -> bytes:
    first = MAGIC + struct.pack("<I", form)
    rest = os.urandom(16) + boot + struct.pack(
        "<qI", at or int(time.time() * 1000), 0)
    return first + state + rest + struct.pack("<I", zlib.crc32(first + rest))


def block(kind: int, body: bytes) -> bytes:
    first = struct.pack("<II", kind, len(body))
    return first + struct.pack("<I", zlib.crc32(first + body)) + body


def write(path: Path, catalog: dict, state: bytes = b"shut", *,
          bans: list = [], regions: dict = {}, owners: dict = {},
          per_block: int = 100, **options) -> None:
    """bans, regions, owners: as in File. options: of head()."""
    objects = 0
    with open(path, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(head(state, **options))
        if bans:
            file.write(block(BANS, b"".join(
                BAN.pack(name is None, len(name or b""), len(prefix), at)
                + (name or b"") + prefix for name, prefix, at in bans)))
        for name in sorted(catalog):
            own = b"".join(
                _region(prefix, at, owners.get((space, prefix)))
                for (space, prefix), at in sorted(regions.items())
                if space == name)
            file.write(block(SPACE, name))
            if own:
                file.write(block(REGIONS, own))
            keys = sorted(catalog[name])
            for at in range(0, len(keys), per_block):
                file.write(block(OBJECTS, _objects(
                    catalog[name], keys[at:at + per_block])))
            objects += len(keys)
            if own:
                file.write(block(WHOLE, own))
        file.write(block(LAST, struct.pack(
            "<4Q", len(bans), len(catalog), len(regions), objects)))


def _region(prefix: bytes, crawled: int, owner: Optional[tuple]) -> bytes:
    id, name = owner or (b"", b"")
    return REGION.pack(len(prefix), 1, crawled, owner is not None, len(id),
                       len(name)) + prefix + id + name


def _objects(known: dict, keys: list) -> bytes:
    parts, last = [], b""
    for key in keys:
        o = known[key]
        shared = len(os.path.commonprefix([last, key]))
        parts += [OBJECT.pack(o.flags, shared, len(key) - shared, len(o.etag),
                              len(o.version), len(o.headers), len(o.kind),
                              len(o.sequencer), o.size, o.modified, o.proved),
                  key[shared:], o.etag, o.version, o.headers, o.kind,
                  o.sequencer]
        last = key
    return b"".join(parts)


def read(path: Path) -> File:
    """Of a file that must be whole."""
    data = Path(path).read_bytes()
    assert data[:8] == MAGIC
    assert struct.unpack_from("<I", data, 8) == (FORMAT,)
    crc, = struct.unpack_from("<I", data, HEAD - 4)
    assert crc == zlib.crc32(data[:12] + data[16:HEAD - 4])

    at, catalog, now, counts = HEAD, {}, None, None
    bans, regions, begun = [], {}, {}
    while at < len(data):
        kind, length, crc = struct.unpack_from("<III", data, at)
        body = data[at + 12:at + 12 + length]
        assert len(body) == length and counts is None
        assert crc == zlib.crc32(data[at:at + 8] + body)
        at += 12 + length
        if kind == SPACE:
            assert body not in catalog
            now = catalog[body] = {}
            name = body
        elif kind == OBJECTS:
            _read_objects(body, now)
        elif kind == BANS:
            bans += _read_bans(body)
        elif kind == REGIONS:
            begun.update(_read_regions(name, body))
        elif kind == WHOLE:
            regions.update(_read_regions(name, body))
        else:
            assert kind == LAST
            counts = struct.unpack("<4Q", body)
    assert counts == (len(bans), len(catalog), len(regions),
                      sum(map(len, catalog.values())))
    whole = [where for where, told in regions.items()
             if begun.get(where, ())[:2] == told[:2]]
    return File(data[12:16], catalog, bans,
                {where: regions[where][1] for where in whole},
                {where: regions[where][2] for where in whole
                 if regions[where][2]})


def _read_bans(body: bytes) -> list:
    at, found = 0, []
    while at < len(body):
        every, name, prefix, time = BAN.unpack_from(body, at)
        at += BAN.size
        found.append((None if every else body[at:at + name],
                      body[at + name:at + name + prefix], time))
        at += name + prefix
    return found


def _read_regions(name: bytes, body: bytes) -> dict:
    at, found = 0, {}
    while at < len(body):
        length, number, crawled, owned, *lens = REGION.unpack_from(body, at)
        at += REGION.size
        prefix, *owner = _texts(body, at, [length, *lens])
        found[name, prefix] = (number, crawled,
                               tuple(owner) if owned else None)
        at += length + sum(lens)
    return found


def _texts(body: bytes, at: int, lens: list) -> list:
    texts = []
    for n in lens:
        texts.append(body[at:at + n])
        at += n
    return texts


def _read_objects(body: bytes, into: dict) -> None:
    at, key = 0, b""
    while at < len(body):
        flags, shared, *lens, size, modified, proved = \
            OBJECT.unpack_from(body, at)
        at += OBJECT.size
        rest, etag, version, headers, kind, sequencer = _texts(body, at, lens)
        at += sum(lens)
        key = key[:shared] + rest
        into[key] = Object(size, modified, proved, etag, version, headers,
                           kind, sequencer, flags)
