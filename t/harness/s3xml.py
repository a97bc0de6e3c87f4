"""The XML that S3 answers with, and S3's rules for listings."""

import bisect
import time
from dataclasses import dataclass
from urllib.parse import quote_plus

PROLOG = '<?xml version="1.0" encoding="UTF-8"?>\n'
XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def escape(text: str) -> str:
    out = []
    for char in text:
        if char in "&<>\"'" or char < " ":
            out.append(f"&#{ord(char)};" if char < " " or char == "'" else
                       {"&": "&amp;", "<": "&lt;", ">": "&gt;",
                        '"': "&quot;"}[char])
        else:
            out.append(char)
    return "".join(out)


def encode(document: str) -> bytes:
    return document.encode("utf-8", "surrogateescape")


def tag(name: str, text) -> str:
    return f"<{name}>{escape(str(text))}</{name}>"


def error(code: str, message: str, **more) -> bytes:
    return encode(PROLOG + "<Error>" + tag("Code", code)
                  + tag("Message", message)
                  + "".join(tag(n, v) for n, v in more.items()) + "</Error>")


def iso_time(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def order(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


@dataclass
class Page:
    """What one listing request covers; items: keys and common prefixes."""
    items: list                 # (name, is_prefix)
    truncated: bool
    last: str                   # the last name of the page, "" when empty


def page(keys: list, prefix: str, delimiter: str, after: str,
         max_keys: int) -> Page:
    """keys: sorted by order(). after: names up to this one are left out."""
    start = max(order(prefix), order(after))
    index = bisect.bisect_left(keys, start, key=order)
    items, last = [], ""

    while index < len(keys) and keys[index].startswith(prefix):
        key = keys[index]
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        name = key if cut < 0 else key[:cut + len(delimiter)]

        if order(name) <= order(after):
            index += 1          # also what lies in a common prefix before
            continue
        if len(items) == max_keys:
            return Page(items, max_keys > 0, last)
        items.append((name, cut >= 0))
        last = name
        index += 1
        while cut >= 0 and index < len(keys) and keys[index].startswith(name):
            index += 1

    return Page(items, False, last)


def listing(bucket: str, objects: dict, keys: list, query: dict,
            token_of, key_of) -> bytes:
    """
    ListObjectsV2 or ListObjects, by query (decoded). token_of and key_of
    make a continuation token of a name and read it. Raises ValueError on a
    bad parameter.
    """
    v2 = query.get("list-type") == "2"
    owners = not v2 or query.get("fetch-owner") == "true"
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    encoding = query.get("encoding-type", "")
    if encoding not in ("", "url"):
        raise ValueError("encoding-type")
    max_keys = int(query.get("max-keys") or 1000)
    if max_keys < 0:
        raise ValueError("max-keys")
    max_keys = min(max_keys, 1000)

    token = query.get("continuation-token", "") if v2 else ""
    if token:
        after = key_of(token)
    else:
        after = query.get("start-after" if v2 else "marker", "")

    result = page(keys, prefix, delimiter, after, max_keys)

    def name(text: str) -> str:
        if encoding:
            return quote_plus(order(text), safe="/-_.~*")
        return text

    out = [PROLOG, f"<ListBucketResult {XMLNS}>", tag("Name", bucket),
           tag("Prefix", name(prefix))]
    if delimiter:
        out.append(tag("Delimiter", name(delimiter)))
    if encoding:
        out.append(tag("EncodingType", encoding))
    out += [tag("MaxKeys", max_keys),
            tag("IsTruncated", str(result.truncated).lower())]

    if v2:
        out.append(tag("KeyCount", len(result.items)))
        if token:
            out.append(tag("ContinuationToken", token))
        if query.get("start-after"):
            out.append(tag("StartAfter", name(query["start-after"])))
        if result.truncated:
            out.append(tag("NextContinuationToken", token_of(result.last)))
    else:
        out.append(tag("Marker", name(after)))
        if result.truncated and delimiter:
            out.append(tag("NextMarker", name(result.last)))

    for key, is_prefix in result.items:
        if not is_prefix:
            obj = objects[key]
            out.append("<Contents>" + tag("Key", name(key))
                       + tag("LastModified", iso_time(obj.modified))
                       + tag("ETag", obj.etag) + tag("Size", obj.size)
                       + ("<Owner>" + tag("ID", obj.owner)
                          + tag("DisplayName", obj.owner.upper()) + "</Owner>"
                          if owners and obj.owner else "")
                       + tag("StorageClass", obj.storage_class)
                       + "</Contents>")
    for key, is_prefix in result.items:
        if is_prefix:
            out.append("<CommonPrefixes>" + tag("Prefix", name(key))
                       + "</CommonPrefixes>")

    return encode("".join(out) + "</ListBucketResult>")


def buckets(names: dict) -> bytes:
    """names: bucket to its creation time."""
    return encode(
        PROLOG + f"<ListAllMyBucketsResult {XMLNS}><Owner><ID>test</ID>"
        "</Owner><Buckets>" + "".join(
            "<Bucket>" + tag("Name", n) + tag("CreationDate", iso_time(t))
            + "</Bucket>" for n, t in sorted(names.items()))
        + "</Buckets></ListAllMyBucketsResult>")


def location(region: str) -> bytes:
    text = "" if region == "us-east-1" else escape(region)
    return encode(PROLOG + f"<LocationConstraint {XMLNS}>{text}"
                  "</LocationConstraint>")
