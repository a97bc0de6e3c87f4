"""
What stores send about their objects, written as each of them writes it, and
a sender that posts it to sprox's admin location.
"""

import base64
import itertools
import json
import time
from typing import Optional
from urllib.parse import quote

from .admin import Admin

_sequence = itertools.count(0x0055AED6DCD90281E5)


def sequencer() -> str:
    """Later ones are greater, as S3's are of one key."""
    return f"{next(_sequence):018X}"


def iso(moment: Optional[float] = None) -> str:
    moment = time.time() if moment is None else moment
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) \
        + f".{int(moment * 1000) % 1000:03d}Z"


def aws_key(key: str) -> str:
    return quote(key.encode("utf-8", "surrogateescape"),
                 safe="/-_.~").replace("%20", "+")


def aws(name: str, bucket: str, key: str, obj=None, *,
        when: Optional[float] = None, order: Optional[str] = None,
        version: str = "") -> dict:
    """A record of S3's own. obj: store.Object, for what was created."""
    entity = {"key": aws_key(key),
              "sequencer": sequencer() if order is None else order}
    if obj is not None:
        entity |= {"size": obj.size, "eTag": obj.etag.strip('"')}
    if version:
        entity["versionId"] = version
    return {"eventVersion": "2.1", "eventSource": "aws:s3",
            "awsRegion": "us-east-1", "eventTime": iso(when),
            "eventName": name, "userIdentity": {"principalId": "EXAMPLE"},
            "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810",
                                 "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZ"},
            "s3": {"s3SchemaVersion": "1.0", "configurationId": "test",
                   "bucket": {"name": bucket,
                              "ownerIdentity": {"principalId": "A3NL1K"},
                              "arn": f"arn:aws:s3:::{bucket}"},
                   "object": entity}}


def created(bucket: str, key: str, obj, **more) -> dict:
    return aws("ObjectCreated:Put", bucket, key, obj, **more)


def removed(bucket: str, key: str, **more) -> dict:
    return aws("ObjectRemoved:Delete", bucket, key, **more)


def records(*events: dict) -> dict:
    return {"Records": list(events)}


def minio(name: str, bucket: str, key: str, obj=None) -> dict:
    entity = {"key": quote(key, safe="").replace("%20", "+"),
              "sequencer": "17C1A5F3A2D0C1B4"}
    if obj is not None:
        entity |= {"size": obj.size, "eTag": obj.etag.strip('"'),
                   "contentType": "application/octet-stream"}
    record = {"eventVersion": "2.0", "eventSource": "minio:s3",
              "awsRegion": "", "eventTime": iso(), "eventName": name,
              "userIdentity": {"principalId": "minioadmin"},
              "requestParameters": {"principalId": "minioadmin",
                                    "region": "",
                                    "sourceIPAddress": "127.0.0.1"},
              "responseElements": {"x-amz-request-id": "17C1A5F3A2"},
              "s3": {"s3SchemaVersion": "1.0", "configurationId": "Config",
                     "bucket": {"name": bucket,
                                "ownerIdentity": {"principalId": "m"},
                                "arn": f"arn:aws:s3:::{bucket}"},
                     "object": entity},
              "source": {"host": "127.0.0.1", "port": "",
                         "userAgent": "MinIO (linux; amd64)"}}
    return {"EventName": name, "Key": f"{bucket}/{key}",
            "Records": [record]}


def bridge(kind: str, bucket: str, key: str, obj=None) -> dict:
    """EventBridge's; kind: "Object Created" or "Object Deleted"."""
    entity = {"key": key, "sequencer": sequencer()}
    if obj is not None:
        entity |= {"size": obj.size, "etag": obj.etag.strip('"')}
    detail = {"version": "0", "bucket": {"name": bucket}, "object": entity,
              "request-id": "N4N7GDK58NMKJ12R",
              "requester": "123456789012"}
    if kind == "Object Deleted":
        detail |= {"reason": "DeleteObject",
                   "deletion-type": "Permanently Deleted"}
    return {"version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103",
            "detail-type": kind, "source": "aws.s3",
            "account": "123456789012", "time": iso(),
            "region": "us-east-1",
            "resources": [f"arn:aws:s3:::{bucket}"], "detail": detail}


def gcs(kind: str, bucket: str, key: str, obj=None) -> dict:
    """What Pub/Sub pushes; kind: OBJECT_FINALIZE, OBJECT_DELETE ..."""
    attributes = {"eventType": kind, "bucketId": bucket, "objectId": key,
                  "payloadFormat": "JSON_API_V1", "eventTime": iso(),
                  "notificationConfig":
                      f"projects/_/buckets/{bucket}/notificationConfigs/1"}
    resource = {"kind": "storage#object", "name": key, "bucket": bucket}
    if obj is not None:
        attributes["objectGeneration"] = str(obj.generation)
        md5 = bytes.fromhex(obj.etag.strip('"'))
        resource |= {"generation": str(obj.generation),
                     "size": str(obj.size),
                     "md5Hash": base64.b64encode(md5).decode(),
                     "etag": "CNDh", "updated": iso(), "timeCreated": iso()}
    data = base64.b64encode(json.dumps(resource).encode()).decode()
    return {"message": {"attributes": attributes, "data": data,
                        "messageId": "136969346945",
                        "publishTime": iso()},
            "subscription": "projects/p/subscriptions/s"}


class Sender(Admin):
    def post(self, document, query: str = "", headers: dict = {}) -> tuple:
        """(status, answer); document: bytes as they are."""
        body = document if isinstance(document, bytes) \
            else json.dumps(document).encode()
        response = self.nginx.request(
            "POST", self.base + "events" + query,
            {**self.headers, "Content-Type": "application/json", **headers},
            body)
        assert response["content-type"] == "application/json", response
        return response.status, json.loads(response.text)

    def tell(self, *events: dict, query: str = "") -> dict:
        """Records that are taken: what became of them, zeros left out."""
        status, answer = self.post(records(*events), query)
        assert status == 200, (status, answer)
        return {name: n for name, n in answer.items() if n}
