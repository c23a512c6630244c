"""The boto3 client of the store: its settings, and its failures in Sacristy's words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions as failures
from botocore.config import Config

from sacristy.errors import StoreAway, StoreFull, StoreRefused
from sacristy.s3 import given_keys, user_keys
from sacristy.settings import Settings

ATTEMPTS = 8
CONNECTIONS = 16
CONNECT_S, READ_S = 10, 60
FULL = ("QuotaExceeded", "InsufficientCapacity", "XMinioStorageFull")
MISSING = ("NoSuchKey", "404", "NotFound")
UPLOAD_GONE = "NoSuchUpload"
BUSY = ("SlowDown", "ServiceUnavailable", "InternalError", "503", "500", "502", "504", "RequestTimeout")
AWAY = (failures.HTTPClientError, failures.ConnectionError, failures.IncompleteReadError)  # and their children
NO_KEYS = (failures.NoCredentialsError, failures.PartialCredentialsError)


def open_client(settings: Settings, user: str, attempts: int = ATTEMPTS, keys_file: Path | None = None) -> Any:
    """Return a client for the gateway of these settings. It connects when it is first asked something.

    Keys: `keys_file`, else AWS_ACCESS_KEY_ID and its kin, else secrets/ceph-<user>, else where boto3 looks.
    Raises KeysUnusable for a file without any.
    """
    access, secret = given_keys(keys_file).pair if keys_file else user_keys(settings.home / "secrets", user)
    ca = settings.s3_ca
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint or None,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        region_name=os.environ.get("AWS_DEFAULT_REGION") or "default",
        verify=str(ca) if ca else None,
        config=configuration(attempts),
    )


def configuration(attempts: int = ATTEMPTS) -> Config:
    """Return what suits Ceph: its releases refuse boto3's own checksums over TLS, and ours are better.

    `legacy` retries last through a gateway's restart; `standard` gives up within a second of it.
    """
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": "path", "payload_signing_enabled": False},
        retries={"mode": "legacy", "max_attempts": attempts},
        max_pool_connections=CONNECTIONS,
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        tcp_keepalive=True,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


@contextmanager
def asking(location: str) -> Iterator[None]:
    """Turn what boto3 raises in the block into StoreAway, StoreRefused or StoreFull."""
    try:
        yield
    except failures.ClientError as error:
        raise refusal(location, error) from None
    except NO_KEYS as error:
        raise StoreRefused(location=location, code="no keys", reason=error) from None
    except (*AWAY, failures.BotoCoreError) as error:
        raise StoreAway(location=location, reason=error) from None


def refusal(location: str, error: failures.ClientError) -> StoreAway | StoreFull | StoreRefused:
    """Return the failure that a gateway's answer means."""
    answer = error.response.get("Error", {})
    code = str(answer.get("Code", "")) or str(error.response["ResponseMetadata"]["HTTPStatusCode"])
    text = answer.get("Message") or error.operation_name
    if code in FULL:
        return StoreFull(location=location, reason=code)
    if code in BUSY:
        return StoreAway(location=location, reason=f"{code} after {ATTEMPTS} attempts")
    return StoreRefused(location=location, code=code, reason=text)


def code_of(error: failures.ClientError) -> str:
    """Return the gateway's code for a refusal, such as NoSuchKey."""
    return str(error.response.get("Error", {}).get("Code", ""))
