"""
`nginx -t`: each mistake an operator can make is refused with one line that has
the file, the line, the directive and the way out; what is right passes.

In the tables, the comment #! marks the line that the message must name, and a
pattern must match in the order of its parts.
"""

import re

import pytest

CACHE = "proxy_cache_path @dir@/cache levels=1:2 keys_zone=nvme:1m;"
LAKE = "sprox_origin lake { endpoint http://127.0.0.1:9; credentials anonymous; }"
ALIAS = "sprox_alias tblA { target lake://bucket/a/; }"
SERVER = """
server {
    listen 127.0.0.1:@port@;
    location / { @location@ }
}
"""


def write(make_nginx, http, location="sprox on;", **options):
    return make_nginx(http + SERVER, start=False, location=location,
                      **options)


def refuse(nginx, *parts):
    code, said = nginx.check()
    lines = [line for line in said.splitlines() if "[emerg]" in line]
    assert code == 1 and len(lines) == 1, said
    text = nginx.conf.read_text().splitlines()
    marked = [n for n, line in enumerate(text, 1) if line.endswith("#!")]
    assert re.search(".*".join(parts), lines[0]), said
    assert len(marked) == 1
    where = f" in {nginx.conf}:{marked[0]}"
    assert where in lines[0], said
    return lines[0]


def origin(words, name="lake"):
    """An origin with these words, the mistake being in the block's words."""
    return f"sprox_origin {name} {{\n{words} #!\n}}"


def origin_block(words, name="lake"):
    """The same, the mistake being in the block as a whole."""
    return f"sprox_origin {name} {{ #!\n{words}\n}}"


def alias(words, pattern="tblA"):
    return f"{LAKE}\nsprox_alias {pattern} {{\n{words} #!\n}}"


def alias_block(words, pattern="tblA"):
    return f"{LAKE}\nsprox_alias {pattern} {{ #!\n{words}\n}}"


T = "target lake://bucket/;"

