"""What every candidate is put through: a training script of our own around one `log(name, value, step)`.

Standard library only: it runs in the peers' environments too. The last line printed is the result as JSON.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable

Log = Callable[[str, float, int], object]
Figures = dict[str, float]
NAMES = [f"metric{number}" for number in range(10)]


def percentiles(nanoseconds: list[int]) -> Figures:
    ordered = sorted(nanoseconds)
    places = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999, "max_us": 1.0}
    return {name: ordered[min(int(len(ordered) * share), len(ordered) - 1)] / 1000 for name, share in places.items()}


def calls(log: Log, points: int) -> Figures:
    """Call `log` as fast as it takes them; return the latency of a call, and of its first and last tenth."""
    clock, taken = time.perf_counter_ns, []
    for number in range(points):
        begun = clock()
        log(NAMES[number % 10], number * 0.37, number // 10)
        taken.append(clock() - begun)
    tenth = max(1, points // 10)
    ends = {"first_tenth_us": sum(taken[:tenth]) / tenth / 1000, "last_tenth_us": sum(taken[-tenth:]) / tenth / 1000}
    return percentiles(taken) | ends | {"mean_us": sum(taken) / points / 1000}


def loop(log: Log, seconds: float, rate: float) -> Figures:
    """Train a pretended network for some seconds at `rate` points a second; return what its steps feel."""
    tick, points = 10 / rate, 0
    begun = time.perf_counter()
    lost, longest = 0.0, 0.0
    while (now := time.perf_counter()) - begun < seconds:
        for name in NAMES:
            log(name, now, points // 10)
            points += 1
        spent = time.perf_counter() - now
        lost, longest = lost + spent, max(longest, spent)
        time.sleep(max(0.0, tick - spent))
    wall = time.perf_counter() - begun
    return {"points_s": points / wall, "share_of_time": lost / wall, "longest_ms": longest * 1000}


def work(log: Log) -> None:
    """Do what the environment asks for: POINTS calls at once, or SECONDS at RATE."""
    started = time.time()
    if os.environ.get("SECONDS_"):
        found = loop(log, float(os.environ["SECONDS_"]), float(os.environ["RATE"]))
    else:
        points = int(os.environ["POINTS"])
        found = calls(log, points) if points else {}
    found["entered"] = started
    found["peak_rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with open(os.environ["RESULT"], "w") as file:
        json.dump(found, file)


def url() -> str:
    return sys.argv[1]
