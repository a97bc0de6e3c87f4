"""
A private certificate authority and server certificates, made by openssl:

    good      127.0.0.1, ::1, localhost, *.localhost, *.s3.test, s3.test
    other     a name that nobody asks for
    expired   good's names, over since 2020
    stranger  good's names, signed by a CA that nobody trusts
    client    for a client to show
"""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMES = ("IP:127.0.0.1,IP:::1,DNS:localhost,DNS:*.localhost,"
         "DNS:s3.test,DNS:*.s3.test")


@dataclass(frozen=True)
class Certificate:
    cert: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


def insecure() -> ssl.SSLContext:
    """A client's context that believes any server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Pki:
    def __init__(self, folder: Path):
        self.dir = Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self._authority("ca")
        self._authority("stranger-ca")
        self.ca = self.dir / "ca.pem"
        self.good = self._server("good", "ca", NAMES)
        self.other = self._server("other", "ca", "DNS:other.test")
        self.stranger = self._server("stranger", "stranger-ca", NAMES)
        self.expired = self._server("expired", "ca", NAMES, expired=True)
        self.client = self._server("client", "ca", "DNS:client.test",
                                   usage="clientAuth")

    def server(self, name: str, names: str) -> Certificate:
        """One more that is good; names: "DNS:a.test,IP:127.0.0.1"."""
        return self._server(name, "ca", names)

    def signer(self, name: str) -> Certificate:
        """A certificate of its own whose RSA key signs messages."""
        self._openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key",
            "-out", f"{name}.pem")
        return Certificate(self.dir / f"{name}.pem", self.dir / f"{name}.key")

    def _openssl(self, *args: str) -> None:
        subprocess.run(["openssl", *args], cwd=self.dir, check=True,
                       capture_output=True)

    def _authority(self, name: str) -> None:
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650",
            "-subj", f"/CN=sprox test {name}",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout", f"{name}.key", "-out", f"{name}.pem")
        (self.dir / f"{name}.index").touch()
        (self.dir / f"{name}.cnf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={name}.index\n"
            f"new_certs_dir=.\nserial={name}.srl\ndefault_md=sha256\n"
            "policy=p\ncopy_extensions=copy\nunique_subject=no\n"
            "rand_serial=yes\n[p]\ncommonName=supplied\n")

    def _server(self, name: str, ca: str, names: str, expired: bool = False,
                usage: str = "serverAuth") -> Certificate:
        self._openssl(
            "req", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
            "-addext", f"subjectAltName={names}",
            "-addext", f"extendedKeyUsage={usage}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr")
        if expired:
            # two fixed days, long ago: `x509 -days` takes no negative number
            dates = ["-startdate", "20200101000000Z",
                     "-enddate", "20200102000000Z"]
        else:
            dates = ["-days", "3650"]
        self._openssl(
            "ca", "-batch", "-notext", "-config", f"{ca}.cnf",
            "-cert", f"{ca}.pem", "-keyfile", f"{ca}.key", *dates,
            "-in", f"{name}.csr", "-out", f"{name}.pem")
        return Certificate(self.dir / f"{name}.pem", self.dir / f"{name}.key")
