"""Asking the gateway: S3 through boto3, and users through its Admin Ops API, signed alike."""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from typing import Any

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, HTTPClientError
from botocore.httpsession import URLLib3Session

from sacristy.errors import StoreAway, StoreRefused
from sacristy.s3 import StoreKeys

REGION = "default"  # Ceph's name for its one zone group
TIMEOUT_S = 20


def open_client(endpoint: str, ca: Path | None, keys: StoreKeys) -> Any:
    """Return a boto3 client for what provisioning asks: small questions, few retries."""
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        retries={"mode": "legacy", "max_attempts": 4},
        connect_timeout=5,
        read_timeout=TIMEOUT_S,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        region_name=REGION,
        verify=str(ca) if ca else None,
        config=config,
    )


def answers(endpoint: str, ca: Path | None) -> str:
    """Return why the gateway does not answer an unsigned question, or an empty string."""
    try:
        with_ca = URLLib3Session(verify=str(ca) if ca else True, timeout=3)
        with_ca.send(AWSRequest("GET", endpoint + "/").prepare())
    except (HTTPClientError, BotoCoreError, OSError) as error:
        return str(error)
    return ""


class AdminApi:
    """The Admin Ops API of one gateway, as a user with the caps users=*."""

    def __init__(self, endpoint: str, ca: Path | None, keys: StoreKeys) -> None:
        self._endpoint = endpoint
        self._session = URLLib3Session(verify=str(ca) if ca else True, timeout=TIMEOUT_S)
        self._auth = S3SigV4Auth(Credentials(*keys.pair), "s3", REGION)

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def ask(self, method: str, path: str, **parameters: str) -> Any:
        """Return the answer to a question such as GET user uid=...; None where there is no such thing.

        Raises StoreAway or StoreRefused.
        """
        query = urllib.parse.urlencode({"format": "json", **parameters}, quote_via=urllib.parse.quote)
        request = AWSRequest(method, f"{self._endpoint}/admin/{path}{'&' if '?' in path else '?'}{query}")
        self._auth.add_auth(request)
        try:
            answer = self._session.send(request.prepare())
        except (HTTPClientError, BotoCoreError, OSError) as error:
            raise StoreAway(location=self._endpoint, reason=error) from None
        if answer.status_code == 404:
            return None
        content = answer.text
        if answer.status_code >= 300:
            raise StoreRefused(location=self._endpoint, code=answer.status_code, reason=_code(content))
        return json.loads(content) if content.strip() else {}


def _code(content: str) -> str:
    try:
        return str(json.loads(content).get("Code", content))
    except ValueError:
        return content[:100]
