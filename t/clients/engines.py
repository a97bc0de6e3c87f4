"""
Each client in a process of its own: they bring allocators, thread pools and
global state that do not share one, and a second run must start cold on the
client's side. From a test:

    rows = run("duckdb", where(endpoint, "bucket", "dir/", "*.parquet"))

run_each() does several reads one after the other in one process: starting an
engine takes longer than what it reads here.

timed_each() tells the seconds as well; what only the first read of a process
costs, such as loading the engine, is in those of the first.

As a program it does reads (a list of settings as JSON on standard input) and
prints the list of their rows and seconds as JSON.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve()


def where(endpoint: str, bucket: str, prefix: str = "",
          pattern: str = "*.parquet", access: str = "any",
          secret: str = "anything", region: str = "us-east-1",
          ca: str = "") -> dict:
    """
    prefix: a directory, ending with '/' (or ''). pattern: a glob below it;
    clients that know directories but no globs read all that lies there.
    endpoint: '' for files on disk, which DuckDB alone reads here; bucket is
    their folder then.
    """
    return dict(endpoint=endpoint, bucket=bucket, prefix=prefix,
                pattern=pattern, access=access, secret=secret, region=region,
                ca=str(ca))


def run(engine: str, settings: dict, timeout: float = 120) -> list:
    return run_each(engine, [settings], timeout)[0]


def run_each(engine: str, settings: list, timeout: float = 120) -> list:
    return [rows for rows, _ in timed_each(engine, settings, timeout)]


def timed_each(engine: str, settings: list, timeout: float = 120) -> list:
    """(rows, seconds) of each."""
    return talk(HERE, engine, settings, timeout)


def talk(program, client: str, settings: list, timeout: float) -> list:
    """What a program of this folder answers."""
    env = {n: v for n, v in os.environ.items()
           if not n.startswith("AWS_") and "SSL_CERT" not in n}
    env["AWS_EC2_METADATA_DISABLED"] = "true"
    env["PYTHONPATH"] = str(HERE.parents[1])
    done = subprocess.run(
        [sys.executable, str(program), client], input=json.dumps(settings),
        capture_output=True, text=True, timeout=timeout, env=env)
    if done.returncode:
        raise AssertionError(f"{client} failed:\n{done.stdout[-2000:]}"
                             f"{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def url(s: dict) -> str:
    scheme = "s3://" if s["endpoint"] else ""
    return f"{scheme}{s['bucket']}/{s['prefix']}"


def secure(s: dict) -> bool:
    return s["endpoint"].startswith("https:")


def read_folder(folder: str) -> list:
    import pyarrow.dataset
    from clients import table

    files = sorted(map(str, Path(folder).rglob("*.parquet")))
    return table.answer(pyarrow.dataset.dataset(files).to_table())


def boto3_client(s: dict):
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3", endpoint_url=s["endpoint"], region_name=s["region"],
        aws_access_key_id=s["access"], aws_secret_access_key=s["secret"],
        verify=s["ca"] or None,
        config=Config(s3={"addressing_style": "path"}))


def read_boto3(s: dict) -> list:
    client = boto3_client(s)
    with tempfile.TemporaryDirectory() as folder:
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=s["bucket"], Prefix=s["prefix"])
        for page in pages:
            for item in page.get("Contents", []):
                path = Path(folder, item["Key"])
                path.parent.mkdir(parents=True, exist_ok=True)
                client.download_file(s["bucket"], item["Key"], str(path))
        return read_folder(folder)


def read_awscli(s: dict) -> list:
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "AWS_ACCESS_KEY_ID": s["access"],
               "AWS_SECRET_ACCESS_KEY": s["secret"],
               "AWS_DEFAULT_REGION": s["region"], "HOME": folder}
        if s["ca"]:
            env["AWS_CA_BUNDLE"] = s["ca"]
        out = Path(folder, "out")
        subprocess.run(
            [str(Path(sys.executable).parent / "aws"), "s3", "cp",
             "--endpoint-url", s["endpoint"], "--recursive",
             "--only-show-errors", url(s), str(out)], env=env, check=True)
        return read_folder(str(out))


def duckdb_connection(s: dict):
    import duckdb
    import duckdb_extension_httpfs

    extension = next(Path(duckdb_extension_httpfs.__file__).parent.rglob(
        "httpfs.duckdb_extension"))
    base = urlsplit(s["endpoint"])
    con = duckdb.connect()
    con.execute(f"LOAD '{extension}'")
    if s["ca"]:
        con.execute(f"SET ca_cert_file = '{s['ca']}'")
    con.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{s['access']}',"
        f" SECRET '{s['secret']}', REGION '{s['region']}',"
        f" ENDPOINT '{base.netloc}', URL_STYLE 'path',"
        f" USE_SSL {str(secure(s)).lower()})")
    return con


def read_duckdb(s: dict) -> list:
    from clients import table

    con = duckdb_connection(s)
    source = f"read_parquet('{url(s)}{s['pattern']}')"
    return table.rows_of(con.sql(table.SQL.format(source=source))
                         .to_arrow_table())


def read_datafusion(s: dict) -> list:
    import pyarrow
    from datafusion import SessionConfig, SessionContext
    from datafusion.object_store import AmazonS3
    from clients import table

    store = AmazonS3(
        bucket_name=s["bucket"], region=s["region"],
        access_key_id=s["access"], secret_access_key=s["secret"],
        endpoint=s["endpoint"], allow_http=True)
    context = SessionContext(SessionConfig().set(
        "datafusion.execution.listing_table_ignore_subdirectory", "false"))
    context.register_object_store("s3://", store, s["bucket"])
    context.register_parquet("source", url(s))
    batches = context.sql(table.SQL.format(source="source")).collect()
    return table.rows_of(pyarrow.Table.from_batches(batches))


def read_chdb(s: dict) -> list:
    import chdb
    import pyarrow
    from clients import table

    place = f"{s['endpoint']}/{s['bucket']}/{s['prefix']}{s['pattern']}"
    source = f"s3('{place}', '{s['access']}', '{s['secret']}', 'Parquet')"
    got = chdb.query(table.SQL.format(source=source)
                     + " SETTINGS use_hive_partitioning=0", "Arrow").bytes()
    return table.rows_of(pyarrow.ipc.open_file(got).read_all())


def read_polars(s: dict) -> list:
    import polars
    from clients import table

    frame = polars.scan_parquet(
        url(s) + s["pattern"], hive_partitioning=False, storage_options={
            "aws_endpoint_url": s["endpoint"], "aws_region": s["region"],
            "aws_access_key_id": s["access"],
            "aws_secret_access_key": s["secret"],
            "aws_allow_http": "true"})
    got = frame.group_by("day").agg(
        polars.len().alias("n"), polars.col("id").sum().alias("ids"),
        polars.col("amount").max().alias("most"),
        polars.col("note").str.len_bytes().sum().alias("letters"),
    ).sort("day").collect()
    return table.rows_of(got.to_arrow())


def pyarrow_files(s: dict):
    from pyarrow import fs

    base = urlsplit(s["endpoint"])
    more = {"tls_ca_file_path": s["ca"]} if s["ca"] else {}
    return fs.S3FileSystem(
        access_key=s["access"], secret_key=s["secret"], region=s["region"],
        endpoint_override=base.netloc, scheme=base.scheme, **more)


def read_pyarrow(s: dict) -> list:
    import pyarrow.dataset
    from clients import table

    place = f"{s['bucket']}/{s['prefix']}".rstrip("/")
    return table.answer(pyarrow.dataset.dataset(
        place, format="parquet",
        filesystem=pyarrow_files(s)).to_table(table.COLUMNS))


ENGINES = {"boto3": read_boto3, "awscli": read_awscli, "duckdb": read_duckdb,
           "datafusion": read_datafusion, "chdb": read_chdb,
           "polars": read_polars, "pyarrow": read_pyarrow}


def timed(read, s: dict) -> tuple:
    began = time.perf_counter()
    return read(s), time.perf_counter() - began


if __name__ == "__main__":
    print(json.dumps([timed(ENGINES[sys.argv[1]], s)
                      for s in json.load(sys.stdin)]))
