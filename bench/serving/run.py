"""How much a model's server costs beside plain Flask, in one run on one machine.

.venv/bin/python bench/serving/run.py APP_FOLDER [--python PYTHON] [--seconds 4]

APP_FOLDER holds model/, weights/ and baseline.json (an unpacked image); PYTHON is one that has the model's packages.
Prints one Markdown row for each server and number of clients. The clients share the machine with the servers.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TextIO

import psutil

HERE = Path(__file__).resolve().parent
Measured = tuple[list[float], int, float]
CLIENTS = (1, 32)
SERVING = ["--config", "python:sacristy.serving.gunicorn", "sacristy.serving.app:create_app()"]
PLAIN = ["--chdir", str(HERE), "--no-control-socket"]
GTHREAD = [*PLAIN, "--worker-class", "gthread", "--threads", "8"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("app", type=Path, help="the app folder of an image")
    parser.add_argument("--python", default=sys.executable, help="a Python with the model's packages")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one measurement")
    options = parser.parse_args()
    instance = json.loads((options.app / "weights" / "golden.json").read_text())[0]["instance"]
    batch = 64
    servers = {
        "plain Flask, constant, sync": ([sys.executable], [*PLAIN, "constant:app"], 1),
        "plain Flask, constant, gthread 8": ([sys.executable], [*GTHREAD, "constant:app"], 1),
        "Sacristy, one instance": ([options.python], SERVING, 1),
        f"Sacristy, {batch} instances": ([options.python], SERVING, batch),
    }
    print("| server | clients | requests/s | p50 ms | p99 ms | errors | memory MiB |\n|---|---|---|---|---|---|---|")
    for name, (python, arguments, count) in servers.items():
        body = json.dumps({"instances": [instance] * count}).encode()
        with tempfile.TemporaryFile("w+") as log:
            process, port = start(python, arguments, options.app, log)
            try:
                for clients in CLIENTS:
                    print(row(name, clients, load(port, body, clients, options.seconds), process), flush=True)
            finally:
                process.terminate()
                process.wait(20)


def start(python: list[str], arguments: list[str], app: Path, log: TextIO) -> tuple[subprocess.Popen[bytes], int]:
    told = {"SACRISTY_APP": str(app), "SACRISTY_HOST": "127.0.0.1", "SACRISTY_PORT": "0"}
    bind = [] if "--config" in arguments else ["--bind", "127.0.0.1:0"]
    command = [*python, "-m", "gunicorn", *bind, *arguments]
    process = subprocess.Popen(command, env=os.environ | told, stdout=log, stderr=subprocess.STDOUT)
    for _ in range(300):
        time.sleep(0.1)
        log.seek(0)
        if found := re.search(r"Listening at: http://127.0.0.1:(\d+)", log.read()):
            load(int(found[1]), b'{"instances": []}', 1, 1.0)  # until the worker answers
            return process, int(found[1])
    raise SystemExit("the server did not start")


def load(port: int, body: bytes, clients: int, seconds: float) -> Measured:
    """Return the times of all answers, seconds, the number that were no 200, and the length of the measurement."""
    times: list[float] = []
    errors: list[int] = []
    start, end = time.perf_counter(), time.perf_counter() + seconds
    threads = [threading.Thread(target=client, args=(port, body, end, times, errors)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, len(errors), time.perf_counter() - start


def client(port: int, body: bytes, end: float, times: list[float], errors: list[int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while (start := time.perf_counter()) < end:
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - start)
        if answer.status != 200:
            errors.append(answer.status)
    connection.close()


def row(name: str, clients: int, measured: Measured, process: subprocess.Popen[bytes]) -> str:
    times, errors, took = measured
    percentiles = statistics.quantiles(times, n=100)
    processes = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
    memory = sum(psutil.Process(pid).memory_info().rss for pid in processes) / 2**20
    figures = f"{len(times) / took:.0f} | {percentiles[49] * 1e3:.2f} | {percentiles[98] * 1e3:.1f}"
    return f"| {name} | {clients} | {figures} | {errors} | {memory:.0f} |"


if __name__ == "__main__":
    main()
