"""
A real S3 server that checks signatures: versitygw over a directory, with a
recorder in front of it.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Optional

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from .journal import Journal
from .pki import Certificate, insecure
from .ports import free_port
from .recorder import Recorder
from .wire import Closed, request

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".deps/bin/versitygw"


def s3_client(endpoint: str, access: str = "", secret: str = "",
              region: str = "us-east-1", token: Optional[str] = None,
              verify=None, **config):
    """
    boto3's S3 client, path-style; without access: unsigned. It uploads
    without trailers: over TLS versitygw misreads them now and then, when the
    machine is busy.
    """
    options = {"signature_version": "s3v4" if access else UNSIGNED,
               "request_checksum_calculation": "when_required",
               "s3": {"addressing_style": "path"},
               "retries": {"max_attempts": 0},
               "proxies": {}, "max_pool_connections": 50, **config}
    return boto3.session.Session().client(
        "s3", endpoint_url=endpoint, region_name=region, verify=verify,
        aws_access_key_id=access or None, aws_secret_access_key=secret or None,
        aws_session_token=token, config=Config(**options))


class Versity:
    access = "sproxtest"
    secret = "sprox/test+secret=0123456789"

    def __init__(self, folder: Path, *, tls: Optional[Certificate] = None,
                 ca: Optional[Path] = None, region: str = "us-east-1",
                 port: int = 0, events: str = ""):
        """events: a URL that it posts them to; it must be served by then."""
        self.dir, self.tls, self.ca, self.region = folder, tls, ca, region
        self.port = port or free_port()
        data = folder / "data"
        data.mkdir(parents=True)
        options = ["--port", f"127.0.0.1:{self.port}", "--region", region,
                   "--keep-alive", "--quiet", "--health", "/health",
                   "--iam-dir", str(folder),
                   "--virtual-domain", "s3.test"]
        if tls:
            options += ["--cert", str(tls.cert), "--key", str(tls.key)]
        if events:
            options += ["--event-webhook-url", events]
        backend = ["posix", str(data)]
        if not has_xattr(data):
            side = folder / "sidecar"
            side.mkdir()
            backend[1:1] = ["--sidecar", str(side)]

        self._log = open(folder / "versitygw.log", "wb")
        self._process = subprocess.Popen(
            [*guarded(), str(PROGRAM), *options, *backend], cwd=folder,
            stdout=self._log, stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(folder),
                 "ROOT_ACCESS_KEY": self.access,
                 "ROOT_SECRET_KEY": self.secret})
        self._wait()
        self.recorder = Recorder(self.port, upstream_tls=bool(tls), tls=tls)

    @property
    def endpoint(self) -> str:
        """Of the recorder: what goes through it is in the journal."""
        return self.recorder.endpoint

    @property
    def direct_endpoint(self) -> str:
        return f"http{'s' * bool(self.tls)}://127.0.0.1:{self.port}"

    @property
    def journal(self) -> Journal:
        return self.recorder.journal

    def client(self, direct: bool = True, **options):
        """boto3 with the root's keys; not direct: through the journal."""
        return s3_client(
            self.direct_endpoint if direct else self.endpoint,
            options.pop("access", self.access),
            options.pop("secret", self.secret), self.region,
            verify=str(self.ca) if self.ca else None, **options)

    def put(self, bucket: str, objects: dict) -> None:
        """Makes the bucket, and objects of key: bytes in it."""
        client = self.client()
        try:
            client.create_bucket(Bucket=bucket)
        except (client.exceptions.BucketAlreadyExists,
                client.exceptions.BucketAlreadyOwnedByYou):
            pass
        for key, body in objects.items():
            client.put_object(Bucket=bucket, Key=key, Body=body)

    def stop(self) -> None:
        self.recorder.stop()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _wait(self) -> None:
        context = insecure() if self.tls else None
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if request(self.port, "GET", "/health",
                           tls=context).status == 200:
                    return
            except (OSError, Closed):
                time.sleep(0.05)
        raise RuntimeError("versitygw did not start:\n" + (
            self.dir / "versitygw.log").read_text(errors="replace"))


def guarded() -> list:
    """A prefix that ends the child when this process is killed."""
    tool = shutil.which("setpriv")
    return [tool, "--pdeathsig", "TERM"] if tool else []


def has_xattr(folder: Path) -> bool:
    try:
        os.setxattr(folder, "user.sprox", b"1")
        os.removexattr(folder, "user.sprox")
        return True
    except OSError:
        return False
