"""Weights up and down, beside other clients and beside the limit, in one run on one machine.

.venv/bin/python bench/weights/run.py [--size-mib 1024] [--files 1000] [--json FILE] [--aws PROGRAM] [--crt PYTHON]

Brings up a Ceph of its own in a temporary folder and removes it. Every client runs in a process of its own, in an
order that chance gives, once Ceph has ended what the one before left it to do. Its peak
memory is the kernel's VmHWM; beside it the processor's seconds of the client and of Ceph, which other work on the
machine disturbs less than the time. The limit for the disk is reading, hashing and writing the same bytes, fsync
included; the limit of the gateway is the best that any of the clients reached.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clients

from sacristy.commands import run
from sacristy.s3 import StoreKeys
from sacristy.settings import Settings
from sacristy.stack.ceph import bringup
from sacristy.stack.ceph.s3 import open_client
from sacristy.stack.init import init
from sacristy.stack.ports import free_port, remember
from sacristy.supervision import Supervisor

HERE = Path(__file__).parent
MIB = 1 << 20
BUCKET = "bench"
OURS, CRT = "sacristy", "aws crt"
WORKS = ("up", "down", "small up", "small down")
ADMIN = ["radosgw-admin", "-n", "client.rgw.a"]
COLLECT = [*ADMIN, "gc", "process", "--include-all"]
NO_QUOTA = [
    *ADMIN,
    "quota",
    "disable",
    "--quota-scope",
    "user",
    "--uid",
    "ops",
]  # it counts what is deleted for minutes
SMALL = 10_000  # bytes
IDLE = 0.05  # of a core
STORE, CLIENT = 0, 1  # cores


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that its Ceph ends with it
    words = arguments()
    with tempfile.TemporaryDirectory(prefix="bw-", ignore_cleanup_errors=True) as folder:
        settings = Settings(
            project=HERE.parents[1],
            home=Path(folder) / "h",
            ceph_size_gib=words.size_mib * 12 // 1024 + 6,
        )
        init(settings)
        for name in ("ceph", "ceph-mon"):
            remember(settings, name, free_port())
        supervisor = Supervisor(settings)
        try:
            share_cores(words, STORE)
            supervisor.start_daemon()
            cluster = bringup.up(settings, supervisor, lambda _: None)
            run(NO_QUOTA, environment=os.environ | cluster.environment, timeout_s=60)
            share_cores(words, CLIENT)
            report(measure(words, settings, Path(folder), os.environ | cluster.environment), words)
        finally:
            supervisor.shutdown()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-mib", type=int, default=1024)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--apart", action="store_true", help="Ceph on one core, the clients on another")
    parser.add_argument("--works", nargs="+", choices=WORKS, default=WORKS, help="all, if not given")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--aws", default="", help="the AWS CLI, if it is to take part")
    parser.add_argument("--crt", default="", help="a Python with boto3[crt], if that client is to take part")
    return parser.parse_args()


def share_cores(words: argparse.Namespace, which: int) -> None:
    """Let what is started from now on have one core to itself, if that was asked for."""
    if words.apart:
        os.sched_setaffinity(0, {which})


def measure(words: argparse.Namespace, settings: Settings, folder: Path, environment: dict[str, str]) -> list[dict]:
    """Return a row for each client and work: seconds of each round, peak memory."""
    client = open_client(settings.s3_endpoint, settings.s3_ca, StoreKeys.parse(settings.secret("ceph-ops")))
    client.create_bucket(Bucket=BUCKET)
    large, small = folder / "large", folder / "small"
    with large.open("wb") as file:
        for _ in range(words.size_mib):
            file.write(os.urandom(MIB))
    small.mkdir()
    for number in range(words.files):
        (small / f"{number}.txt").write_bytes(os.urandom(SMALL // 2).hex().encode())
    names = [name for name in (*clients.CLIENTS, CRT) if (name != "aws" or words.aws) and (name != CRT or words.crt)]
    order = random.Random(words.rounds)
    rows: dict[tuple[str, str], dict] = {}
    for number in range(words.rounds):
        for work in words.works:
            for name in order.sample(names, len(names)):
                settle(settings)
                fresh = {"work": work, "client": name, "seconds": [], "own": [], "ceph": [], "mib": 0}
                row = rows.setdefault((work, name), fresh)
                spent = ceph_processor_s(settings)
                answer = one(name, work, number, settings, folder, words)
                row["seconds"].append(answer["seconds"])
                row["own"].append(answer["processor_s"])
                row["ceph"].append(ceph_processor_s(settings) - spent)
                row["mib"] = max(row["mib"], answer["mib"])
                figures = (
                    f"{answer['seconds']:7.2f} s {answer['mib']:5.0f} MiB {row['own'][-1]:6.2f} {row['ceph'][-1]:6.2f}"
                )
                print(f"round {number + 1} {work:10} {name:24} {figures}", flush=True)
        empty(client)
        run(COLLECT, environment=environment, timeout_s=600)  # else the disk holds what was deleted for two hours
    return sorted(rows.values(), key=lambda row: (WORKS.index(row["work"]), row["client"] != OURS))


def one(name: str, work: str, number: int, settings: Settings, folder: Path, words: argparse.Namespace) -> dict:
    """Run one client in a process of its own; return its seconds, its processor's, and its peak memory in MiB."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    shutil.rmtree(settings.home / "cache", ignore_errors=True)
    (folder / "out").mkdir()
    task = {"client": name, "work": work, "round": number, "home": str(settings.home), "folder": str(folder)}
    task |= {"project": str(settings.project), "aws": words.aws, "bucket": BUCKET}
    task |= {"endpoint": settings.s3_endpoint, "ca": str(settings.s3_ca)}
    task |= {"keys": str(settings.home / "secrets" / "ceph-ops")}
    program = [words.crt, str(HERE / "crt.py")] if name == CRT else [sys.executable, str(HERE / "clients.py")]
    argv = [*program, json.dumps(task)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} {work}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def ceph_processor_s(settings: Settings) -> float:
    """Return the seconds that the gateway and the OSD have spent on the processor."""
    states = [Supervisor(settings).state(name) for name in ("ceph", "ceph-osd")]
    times = [Path(f"/proc/{state.pid}/stat").read_text().rpartition(")")[2].split() for state in states if state]
    return sum(int(words[11]) + int(words[12]) for words in times) / os.sysconf("SC_CLK_TCK")


