"""The S3 client of the AWS Common Runtime (boto3[crt]), which boto3 and the AWS CLI use on large machines: in C.

Runs under a Python that has boto3[crt], so nothing of Sacristy is imported here. Same words and answer as clients.py.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials
from s3transfer.crt import (
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    S3ClientArgsCreator,
    create_s3_crt_client,
)

REGION = "default"


class Unchecked(S3ClientArgsCreator):
    """Without checksums in trailers, which Ceph 16 refuses (XAmzContentSHA256Mismatch)."""

    def get_make_request_args(self, *words, **named):
        return super().get_make_request_args(*words, **named) | {"checksum_config": None}


def manager(task: dict) -> CRTTransferManager:
    keys = Credentials(*Path(task["keys"]).read_text().strip().split(":"))
    session = botocore.session.get_session()
    session.set_credentials(keys.access_key, keys.secret_key)
    config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
    options = {"endpoint_url": task["endpoint"], "region_name": REGION, "verify": task["ca"], "config": config}
    serializer = BotocoreCRTRequestSerializer(session, options)
    provider = BotocoreCRTCredentialsWrapper(keys).to_crt_credentials_provider()
    made = CRTTransferManager(create_s3_crt_client(REGION, provider, verify=task["ca"]), serializer)
    made._s3_args_creator = Unchecked(serializer, made._osutil)
    return made


def main() -> None:
    task = json.loads(sys.argv[1])
    folder = Path(task["folder"])
    paths = sorted((folder / "small").iterdir()) if "small" in task["work"] else [folder / "large"]
    client = manager(task)
    keys = {path: f"crt/{task['round']}/{path.name}" for path in paths}
    begin, spent = time.perf_counter(), time.process_time()
    if "up" in task["work"]:
        jobs = [client.upload(str(path), task["bucket"], key) for path, key in keys.items()]
    else:
        jobs = [client.download(task["bucket"], key, str(folder / "out" / path.name)) for path, key in keys.items()]
    for job in jobs:
        job.result()
    seconds, spent = time.perf_counter() - begin, time.process_time() - spent
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(json.dumps({"seconds": seconds, "mib": int(peak[1]) / 1024 if peak else 0, "processor_s": spent}))


if __name__ == "__main__":
    main()
