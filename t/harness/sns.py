"""
SNS: a server under its own name, on port 443 of an address of loopback that
the harness's name server tells, and messages that it has signed.
"""

import base64
import json
import random
import subprocess
import uuid
from typing import Optional

from . import events
from .dns import NameServer
from .origin import Origin
from .pki import Pki

REGION = "eu-west-1"
HOST = f"sns.{REGION}.amazonaws.com"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:lake-events"
CERTIFICATE = f"https://{HOST}/SimpleNotificationService-0123.pem"

# what comes with every message of the topic
HEADERS = {"x-amz-sns-message-type": "Notification",
           "x-amz-sns-topic-arn": TOPIC}

# what is signed, in this order; each but Subject must be there
NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn",
                "Type")
CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token",
                "TopicArn", "Type")


class Sns:
    def __init__(self, pki: Pki, dns: NameServer):
        self.pki, self.dns = pki, dns
        self.signer = pki.signer("sns-signer")
        cert = pki.server("sns", f"DNS:{HOST}")
        for _ in range(100):
            address = "127." + ".".join(str(random.randint(2, 250))
                                        for _ in range(3))
            try:
                self.server = Origin(tls=cert, port=443, host=address)
                break
            except OSError:
                continue
        dns.names[HOST] = [address]
        self.serve()

    @property
    def journal(self):
        return self.server.journal

    def serve(self) -> None:
        """The certificate, and whoever confirms is taken."""
        self.server.clear_script()
        self.server.script(path="/", status=200, body=b"<ok/>")
        self.server.script(path=CERTIFICATE.partition(HOST)[2], status=200,
                           body=self.signer.cert.read_bytes())

    def directive(self, topic: str = TOPIC) -> str:
        return (f"resolver {self.dns.address};\n"
                f"sprox_events {topic} origin=store "
                f"trusted_certificate={self.pki.ca};")

    # messages

    def notification(self, document, *, version: int = 1,
                     subject: Optional[str] = "Amazon S3 Notification",
                     **change) -> dict:
        """change: members that are signed as they are."""
        return self.signed({
            "Type": "Notification", "MessageId": str(uuid.uuid4()),
            "TopicArn": TOPIC,
            **({} if subject is None else {"Subject": subject}),
            "Message": json.dumps(document), "Timestamp": events.iso(),
            "SignatureVersion": str(version), "SigningCertURL": CERTIFICATE,
            "UnsubscribeURL": f"https://{HOST}/?Action=Unsubscribe",
            **change}, NOTIFICATION)

    def confirmation(self, kind: str = "SubscriptionConfirmation", *,
                     version: int = 1, **change) -> dict:
        token = "2336412f37fb687f5d51e6e241d09c805a5a57b30d712f794cc5f6a98"
        return self.signed({
            "Type": kind, "MessageId": str(uuid.uuid4()), "Token": token,
            "TopicArn": TOPIC, "Message": "You have chosen to subscribe",
            "SubscribeURL": f"https://{HOST}/?Action=ConfirmSubscription"
                            f"&TopicArn={TOPIC}&Token={token}",
            "Timestamp": events.iso(), "SignatureVersion": str(version),
            "SigningCertURL": CERTIFICATE, **change}, CONFIRMATION)

    def signed(self, message: dict, names: tuple) -> dict:
        text = "".join(f"{name}\n{message[name]}\n" for name in names
                       if name in message).encode()
        digest = "-sha1" if message["SignatureVersion"] == "1" else "-sha256"
        signature = subprocess.run(
            ["openssl", "dgst", digest, "-sign", self.signer.key],
            input=text, capture_output=True, check=True).stdout
        return {**message, "Signature": base64.b64encode(signature).decode()}

    def stop(self) -> None:
        self.server.stop()
