"""
A plain sprox over one origin, as most tests want it, and what to say about
its cache. Words that are put in by keyword: see serve().
"""

import re
from pathlib import Path

HTTP = """
    proxy_cache_path @dir@/cache levels=1:2 keys_zone=nvme:@keys@
                     max_size=@max_size@ inactive=1d use_temp_path=off;
    sprox_origin store {
        endpoint @endpoint@;
        region us-east-1;
        style @style@;
        credentials @credentials@;
        retries @retries@;
        @origin_more@
    }
    sprox_cache @cache@;
    sprox_valid @valid@;
    sprox_valid_missing 0;
    sprox_slice @slice@;
    sprox_fill @fill@;
    @aliases@
    @http_more@
    server {
        listen 127.0.0.1:@port@@listen_more@;
        @server_more@
        location / { sprox on; @more@ }
        location = /metrics { sprox_metrics; }
    }
"""

ALIASES = "sprox_alias $bucket { target store://$bucket/; }"
SLICE, FILL = 64 << 10, 256 << 10

LOG = """log_format sprox "$request_method $status $sprox_alias "
        "$sprox_operation $sprox_cache_status $sprox_bytes_hit "
        "$sprox_bytes_fill $sprox_request_id";
    access_log @dir@/sprox.log sprox;"""


def serve(make_nginx, endpoint: str, **words):
    """
    An nginx over a store at endpoint; words: of the configuration above,
    and make_nginx's own options.
    """
    defaults = {"credentials": "anonymous", "retries": "0", "cache": "nvme",
                "valid": "1h", "slice": "64k", "fill": "256k",
                "http_more": LOG, "listen_more": "", "server_more": "",
                "more": "", "aliases": ALIASES, "origin_more": "",
                "max_size": "2g", "style": "path", "keys": "8m",
                "endpoint": endpoint}
    return make_nginx(HTTP, **{**defaults, **words})


def over(make_nginx, versity, **words):
    """The same over versitygw, signed, through its recorder."""
    return serve(make_nginx, versity.endpoint, credentials="static "
                 f'"{versity.access}" "{versity.secret}"', **words)


def cache_files(nginx, folder: str = "cache") -> list:
    """The slice files, without temporary ones."""
    return sorted(p for p in (nginx.dir / folder).rglob("*")
                  if p.is_file() and re.fullmatch("[0-9a-f]{32}", p.name))


def temporary_files(nginx, folder: str = "cache") -> list:
    return [p for p in (nginx.dir / folder).rglob("*")
            if p.is_file() and "." in p.name]


def cache_keys(nginx, folder: str = "cache") -> list:
    """The KEY line of each slice file."""
    found = []
    for path in cache_files(nginx, folder):
        try:
            found.append(key_of(path))
        except FileNotFoundError:       # it went meanwhile
            pass
    return found


def key_of(path: Path) -> str:
    with open(path, "rb") as file:
        head = file.read(65536)
    return re.search(rb"\nKEY: (.*)\n", head)[1].decode("ascii")


def log_lines(nginx) -> list:
    """The access log of `LOG`, split at spaces."""
    text = (nginx.dir / "sprox.log").read_text()
    return [line.split(" ") for line in text.splitlines()]


def error_code(response) -> str:
    """Of an S3 error; the document must be one."""
    assert response["content-type"] == "application/xml", response
    match = re.fullmatch(
        r'<\?xml version="1.0" encoding="UTF-8"\?>\n'
        r"<Error><Code>(\w+)</Code><Message>[^<]*</Message>.*"
        r"<RequestId>(\w+)</RequestId></Error>", response.text, re.S)
    assert match, response.text
    assert match[2] == response["x-amz-request-id"]
    return match[1]


def wait_idle(nginx) -> None:
    """Until no fill is in flight."""
    nginx.wait(lambda: nginx.metrics().sum("sprox_fills_in_flight") == 0, 20,
               "to end its fills")