def settle(settings: Settings, patience_s: float = 20) -> None:
    """Wait until gateway and OSD have nothing to do, and all that was written is on the disk."""
    os.sync()
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        spent = ceph_processor_s(settings)
        time.sleep(1)
        if ceph_processor_s(settings) - spent < IDLE:
            return


def empty(client) -> None:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    keys = [facts["Key"] for page in pages for facts in page.get("Contents", [])]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: client.delete_object(Bucket=BUCKET, Key=key), keys))


def report(rows: list[dict], words: argparse.Namespace) -> None:
    print(
        f"\n{words.size_mib} MiB, and {words.files} files of {SMALL} bytes; best and median of {words.rounds}; ", end=""
    )
    apart = ", Ceph on one and the client on the other" if words.apart else ""
    print(f"{os.cpu_count()} cores{apart}, load {os.getloadavg()[0]:.1f}\n")
    print("| work | client | best | median | beside ours | its CPU s | and Ceph's | peak MiB |")
    print("|---|---|---|---|---|---|---|---|")
    ours = {row["work"]: row["seconds"] for row in rows if row["client"] == OURS}
    for row in rows:
        best, median = min(row["seconds"]), statistics.median(row["seconds"])
        count = words.files if "small" in row["work"] else words.size_mib * MIB / 1e6
        unit = "files/s" if "small" in row["work"] else "MB/s"
        pairs = zip(ours[row["work"]], row["seconds"], strict=True)
        beside = statistics.median(ours_s / its_s for ours_s, its_s in pairs)
        row |= {"best": count / best, "median": count / median, "unit": unit, "beside_ours": beside}
        spent = " | ".join(f"{statistics.median(row[who]):.2f}" for who in ("own", "ceph"))
        figures = f"{count / best:.0f} {unit} | {count / median:.0f} | {beside:.2f} | {spent} | {row['mib']:.0f}"
        print(f"| {row['work']} | {row['client']} | {figures} |")
    if words.json:
        words.json.write_text(json.dumps({"arguments": vars(words), "rows": rows}, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
