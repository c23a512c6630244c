"""The clients of the bench, one in each process: `clients.py '{"client": ..., ...}'` prints seconds and memory."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sacristy.settings import Settings
from sacristy.tracking.runs import WeightsFile
from sacristy.weights.fetch import fetch
from sacristy.weights.many import each
from sacristy.weights.s3 import S3Store
from sacristy.weights.s3_client import open_client
from sacristy.weights.store import CHUNK

AT_ONCE = 8


class Sacristy:
    """Hashed in the same pass, verified, atomic."""

    def __init__(self, task: dict) -> None:
        self.task, self.settings, self.client = task, *opened(task)
        self.store = S3Store(task["bucket"], self.settings, "ops")
        assert self.store.client
        self.notes = Path(task["folder"]) / "digests.json"

    def put(self, paths: list[Path]) -> None:
        stored = each(self.store.put, [(path, path.stat().st_size) for path in paths])
        files = [(path.name, *found, "weights") for path, found in zip(paths, stored, strict=True)]
        self.notes.write_text(json.dumps(files))

    def get(self, paths: list[Path], folder: Path) -> None:
        files = [WeightsFile(*facts) for facts in json.loads(self.notes.read_text())]
        fetch(self.store, files, folder)


class Boto3:
    """Plain upload_file and download_file: no digest, no fsync. Files side by side, like ours."""

    def __init__(self, task: dict) -> None:
        self.task, self.settings, self.client = task, *opened(task)

    def key(self, path: Path) -> str:
        return f"{self.task['client']}/{self.task['round']}/{path.name}"

    def put(self, paths: list[Path]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda path: self.client.upload_file(str(path), self.task["bucket"], self.key(path)), paths))

    def get(self, paths: list[Path], folder: Path) -> None:
        def one(path: Path) -> None:
            self.client.download_file(self.task["bucket"], self.key(path), str(folder / path.name))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, paths))


class Boto3AndHash(Boto3):
    """The same, and the SHA-256 in a pass of its own: what one would do without a store of weights."""

    def put(self, paths: list[Path]) -> None:
        for path in paths:
            digest(path)
        super().put(paths)

    def get(self, paths: list[Path], folder: Path) -> None:
        super().get(paths, folder)
        for path in paths:
            digest(folder / path.name)


class Aws(Boto3):
    """The AWS CLI, with the time that it takes to start (below a second)."""

    def put(self, paths: list[Path]) -> None:
        self.run(str(common(paths)), f"s3://{self.task['bucket']}/{self.task['client']}/{self.task['round']}/", paths)

    def get(self, paths: list[Path], folder: Path) -> None:
        self.run(f"s3://{self.task['bucket']}/{self.task['client']}/{self.task['round']}/", str(folder), paths)

    def run(self, source: str, target: str, paths: list[Path]) -> None:
        words = ["--recursive"] if len(paths) > 1 else []
        if len(paths) == 1:
            source, target = (source + paths[0].name, target) if source.startswith("s3:") else (str(paths[0]), target)
            target += "/" if not target.endswith("/") else ""
        access, secret = (self.settings.secret("ceph-ops")).split(":")
        keys = {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": "default"}
        keys |= {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "AWS_CA_BUNDLE": str(self.settings.s3_ca)}
        argv = [
            *self.task["aws"].split(),
            "s3",
            "cp",
            "--only-show-errors",
            "--endpoint-url",
            self.settings.s3_endpoint,
        ]
        subprocess.run([*argv, *words, source, target], check=True, env=os.environ | keys)


class Limit(Boto3):
    """No gateway: the same bytes read, hashed and written to the same disk, fsync included."""

    def put(self, paths: list[Path]) -> None:
        self.get(paths, Path(self.task["folder"]) / "out")

    def get(self, paths: list[Path], folder: Path) -> None:
        for path in paths:
            found = hashlib.sha256()
            buffer = memoryview(bytearray(CHUNK))
            with path.open("rb") as source, (folder / path.name).open("wb") as target:
                while count := source.readinto(buffer):
                    found.update(buffer[:count])
                    target.write(buffer[:count])
                target.flush()
                os.fsync(target.fileno())


CLIENTS = {"sacristy": Sacristy, "boto3": Boto3, "boto3 + sha256": Boto3AndHash, "aws": Aws, "disk limit": Limit}


def opened(task: dict):
    settings = Settings(project=Path(task["project"]), home=Path(task["home"]))
    return settings, open_client(settings, "ops")


def common(paths: list[Path]) -> Path:
    return paths[0].parent


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def peak_mib() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    own = int(found[1]) / 1024 if found else 0
    return max(own if not child_mib() else 0, child_mib())


def child_mib() -> float:
    """Return the peak of the program that was run in a process of its own, as the AWS CLI is; else 0."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def processor_s() -> float:
    """Return the processor's seconds of this process and of the program that it ran."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    task = json.loads(sys.argv[1])
    folder = Path(task["folder"])
    paths = sorted((folder / "small").iterdir()) if "small" in task["work"] else [folder / "large"]
    client = CLIENTS[task["client"]](task)
    begin, spent = time.perf_counter(), processor_s()
    if "up" in task["work"]:
        client.put(paths)
    else:
        client.get(paths, folder / "out")
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "mib": peak_mib(), "processor_s": processor_s() - spent}))


if __name__ == "__main__":
    main()
