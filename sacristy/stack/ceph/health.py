"""Whether the store takes and gives objects: the gateway's own page answers even where its disk is dead."""

from __future__ import annotations

import secrets
from contextlib import closing
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sacristy.errors import SacristyError
from sacristy.s3 import StoreKeys
from sacristy.settings import Settings
from sacristy.stack.ceph.provision import OPS, WEIGHTS
from sacristy.stack.ceph.s3 import REGION

TIMEOUT_S = 3
PROBE = "health/probe"


def check_ceph(settings: Settings) -> str:
    """Return why a small object cannot be written and read back within seconds, or an empty string."""
    content = secrets.token_bytes(16)
    try:
        with closing(_client(settings)) as client:
            client.put_object(Bucket=WEIGHTS, Key=PROBE, Body=content)
            client.get_object(Bucket=WEIGHTS, Key=PROBE)["Body"].read()
    except ClientError as error:
        return f"it refuses: {error.response.get('Error', {}).get('Code', error)}"
    except (BotoCoreError, SacristyError, OSError) as error:
        return str(error)
    return ""


def _client(settings: Settings) -> Any:
    keys = StoreKeys.parse(settings.secret(f"ceph-{OPS}"))
    retries: Any = {"total_max_attempts": 1, "mode": "standard"}
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        retries=retries,
        connect_timeout=TIMEOUT_S,
        read_timeout=TIMEOUT_S,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        region_name=REGION,
        verify=str(settings.s3_ca),
        config=config,
    )