MISTAKES = {
    # sprox_origin
    "origin-name": (
        "sprox_origin my:lake { endpoint http://h.example; } #!",
        'invalid name "my:lake" of sprox_origin', "letters"),
    "origin-name-long": (
        f"sprox_origin {'x' * 65} {{ }} #!",
        "invalid name", "1 to 64"),
    "origin-twice": (
        f"{LAKE}\nsprox_origin lake {{ credentials anonymous; }} #!",
        'duplicate sprox_origin "lake"', r"the first is in .*nginx.conf:\d+"),
    "origin-unknown-word": (
        origin("endpiont http://h.example;"),
        'unknown directive "endpiont"',
        'in "sprox_origin" there are endpoint, dialect, region, style'),
    "origin-foreign-word": (
        origin("proxy_pass http://h.example;"),
        '"proxy_pass" directive is not allowed here',
        'in "sprox_origin" there are endpoint'),
    "origin-word-twice": (
        origin("region eu-west-1; region eu-west-1;"),
        '"region" directive is duplicate'),
    "endpoint-twice": (
        origin("endpoint http://h.example; endpoint http://h.example;"),
        '"endpoint" directive is duplicate'),
    "endpoint-scheme": (
        origin("endpoint h.example;"),
        'invalid URL "h.example" in "endpoint"', "http://"),
    "endpoint-path": (
        origin("endpoint https://h.example/path;"),
        "invalid URL", "nothing may follow", "HOST"),
    "endpoint-port": (
        origin("endpoint https://h.example:99999;"),
        "invalid URL", "port"),
    "endpoint-user": (
        origin("endpoint https://me:secret@h.example;"),
        'invalid URL in "endpoint"', "user and password"),
    "endpoint-empty": (
        origin('endpoint "";'), 'invalid URL ""'),
    "endpoint-missing-argument": (
        origin("endpoint;"), 'invalid number of arguments in "endpoint"'),
    "dialect": (
        origin("dialect s4;"), 'unknown dialect "s4"', '"s3", "gcs" or "file"'),
    "dialect-azure": (
        origin("dialect azure;"), "azure", "not supported yet"),
    "dialect-twice": (
        origin("dialect s3; dialect gcs;"), '"dialect" directive is duplicate'),
    "region": (
        origin("region EU_WEST;"), 'invalid region "EU_WEST"', "eu-west-1"),
    "region-empty": (
        origin('region "";'), 'invalid region ""'),
    "style": (
        origin("style dns;"), 'invalid value "dns" in "style"',
        '"virtual" or "path"'),
    "style-twice": (
        origin("style path; style path;"), '"style" directive is duplicate'),
    "style-of-address": (
        origin_block("endpoint http://127.0.0.1:9; style virtual;"),
        '"style virtual" in sprox_origin "lake"', 'write "style path"'),
    "style-of-ipv6-address": (
        origin_block("endpoint http://[::1]:9; style virtual;"),
        "style virtual", "style path"),
    "credentials": (
        origin("credentials magic;"), 'unknown kind in "credentials"',
        r"chain, env, static ID SECRET \[TOKEN\], shared"),
    "credentials-static-alone": (
        origin("credentials static;"),
        "invalid number of arguments", r"static ID SECRET \[TOKEN\]"),
    "credentials-static-one": (
        origin("credentials static ID;"),
        "invalid number of arguments", "static ID SECRET"),
    "credentials-static-four": (
        origin("credentials static ID SECRET TOKEN MORE;"),
        "invalid number of arguments"),
    "credentials-static-empty": (
        origin('credentials static ID "";'), "static ID SECRET"),
    "credentials-env-more": (
        origin("credentials env MORE;"),
        "invalid number of arguments", "credentials env;"),
    "credentials-twice": (
        origin("credentials env; credentials env;"),
        '"credentials" directive is duplicate'),
    "credentials-imds": (
        origin("credentials imds;"), "credentials imds", "not supported yet"),
    "credentials-ecs": (
        origin("credentials ecs;"), "credentials ecs", "not supported yet"),
    "credentials-web-identity": (
        origin("credentials web_identity;"), "not supported yet"),
    "max-connections": (
        origin("max_connections few;"),
        'invalid value "few" in "max_connections"',
        "write a number from 0 to 65535"),
    "max-connections-range": (
        origin("max_connections 65536;"), "max_connections", "65535"),
    "max-connections-twice": (
        origin("max_connections 1; max_connections 1;"),
        '"max_connections" directive is duplicate'),
    "max-fails": (
        origin("max_fails -1;"), 'invalid value "-1" in "max_fails"'),
    "max-fails-range": (
        origin("max_fails 65536;"), "max_fails", "65535"),
    "fail-timeout": (
        origin("fail_timeout soon;"),
        'invalid value "soon" in "fail_timeout"',
        "write a time such as 500ms or 30s"),
    "fail-timeout-zero": (
        origin_block("fail_timeout 0;"), '"fail_timeout"', "is 0"),
    "keepalive": (
        origin("keepalive many;"), 'invalid value "many" in "keepalive"',
        "write a number from 0 to 65535"),
    "keepalive-range": (
        origin("keepalive 100000;"), 'invalid value "100000" in "keepalive"',
        "65535"),
    "keepalive-twice": (
        origin("keepalive 1; keepalive 1;"),
        '"keepalive" directive is duplicate'),
    "retries": (
        origin("retries 101;"), 'invalid value "101" in "retries"',
        "write a number from 0 to 100"),
    "retries-negative": (
        origin("retries -1;"), 'invalid value "-1" in "retries"'),
    "verify": (
        origin("verify maybe;"), 'invalid value "maybe" in "verify"'),
    "connect-timeout": (
        origin("connect_timeout soon;"),
        'invalid value "soon" in "connect_timeout"',
        "write a time such as 500ms or 30s"),
    "read-timeout-twice": (
        origin("read_timeout 1s; read_timeout 1s;"),
        '"read_timeout" directive is duplicate'),
    "read-timeout-zero": (
        origin_block("read_timeout 0;"), '"read_timeout"', "is 0"),
    "trusted-certificate-missing": (
        origin_block("endpoint https://h.example; "
                     "trusted_certificate @dir@/none.pem;"),
        '"trusted_certificate"', "none.pem", "No such file", "PEM"),
    "trusted-certificate-no-pem": (
        origin_block("endpoint https://h.example; "
                     "trusted_certificate @dir@/nginx.conf;"),
        '"trusted_certificate"', "nginx.conf", "PEM"),
    "trusted-certificate-without-tls": (
        origin_block("endpoint http://h.example; "
                     "trusted_certificate @dir@/none.pem;"),
        '"trusted_certificate"', "https", "leave it out"),
    "root-of-s3": (
        origin_block("root @dir@;"), '"root"', "dialect file"),
    "file-without-root": (
        origin_block("dialect file;"), "has no root", "root DIR"),
    "file-root-missing": (
        origin_block("dialect file; root @dir@/none;"),
        '"root"', "none", "no directory"),
    "file-root-no-directory": (
        origin_block("dialect file; root @dir@/nginx.conf;"),
        '"root"', "no directory"),
    "file-root-slash": (
        origin_block("dialect file; root /;"), "whole file system"),
    "file-endpoint": (
        origin_block("dialect file; root @dir@; endpoint http://h.example;"),
        '"endpoint"', "means nothing", "leave it out"),
    "file-credentials": (
        origin_block("root @dir@; credentials env;", "file"),
        '"credentials"', "means nothing"),
    "file-max-connections": (
        origin_block("root @dir@; max_connections 8;", "file"),
        '"max_connections"', "means nothing"),
    "file-max-fails": (
        origin_block("root @dir@; max_fails 3;", "file"),
        '"max_fails"', "means nothing"),
    "file-fail-timeout": (
        origin_block("root @dir@; fail_timeout 3s;", "file"),
        '"fail_timeout"', "means nothing"),
    "origin-in-server": (
        "server { sprox_origin lake { } #!\n}",
        '"sprox_origin" directive is not allowed here'),

    # sprox_alias
    "alias-without-target": (
        alias_block("valid 5m;"), 'sprox_alias "tblA" has no target',
        "target ORIGIN://BUCKET/"),
    "alias-unknown-origin": (
        alias_block("target lkae://bucket/;"),
        'unknown origin "lkae"', "sprox_alias", "lake, ", "s3 or gcs"),
    "alias-az": (
        alias_block("target az://bucket/;"), 'unknown origin "az"'),
    "alias-file-without-block": (
        alias_block("target file://bucket/;"),
        'sprox_origin "file" has no root', "sprox_origin file {"),
    "alias-no-url": (
        alias_block("target bucket/;"), "invalid sprox_alias", "origin://"),
    "alias-unknown-variable": (
        alias_block("target lake://bucket/$month;", "tblA/$year"),
        r"\$month", "not in the pattern"),
    "alias-variable-twice": (
        alias_block("target lake://bucket/$year;", "tblA/$year/$year"),
        "twice"),
    "alias-adjacent-variables": (
        alias_block("target lake://bucket/$a$b;", "tblA/$a$b"),
        "literal between"),
    "alias-bucket": (
        alias_block("target lake://B/;"), "breaks S3's rules"),
    "alias-empty-segment": (
        alias_block("target lake://bucket//x;"), "empty segment"),
    "alias-not-invertible": (
        alias_block("target lake://bucket/x;", "tblA/$year"),
        "cannot be listed", r"list off"),
    "alias-breaks-order": (
        alias_block("target lake://bucket/$b/$a;", "tblA/$a/$b"),
        "cannot be listed", "order", "list off"),
    "alias-twice": (
        f"{LAKE}\n{ALIAS}\n{ALIAS} #!",
        'duplicate sprox_alias "tblA"', r"the first is in .*nginx.conf:\d+"),
    "alias-tie": (
        f"{LAKE}\n"
        "sprox_alias tblA/$x { target lake://bucket/x/$x; }\n"
        "sprox_alias tblA/$y { target lake://bucket/y/$y; } #!",
        r'"tblA/\$y" ties with "tblA/\$x"', r"of .*nginx.conf:\d+",
        "more specific"),
    "alias-unknown-word": (
        alias("vlaid 5m;"), 'unknown directive "vlaid"',
        'in "sprox_alias" there are target, object, cache, valid'),
    "alias-prefixed-word": (
        alias("sprox_valid 5m;"), '"sprox_valid" directive is not allowed',
        'in "sprox_alias" there are target'),
    "alias-word-twice": (
        alias(f"{T} valid 5m; valid 5m;"), '"valid" directive is duplicate'),
    "target-twice": (
        alias(f"{T} {T}"), '"target" directive is duplicate'),
    "word-at-http": (
        "valid 5m; #!", '"valid" directive is not allowed here'),
    "alias-in-location": (
        f"{LAKE}\nserver {{ location /x {{ sprox_alias a {{ }} #!\n}} }}",
        '"sprox_alias" directive is not allowed here'),
    "alias-not-closed": (
        "sprox_alias tblA; #!", '"sprox_alias" has no opening "{"'),

    # object
    "object-regex": (
        alias(f"{T} object ~ ([a {{ }}"),
        'invalid regular expression in "object"'),
    "object-modifier": (
        alias(f"{T} object ^~ x {{ }}"), 'invalid modifier "\\^~"', "GLOB"),
    "object-glob": (
        alias(f"{T} object [a-z {{ }}"), 'invalid glob "\\[a-z"', '"\\]"'),
    "object-glob-empty": (
        alias(f'{T} object "" {{ }}'), 'invalid glob ""', "empty"),
    "object-twice": (
        alias(f"{T} object *.a {{ }} object *.b {{ }} object *.a {{ }}"),
        'duplicate "object \\*.a" in sprox_alias "tblA"',
        "write both into one"),
    "object-in-object": (
        alias(f"{T} object * {{ object * {{ }} }}"),
        '"object" directive is not allowed here',
        'in "object" there are cache, valid'),
    "object-target": (
        alias(f"{T} object * {{ {T} }}"),
        '"target" directive is not allowed here', 'in "object" there are'),
    "object-word-twice": (
        alias(f"{T} object * {{ slice 64k; slice 64k; }}"),
        '"slice" directive is duplicate'),

    # the policy
    "cache-unknown": (
        "sprox_cache nvmee; #!", 'unknown cache zone "nvmee"',
        '"sprox_cache"', "proxy_cache_path", "keys_zone=nvmee:"),
    "cache-unknown-in-alias": (
        alias(f"{T} cache nvmee;"), 'unknown cache zone "nvmee" in "cache"'),
    "cache-unknown-in-object": (
        alias(f"{T} object * {{ cache nvmee; }}"),
        'unknown cache zone "nvmee" in "cache"'),
    "cache-of-another-kind": (
        "limit_req_zone $binary_remote_addr zone=lim:1m rate=1r/s;\n"
        "sprox_cache lim; #!",
        'zone "lim" in "sprox_cache" is no cache', "proxy_cache_path"),
    "cache-off-and-more": (
        "sprox_cache nvme off; #!", 'invalid zone "off" in "sprox_cache"',
        '"off" alone'),
    "cache-unknown-tier": (
        "sprox_cache ram nvme; #!",
        'unknown cache zone "ram" in "sprox_cache"', "keys_zone=ram:"),
    "cache-unknown-last-tier": (
        alias(f"{T} cache nvme disk;"),
        'unknown cache zone "disk" in "cache"'),
    "cache-the-same-tier": (
        "sprox_cache nvme ram nvme; #!",
        'duplicate zone "nvme" in "sprox_cache"'),
    "cache-twice": (
        "sprox_cache nvme; sprox_cache nvme; #!",
        '"sprox_cache" directive is duplicate'),
    "cache-empty": (
        'sprox_cache ""; #!', 'invalid zone ""'),
    "valid": (
        "sprox_valid soon; #!", 'invalid value "soon" in "sprox_valid"',
        "immutable"),
    "valid-negative": (
        "sprox_valid -1; #!", 'invalid value "-1"'),
    "valid-twice": (
        "sprox_valid 1; sprox_valid 1; #!", "duplicate"),
    "valid-missing": (
        "sprox_valid_missing x; #!", 'invalid value "x" in '
        '"sprox_valid_missing"'),
    "stale": (
        "sprox_stale on; #!", 'invalid value "on" in "sprox_stale"', "off"),
    "slice": (
        "sprox_slice 500k; #!", 'invalid value "500k"', "power of two"),
    "slice-small": ("sprox_slice 32k; #!", "64k to 64m"),
    "slice-large": ("sprox_slice 128m; #!", "64k to 64m"),
    "slice-zero": ("sprox_slice 0; #!", "64k to 64m"),
    "fill": (
        "sprox_fill 100k; #!", 'invalid value "100k" in "sprox_fill"',
        "multiple of the slice"),
    "fill-zero": ("sprox_fill 0; #!", "multiple of the slice"),
    "fill-and-slice": (
        alias_block(f"{T} slice 4m; fill 6m;"),
        '"fill" 6144k is no multiple of "slice" 4096k', 'sprox_alias "tblA"'),
    "fill-and-slice-of-levels": (
        f"sprox_fill 2m;\n{alias_block(f'{T} slice 4m;')}",
        '"fill" 2048k is no multiple of "slice" 4096k'),
    "fill-and-slice-of-object": (
        alias_block(f"{T} fill 1m; object *.bin {{ slice 2m; }}"),
        r'for "object \*.bin" of sprox_alias "tblA"'),
    "list": (
        "sprox_list all; #!", 'invalid value "all" in "sprox_list"',
        '"origin", "cached TIME", "catalog" or "off"'),
    "list-cached-alone": (
        "sprox_list cached; #!", "cached TIME"),
    "list-cached-time": (
        "sprox_list cached soon; #!", 'invalid value "soon"'),
    "list-cached-zero": (
        "sprox_list cached 0; #!", "above 0", "sprox_list origin"),
    "list-catalog-time": (
        alias(f"{T} list catalog 10s;"), 'invalid value "catalog"'),
    "list-cached-without-cache": (
        alias_block(f"{T} list cached 10s;"),
        "list cached", "needs a cache", 'sprox_alias "tblA"', "cache ZONE"),
    "reload": (
        alias(f"{T} reload soon;"), 'invalid value "soon" in "reload"',
        'or "off"'),
    "reload-zero": (
        alias(f"{T} reload 0;"), "needs a time above 0"),
    "reload-warm": (
        alias(f"{T} reload off warm;"), '"reload off" cannot be "warm"'),
    "reload-warm-time": (
        alias(f"{T} reload warm;"), 'invalid value "warm" in "reload"'),
    "reload-word": (
        alias(f"{T} reload 1h cold;"), 'invalid parameter "cold" in "reload"'),
    "reload-twice": (
        alias(f"{T} reload 1h; reload off;"), '"reload" directive is duplicate'),
    "read-ahead": (
        "sprox_read_ahead 1g; #!", 'invalid value "1g" in "sprox_read_ahead"',
        "write a size up to 256m"),
    "head": (
        alias(f"{T} head maybe;"), 'invalid value "maybe" in "head"',
        '"origin" or "listing"'),
    "head-twice": (
        alias(f"{T} head listing; head origin;"), '"head"', "duplicate"),

    # the rest
    "catalog": ("sprox_catalog zone=cat; #!", "invalid parameter",
                "zone=NAME:SIZE"),
    "catalog-size": ("sprox_catalog zone=cat:big; #!", "zone=NAME:SIZE"),
    "catalog-word": ("sprox_catalog zone=cat:1m x; #!",
                     'invalid parameter "x"'),
    "catalog-no-zone": ("sprox_catalog 32m; #!", "zone=NAME:SIZE"),
    "catalog-too-small": ("sprox_catalog zone=cat:100k; #!",
                          'zone "cat" of "sprox_catalog" is too small',
                          "512k or more"),
    "catalog-twice": ("sprox_catalog zone=cat:1m; sprox_catalog zone=c:1m; #!",
                      '"sprox_catalog" directive is duplicate'),
    "catalog-file": ("sprox_catalog zone=cat:1m file=; #!",
                     'invalid parameter "file="', "file=PATH"),
    "catalog-file-twice": ("sprox_catalog zone=cat:1m file=/x file=/y; #!",
                           'invalid parameter "file=/y"'),
    "catalog-interval": ("sprox_catalog zone=cat:1m file=/x interval=99ms; #!",
                         'invalid parameter "interval=99ms"', "100 ms"),
    "catalog-interval-word": (
        "sprox_catalog zone=cat:1m file=/x interval=soon; #!",
        'invalid parameter "interval=soon"', "interval=TIME"),
    "catalog-interval-alone": (
        "sprox_catalog zone=cat:1m interval=60s; #!", '"sprox_catalog"',
        "add file=PATH"),
    "catalog-file-alone": ("sprox_catalog file=/x; #!", '"sprox_catalog"',
                           "zone=NAME:SIZE"),
    "domain": ("sprox_domain s3.example.com:9000; #!",
               'invalid name "s3.example.com:9000" in "sprox_domain"',
               "s3.example.com"),
    "domain-url": ("sprox_domain http://s3.example.com; #!", "invalid name"),
    "domain-star": ("sprox_domain *.example.com; #!", "invalid name"),
    "domain-address": ("sprox_domain 127.0.0.1; #!", "invalid name"),
    "domain-same": ("sprox_domain a.example A.example; #!",
                    'duplicate name "a.example"'),
    "domain-twice": ("sprox_domain a.example; sprox_domain b.example; #!",
                     '"sprox_domain" directive is duplicate'),
    "control": ("sprox_control localhost; #!",
                'invalid address "localhost" in "sprox_control"', "unix:"),
    "control-twice": ("sprox_control ::1; sprox_control ::1; #!",
                      '"sprox_control" directive is duplicate'),
    "events": ("sprox_events x origin=s3; #!",
               'invalid source "x" in "sprox_events"', "sqs://"),
    "events-whose": ("sprox_events sqs://h/a/q; #!", "origin=NAME"),
    "events-path": ("sprox_events sqs://h/ origin=s3; #!",
                    "the path of the queue is missing"),
    "events-user": ("sprox_events sqs://me@h/a/q origin=s3; #!",
                    "a character in it that no queue's URL has"),
    "events-host": ("sprox_alias abc { target s3://bucket/; }\n"
                    "sprox_events sqs://h:port/a/q origin=s3; #!",
                    'invalid host in "sprox_events sqs://h:port/a/q"'),
    "events-word": ("sprox_events sqs://h/a/q origin=s3 wait=1; #!",
                    'invalid parameter "wait=1" in "sprox_events"'),
    "events-region": ("sprox_events sqs://h/a/q origin=s3 region=A_1; #!",
                      'invalid region "A_1" in "sprox_events"'),
    "events-twice": ("sprox_events sqs://h/a/q origin=s3;\n"
                     "sprox_events sqs://h/a/q origin=s3; #!",
                     '"sprox_events" directive is duplicate'),
    "events-arn": ("sprox_events arn:aws:sqs:eu-west-1:1:q origin=s3; #!",
                   "the ARN of an SNS topic"),
    "events-arn-tls": ("sprox_events arn:aws:sns:x:1:t origin=s3 tls=off; #!",
                       '"region=" and "tls=" in "sprox_events" are for '
                       "queues"),
    "events-arn-twice": ("sprox_events arn:aws:sns:x:1:t origin=s3;\n"
                         "sprox_events arn:aws:sns:x:1:t origin=s3; #!",
                         '"sprox_events" directive is duplicate'),
    "events-arn-ca": ("sprox_events arn:aws:sns:x:1:t origin=s3;\n"
                      "sprox_events arn:aws:sns:x:1:u origin=s3 "
                      "trusted_certificate=x; #!",
                      "another trusted_certificate"),
    "events-nobody": ("sprox_alias abc { target s3://bucket/; }\n"
                      "sprox_events sqs://h/a/q origin=lake; #!",
                      '"origin=lake" in "sprox_events" is no origin'),
    "sprox-at-http": ("sprox on; #!", '"sprox" directive is not allowed here'),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(make_nginx, name):
    http, *parts = MISTAKES[name]
    line = refuse(write(make_nginx, f"{CACHE}\n{http}\n"), *parts)
    assert line.count("nginx.conf:") <= 2      # the other one of a pair


LOCATIONS = {
    "value": ("sprox maybe; #!\n", 'invalid value "maybe" in "sprox"',
              '"on" or "off"'),
    "twice": ("sprox on; sprox off; #!\n", '"sprox" directive is duplicate'),
    "metrics-twice": ("sprox_metrics; sprox_metrics; #!\n",
                      '"sprox_metrics" directive is duplicate'),
    "metrics-argument": ("sprox_metrics x; #!\n", "invalid number"),
    "both": ("sprox on; sprox_metrics; #!\n",
             '"sprox_metrics" directive needs a location of its own'),
    "other-handler": ("proxy_pass http://127.0.0.1:9; sprox on; #!\n",
                      '"sprox" directive needs a location of its own'),
    "other-handler-after": ("sprox on; #!\nproxy_pass http://127.0.0.1:9;",
                            'location "/" has another content handler beside '
                            '"sprox on"', "leave one"),
    "admin": ("sprox on; sprox_admin; #!\n",
              '"sprox_admin" directive needs a location of its own'),
    "cached": ("sprox on; #!\nsprox_list cached 10s;", "list cached",
               "needs a cache"),
}


@pytest.mark.parametrize("name", LOCATIONS)
def test_mistake_in_location(make_nginx, name):
    location, *parts = LOCATIONS[name]
    refuse(write(make_nginx, "", location), *parts)


def test_policy_of_a_location_is_checked_with_each_alias(make_nginx):
    """What only the levels together make wrong shows where they meet."""
    nginx = write(make_nginx, f"{LAKE}\n"
                  f"sprox_alias tblA {{ {T} slice 4m; }} #!\n",
                  "sprox on; sprox_fill 2m;")
    refuse(nginx, '"fill" 2048k is no multiple of "slice" 4096k')


def test_secrets_are_not_told(make_nginx):
    for words in ('endpoint http://AKID:TopSecret@h.example; # credentials',
                  'credentials static AKID TopSecret "" MORE;',
                  'credentials static AKID TopSecret Token More;',
                  'credentials TopSecret;'):
        nginx = write(make_nginx, origin(words) + "\n")
        assert "TopSecret" not in refuse(nginx, "credentials")


def test_credentials_that_are_missing(make_nginx):
    for kind in ("env", "shared", "chain", "shared nobody"):
        nginx = write(make_nginx, origin_block(
            f"endpoint http://127.0.0.1:9; credentials {kind};")
            + f"\n{ALIAS}\n", env={"HOME": "/nonexistent"})
        refuse(nginx, 'origin "lake"', "credentials")


def test_credentials_of_an_origin_without_a_block(make_nginx):
    for name in ("s3", "gcs"):
        nginx = write(make_nginx, f"sprox_alias tblA {{ #!\n"
                      f"target {name}://bucket/;\n}}\n",
                      env={"HOME": "/nonexistent"})
        line = refuse(nginx, f'origin "{name}" of the sprox_alias',
                      'write "credentials" into '
                      f'"sprox_origin {name} {{ }}"')
        assert "into the block in" not in line


def test_credentials_of_an_unused_origin_may_be_missing(make_nginx):
    accept(write(make_nginx, "sprox_origin lake { credentials env; }\n"))


def test_credentials_file_that_cannot_be_read(make_nginx, tmp_path):
    nginx = write(make_nginx, origin_block(
        "endpoint http://127.0.0.1:9; credentials shared;")
        + f"\n{ALIAS}\n",
        env={"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path)})   # a directory
    refuse(nginx, 'origin "lake"', re.escape(str(tmp_path)), "credentials")


def test_region_of_the_environment(make_nginx):
    http = ("sprox_alias tblA { target s3://bucket/; } #!\n")
    keys = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"}
    accept(write(make_nginx, http, env={**keys, "AWS_REGION": "eu-west-1"}))
    accept(write(make_nginx, http, env=keys))
    refuse(write(make_nginx, http, env={**keys, "AWS_REGION": "Mars/1"}),
           'invalid region "Mars/1"', "AWS_REGION", 'sprox_origin "s3"')
    refuse(write(make_nginx, http,
                 env={**keys, "AWS_DEFAULT_REGION": "Mars 1"}),
           "AWS_DEFAULT_REGION")


def test_resolver_that_is_there(make_nginx):
    accept(write(make_nginx, "resolver 127.0.0.1:9;\n" + LAKE + ALIAS + "\n"))


def accept(nginx):
    code, said = nginx.check()
    assert code == 0, said
    assert "[emerg]" not in said and "[alert]" not in said, said
    return said


GOOD = {
    "the-design's": """
        proxy_cache_path @dir@/ram keys_zone=ram:1m;
        sprox_catalog zone=catalog:1m;
        sprox_cache nvme;
        sprox_valid 5m;
        sprox_slice 512k;
        sprox_domain s3.example.com other.example;
        sprox_control 127.0.0.1 10.0.0.0/8 fe80::/10 unix:;
        sprox_alias tblA/$year/$month/$day {
            target lake://somebucket/somepath/$year/$month/$day;
            valid 30m;
        }
        sprox_alias tblB { target lake://somebucket/anotherpath/; cache ram; }
        sprox_alias tblD {
            target lake://yeesh/;
            object ~ \\.parquet$ { valid 7d; cache nvme; }
            object ~* "\\.(JSON|csv)$" { valid 0; cache off; }
            object _delta_log/*.json { valid immutable; }
            object part-[0-9]?.bin { slice 4m; }
        }
        sprox_alias $bucket { target lake://$bucket/; }
        sprox_origin lake {
            endpoint https://s3.eu-west-1.amazonaws.com;
            dialect s3;
            region eu-west-1;
            style virtual;
            credentials static AKID secret token;
            keepalive 64;
            verify on;
            connect_timeout 2s;
            read_timeout 500ms;
            retries 0;
            max_connections 0;
            max_fails 0;
            fail_timeout 1ms;
        }
    """,
    "each-word": """
        sprox_cache off; sprox_valid immutable; sprox_valid_missing 0;
        sprox_stale off; sprox_slice 64m; sprox_list origin;
        sprox_alias tblA {
            target lake://bucket/a/;
            cache nvme; valid 0; valid_missing 1m; stale 1h; slice 64k;
            fill 192k; list cached 10s;
        }
    """ + LAKE,
    "tiers": f"""
        proxy_cache_path @dir@/ram keys_zone=ram:1m;
        proxy_cache_path @dir@/ssd keys_zone=ssd:1m;
        sprox_cache ram ssd nvme;
        {LAKE}
        sprox_alias tblA {{
            target lake://bucket/a/; cache ssd nvme;
            object hot/* {{ cache ram nvme; }}
        }}
    """,
    "cache-declared-later": f"""
        sprox_cache later; {LAKE} {ALIAS}
        proxy_cache_path @dir@/later keys_zone=later:1m;
    """,
    "shared-with-proxy-cache": f"""
        proxy_cache nvme; sprox_cache nvme; {LAKE} {ALIAS}
    """,
    "braces-around-variables": f"""
        {LAKE}
        sprox_alias t-${{year}}x/${{m}} {{ target lake://b-${{year}}x/p/${{m}}; }}
        sprox_alias "quoted/$x" {{ target "lake://bucket/q/$x"; }}
    """,
    "not-listable-and-off": f"""
        {LAKE} sprox_alias tblA/$a {{ target lake://bucket/x; list off; }}
    """,
    "not-listable-and-off-above": f"""
        sprox_list off;
        {LAKE} sprox_alias tblA/$a {{ target lake://bucket/x; }}
    """,
    "no-tie": f"""
        {LAKE}
        sprox_alias tblA/a-$x {{ target lake://bucket/a/$x; }}
        sprox_alias tblA/b-$x {{ target lake://bucket/b/$x; }}
        sprox_alias tblA/$x {{ target lake://bucket/c/$x; }}
        sprox_alias tblA {{ target lake://bucket/d; }}
    """,
    "file": """
        sprox_origin file { root @dir@/; }
        sprox_alias $bucket { target file://$bucket/; }
    """,
    "file-of-another-name": """
        sprox_origin disk { dialect file; root temp; retries 1; }
        sprox_alias $bucket { target disk://$bucket/; }
    """,
    "gcs-without-endpoint": """
        sprox_origin gcs { credentials static GOOGID secret; }
        sprox_alias $bucket { target gcs://$bucket/; }
    """,
    "s3-over-an-address": """
        sprox_origin s3 { endpoint http://[::1]:9000; credentials anonymous; }
        sprox_alias $bucket { target s3://$bucket/; }
    """,
    "fill-follows-a-large-slice": f"sprox_slice 8m; {LAKE} {ALIAS}",
    "include-in-blocks": """
        sprox_origin lake { include @dir@/temp/origin.inc; }
        sprox_alias tblA { include @dir@/temp/alias.inc; }
    """,
}


@pytest.mark.parametrize("name", GOOD)
def test_good(make_nginx, name):
    nginx = write(make_nginx, f"{CACHE}\n{GOOD[name]}")
    (nginx.dir / "temp/origin.inc").write_text(
        "endpoint http://127.0.0.1:9;\ncredentials anonymous;\n")
    (nginx.dir / "temp/alias.inc").write_text(
        "target lake://bucket/;\nobject * { valid 1h; }\n")
    accept(nginx)


def test_mistake_in_an_included_file_names_that_file(make_nginx):
    nginx = write(make_nginx, "sprox_origin lake { include @dir@/o.inc; }")
    (nginx.dir / "o.inc").write_text("\nendpiont http://h.example;\n")
    code, said = nginx.check()
    assert code == 1
    assert re.search(r'"endpiont" in \S*o\.inc:2; in "sprox_origin" there',
                     said), said


def test_trusted_certificate(make_nginx, pki):
    accept(write(make_nginx, f"""
        sprox_origin lake {{
            endpoint https://127.0.0.1:9; credentials anonymous;
            trusted_certificate {pki.ca};
        }} {ALIAS}"""))


def test_limit_except(make_nginx):
    accept(write(make_nginx, f"{LAKE} {ALIAS}",
                 "sprox on; limit_except GET { deny all; }"))


def test_no_alias_is_worth_a_warning(make_nginx):
    assert "[warn]" in accept(write(make_nginx, ""))
    assert "[warn]" not in accept(write(make_nginx, LAKE + ALIAS))


def test_module_alone_changes_nothing(make_nginx):
    accept(write(make_nginx, "", "return 204;"))


def test_metrics_location_alone(make_nginx):
    nginx = write(make_nginx, "", "sprox_metrics;")
    accept(nginx)
    nginx.start()
    metrics = nginx.metrics("/")
    assert metrics.sum("sprox_fills_in_flight") == 0
    assert metrics.types["sprox_requests_total"] == "counter"
    assert metrics.types["sprox_catalog_objects"] == "gauge"
    head = nginx.head("/")
    assert head.status == 200 and head.body == b""
    assert head.headers["content-type"] == "text/plain; version=0.0.4"
    assert nginx.request("POST", "/", body=b"x").status == 405


def test_reload_with_more_aliases(make_nginx):
    """The metrics' zone grows, and a mistake leaves the old one serving."""
    nginx = write(make_nginx, LAKE + ALIAS, "sprox_metrics;")
    nginx.start()
    more = "".join(f"sprox_alias t{i:03} {{ {T} }}\n" for i in range(100))
    nginx.write(LAKE + more + SERVER)
    nginx.reload(wait_old=True)
    nginx.metrics("/")
    nginx.write(more + SERVER)
    assert nginx.check()[0] == 1
    nginx.write(LAKE + ALIAS + SERVER)
    nginx.reload(wait_old=True)
    nginx.metrics("/")


def test_killed_worker_after_reload(make_nginx):
    nginx = write(make_nginx, LAKE + ALIAS, "sprox_metrics;", workers=2)
    nginx.start()
    nginx.reload(wait_old=True)
    nginx.kill_worker()
    assert nginx.metrics("/").sum("sprox_fills_in_flight") == 0
