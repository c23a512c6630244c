"""Small files in one request each, signed and sent by botocore's own parts without the rest of boto3.

boto3 spends about 2 ms of Python on a request: events, endpoint rules, retries, parsing. For small files that is more
than the gateway needs. What does not succeed here at once is asked again through boto3, which knows what to do.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import botocore.exceptions as failures
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

OK = 200
TRIED_AGAIN = (failures.BotoCoreError, failures.HTTPClientError)


class Direct:
    """One bucket. Safe for several threads. `client`: the boto3 client, whose keys and connections are used."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._credentials = client._request_signer._credentials  # boto3 has no public way to these two
        self._session = client._endpoint.http_session
        self._place = f"{client.meta.endpoint_url}/{bucket}"
        self._region = client.meta.region_name

    def put(self, key: str, content: bytes) -> bool:
        """Store an object; say whether that went. The gateway compares what arrives with the signed SHA-256."""
        return self._ask("PUT", key, content) is not None

    def get(self, key: str) -> bytes | None:
        """Return an object, or None if boto3 has to be asked what is the matter."""
        return self._ask("GET", key)

    def _ask(self, method: str, key: str, content: bytes = b"") -> bytes | None:
        if self._credentials is None:
            return None
        request = AWSRequest(method, f"{self._place}/{quote(key)}", data=content)
        signer = S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region)
        try:
            signer.add_auth(request)
            answer = self._session.send(request.prepare())
            return bytes(answer.content) if answer.status_code == OK else None
        except TRIED_AGAIN:
            return None
