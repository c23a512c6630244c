"""Two loads, by h2load: all that goes through, and so many per second, whose latency counts."""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from servers import Command, Server

CLIENTS = 8
START_S = 0.2  # of what each client measures first: its connection is new


@dataclass
class Place:
    """Where to ask."""

    server: Server
    path: str
    token: str = ""

    def load(self, body: Path, seconds: float) -> Command:
        """Return what asks there, over HTTP/1.1 with connections kept alive, for so long."""
        told = ["-H", f"Authorization: Bearer {self.token}"] if self.token else []
        told += ["-H", "Content-Type: application/json", f"--duration={seconds * 1000:.0f}ms", f"--data={body}"]
        return ["h2load", "--h1", "--threads=1", *told, self.server.url + self.path]


def throughput(place: Place, body: Path, seconds: float) -> float:
    """Return answers per second with so many clients that ask without pause. Anything but 200 ends the bench."""
    argv = [*place.load(body, seconds), f"--clients={CLIENTS}"]
    told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    good, others = (re.search(pattern, told) for pattern in (r"(\d+) 2xx", r"0 3xx, 0 4xx, 0 5xx"))
    if good is None or others is None:
        raise SystemExit(f"{place.server.url}\n{told}")
    return int(good[1]) / seconds


def latencies(place: Place, body: Path, rate: float, seconds: float) -> list[float]:
    """Ask at a rate, by clients that know nothing of each other; return the milliseconds that each answer took."""
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder) / str(number) for number in range(CLIENTS)]
        argv = [*place.load(body, seconds), "--clients=1", f"--rps={rate / CLIENTS}"]
        clients = [subprocess.Popen([*argv, f"--log-file={log}"], stdout=subprocess.DEVNULL) for log in logs]
        if any([client.wait() for client in clients]):
            raise SystemExit(f"{place.server.url}: h2load failed")
        return [took for log in logs for took in steady(log, place)]


def steady(log: Path, place: Place) -> list[float]:
    """Return the milliseconds of one client's answers, without the first."""
    rows = [[int(word) for word in line.split("\t")] for line in log.read_text().splitlines()]
    if wrong := [status for _, status, _ in rows if status != 200]:
        raise SystemExit(f"{place.server.url} answered {wrong[0]}")
    begin = min(at for at, _, _ in rows) + START_S * 1e6
    return [took / 1000 for at, _, took in rows if at > begin]


def shown(times: list[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile."""
    parts = statistics.quantiles(times, n=100)
    return parts[49], parts[98]
