"""Two loads: all that goes through (by ab, whose own cost is small), and so many per second, whose latency counts."""

from __future__ import annotations

import http.client
import re
import statistics
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from servers import Server

CLIENTS = 8


@dataclass
class Place:
    """Where to ask."""

    server: Server
    path: str
    token: str = ""

    @property
    def url(self) -> str:
        return self.server.url + self.path

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def throughput(place: Place, body: Path, seconds: float, clients: int = CLIENTS) -> float:
    """Return answers per second with so many clients that ask without pause. Anything but 200 ends the bench."""
    headers = [part for name, value in place.headers.items() for part in ("-H", f"{name}: {value}")]
    argv = ["ab", "-q", "-k", "-l", "-c", str(clients), "-t", str(seconds), "-n", "10000000"]
    argv += ["-p", str(body), "-T", "application/json", *headers, place.url]
    told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    failed = int(re.search(r"Failed requests:\s+(\d+)", told)[1])
    if failed or "Non-2xx" in told:
        raise SystemExit(f"{place.url}\n{told}")
    return float(re.search(r"Requests per second:\s+([\d.]+)", told)[1])


def latencies(place: Place, body: bytes, rate: float, seconds: float) -> list[float]:
    """Ask at a rate, from threads that share it; return the milliseconds that each answer took."""
    found: list[float] = []
    threads = []
    for number in range(CLIENTS):
        start = time.perf_counter() + number / rate
        threads.append(threading.Thread(target=_ask, args=(place, body, CLIENTS / rate, start, seconds, found)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def shown(times: list[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile."""
    parts = statistics.quantiles(times, n=100)
    return parts[49], parts[98]


def _ask(place: Place, body: bytes, every_s: float, start: float, seconds: float, found: list[float]) -> None:
    parts = urlsplit(place.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    headers = {"Content-Type": "application/json", **place.headers}
    due, end = start, start + seconds
    while due < end:
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        connection.request("POST", parts.path, body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"{place.url} answered {answer.status}")
        found.append((time.perf_counter() - began) * 1000)
        due += every_s
    connection.close()
