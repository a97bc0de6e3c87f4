"""
What clients make of listings, each by its own means:

    rows = list_each("awscli", [where(endpoint, "bucket", "dir/")])[0]

A row is what the client tells of an object or a folder below the prefix, which
stands nowhere in it; the rows of all its ways of listing follow each other.
They can be compared with those of another endpoint, bucket and prefix.

As engines.py, a program that does them in a process of its own.
"""

import contextlib
import io
import json
import os
import sys
import tempfile

from clients import engines

PAGE = 5                                # keys a page, where a client is asked


def list_each(client: str, settings: list, timeout: float = 120) -> list:
    return engines.talk(__file__, client, settings, timeout)


def list_boto3(s: dict) -> list:
    rows, client = [], engines.boto3_client(s)

    def pages(operation, **options):
        for page in client.get_paginator(operation).paginate(
                Bucket=s["bucket"], Prefix=s["prefix"], **options):
            for item in page.get("Contents", []):
                rows.append([
                    operation, str(options), below(s, item["Key"]),
                    item["Size"], item["ETag"], item["StorageClass"],
                    str(item["LastModified"]), str(item.get("Owner"))])
            for item in page.get("CommonPrefixes", []):
                rows.append([operation, str(options),
                             below(s, item["Prefix"])])

    for operation in ("list_objects", "list_objects_v2"):
        pages(operation)
        pages(operation, Delimiter="/")
        pages(operation, PaginationConfig={"PageSize": PAGE})
    pages("list_objects_v2", FetchOwner=True)
    return rows


def list_awscli(s: dict) -> list:
    """What it prints; sync --dryrun as well, into a folder with something."""
    from awscli.clidriver import create_clidriver

    os.environ.update(AWS_ACCESS_KEY_ID=s["access"],
                      AWS_SECRET_ACCESS_KEY=s["secret"],
                      AWS_DEFAULT_REGION=s["region"])
    place, driver = engines.url(s), create_clidriver()

    def aws(*words) -> list:
        out = io.TextIOWrapper(io.BytesIO(), "utf-8")
        with contextlib.redirect_stdout(out):
            code = driver.main(
                ["s3", *words, "--endpoint-url", s["endpoint"]])
        assert code == 0, (words, code)
        out.seek(0)
        return out.read().replace(place, "").replace(
            " " + s["prefix"], " ").splitlines()

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        open("top", "w").close()        # of another size, but newer
        return [*aws("ls", place),
                *aws("ls", "--recursive", "--summarize", "--page-size",
                     str(PAGE), place),
                *sorted(aws("sync", "--dryrun", place, "."))]


def list_duckdb(s: dict) -> list:
    con = engines.duckdb_connection(s)
    return [[below(s, file.removeprefix(f"s3://{s['bucket']}/"))]
            for pattern in (s["pattern"], "**")
            for file, in con.sql(
                f"SELECT file FROM glob('{engines.url(s)}{pattern}')"
            ).fetchall()]


def list_chdb(s: dict) -> list:
    import chdb

    place = f"{s['endpoint']}/{s['bucket']}/{s['prefix']}{s['pattern']}"
    got = chdb.query(
        "SELECT _path, _size, toString(_time) AS at"
        f" FROM s3('{place}', '{s['access']}', '{s['secret']}', 'One')"
        " ORDER BY _path SETTINGS use_hive_partitioning=0",
        "JSONCompactEachRow")
    rows = [json.loads(line) for line in str(got).splitlines()]
    return [[below(s, path.removeprefix(s["bucket"] + "/")), *rest]
            for path, *rest in rows]


def list_pyarrow(s: dict) -> list:
    from pyarrow import fs

    place = f"{s['bucket']}/{s['prefix']}"
    return sorted(
        [info.path.removeprefix(place), str(info.type), info.size,
         str(info.mtime)]
        for recursive in (False, True)
        for info in engines.pyarrow_files(s).get_file_info(fs.FileSelector(
            place.rstrip("/"), recursive=recursive)))


def below(s: dict, key: str) -> str:
    assert key.startswith(s["prefix"]), (key, s["prefix"])
    return key[len(s["prefix"]):]


LISTERS = {"boto3": list_boto3, "awscli": list_awscli, "duckdb": list_duckdb,
           "chdb": list_chdb, "pyarrow": list_pyarrow}


if __name__ == "__main__":
    print(json.dumps([LISTERS[sys.argv[1]](s) for s in json.load(sys.stdin)]))
