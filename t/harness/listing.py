"""Listings as a client sees them, and as they must be."""

import bisect
from dataclasses import dataclass, field
from typing import Optional
from urllib.parse import quote, unquote_to_bytes
from xml.etree import ElementTree

from . import s3xml, wire

NS = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@dataclass
class Page:
    keys: list = field(default_factory=list)
    prefixes: list = field(default_factory=list)
    objects: dict = field(default_factory=dict)     # key: its other fields
    fields: dict = field(default_factory=dict)      # of the page itself
    items: list = field(default_factory=list)       # both, in byte order

    @property
    def truncated(self) -> bool:
        return self.fields["IsTruncated"] == "true"

    @property
    def next(self) -> Optional[str]:
        return self.fields.get("NextContinuationToken",
                               self.fields.get("NextMarker"))


def parse(body: bytes) -> Page:
    root = ElementTree.fromstring(body)
    assert root.tag == NS + "ListBucketResult", root.tag
    page, encoded = Page(), root.findtext(NS + "EncodingType") == "url"

    def name(text: Optional[str]) -> str:
        text = text or ""
        if encoded:
            data = unquote_to_bytes(text.replace("+", " "))
            return data.decode("utf-8", "surrogateescape")
        return text

    for child in root:
        tag = child.tag.removeprefix(NS)
        if tag == "Contents":
            key = name(child.findtext(NS + "Key"))
            page.keys.append(key)
            page.objects[key] = {c.tag.removeprefix(NS): c.text
                                 for c in child if c.tag != NS + "Key"}
        elif tag == "CommonPrefixes":
            page.prefixes.append(name(child.findtext(NS + "Prefix")))
        else:
            text = child.text or ""
            if tag in ("Prefix", "Delimiter", "StartAfter", "Marker",
                       "NextMarker"):
                text = name(text)
            page.fields[tag] = text

    page.items = sorted(page.keys + page.prefixes, key=s3xml.order)
    return page


def query(params: dict) -> str:
    return "&".join(
        f"{n}={quote(s3xml.order(str(v)), safe='')}" for n, v in params.items())


class Lister:
    """One client's connection, and what it asks of one bucket."""

    def __init__(self, port: int, bucket: str, headers: dict = {}):
        self.client = wire.Client(port)
        self.path, self.headers = "/" + bucket, headers

    def raw(self, text: str) -> wire.Response:
        return self.client.request("GET", f"{self.path}?{text}", self.headers)

    def page(self, **params) -> Page:
        """Names with '_' for '-'."""
        params = {n.replace("_", "-"): v for n, v in params.items()}
        response = self.raw(query(params))
        assert response.status == 200, (params, response)
        assert response["content-type"] == "application/xml"
        return parse(response.body)

    def walk(self, version: int = 2, **params) -> list:
        """All pages; what holds of each is checked."""
        if version == 2:
            params["list_type"] = 2
        pages, size = [], int(params.get("max_keys", 1000))
        while True:
            page = self.page(**params)
            pages.append(page)
            count = len(page.items)
            assert count <= min(size, 1000)
            if version == 2:
                assert int(page.fields["KeyCount"]) == count
            if not page.truncated:
                assert page.next is None
                return pages
            assert page.next and count, "a page that leads nowhere"
            params["continuation_token" if version == 2 else "marker"] = \
                page.next

    def all(self, **params) -> list:
        """Every name of all pages, in the order of the pages."""
        params.setdefault("encoding_type", "url")
        return [item for page in self.walk(**params) for item in page.items]

    def close(self) -> None:
        self.client.close()


def expected(keys, prefix: str = "", delimiter: str = "", after: str = "") \
        -> list:
    """What S3 lists of these keys, on one endless page."""
    keys = sorted(keys, key=s3xml.order)
    if prefix:
        keys = keys[bisect.bisect_left(keys, s3xml.order(prefix),
                                       key=s3xml.order):]
    result = s3xml.page(keys, prefix, delimiter, after, len(keys) + 1)
    return [name for name, _ in result.items]
