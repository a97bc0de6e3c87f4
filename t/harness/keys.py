"""
Keys as S3 allows them: bytes. Written as str, odd bytes by surrogateescape
(s3xml.order() gives the bytes).
"""

import re
from urllib.parse import quote

from . import s3xml

LONGEST = 1024

# what any store over a file system can hold as well
PLAIN = [
    "key", " ", "a b", " a ", "a+b", "+", "%", "%2F", "a%2Fb", "%25", "%00",
    "a%20b", "a'b", 'a"b', "`a`", "a&b", "&amp;", "a=b", "a?b", "?", "a#b",
    "#", "a?b=c&d#e", "a;b", "<a>", "]]>", "a\\b", "c:\\x", "a:b", "~", "-",
    "_", "*", "!a", "a,b", "$var", "@x", "{}", "[a]", "a|b", "a^b", "(a)",
    "...", "..a", "a..", "a./b", ".a/.b", "dir/.hidden", "\x7f", "\xe9", "e\u0301",
    "日本/語", "\U0001f600", "\ufeffbom", "\ue000", "\u2028", "\xa0",
    "list-type=2", "l/" * 511 + "xx", ("s" * 204 + "/") * 4 + "t" * 204,
    ("é" * 102 + "/") * 4 + "é" * 101 + "xx",
]
LINES = ["tab\tx", "new\nline", "cr\rx", "\r\n\r\n"]
# XML 1.0 carries none of these
CONTROL = ["nul\x01x", "\x1f", "\x0b\x0c", "esc\x1b[0m", "x\x08/y"]
# a path that is cleaned is another one
SEGMENTS = [
    "//", "/", "/a", "//a", "a//b", "a///b", "a/", "a//", "a/b/", ".", "./",
    "./a", "a/.", "a/./b", "a/..", "a/../b", "a/b/../../c", "a/../a/b",
    "/./", "x/..//y",
]
LONG = ["z" * 1024, "é" * 512, "%" * 1024, " " * 1023 + "x", "/" * 1024]
NO_UTF8 = [b.decode("utf-8", "surrogateescape") for b in (
    b"\xff", b"\xc3(", b"a/\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf")]

ALL = PLAIN + LINES + CONTROL + SEGMENTS + LONG + NO_UTF8


def strict(key: str) -> str:
    """As SDKs encode a key for the path."""
    return quote(s3xml.order(key), safe="/-_.~")


def every_byte(key: str) -> str:
    """Each byte is encoded, slashes as well, in lower case."""
    return "".join(f"%{b:02x}" for b in s3xml.order(key))


def least(key: str) -> bytes:
    """Only what nginx would not take, or would take for something else."""
    return re.sub(rb"[\x00-\x20\x7f%?#]",
                  lambda m: b"%%%02X" % m[0][0], s3xml.order(key))
