"""What the gateway costs beside the model server itself and beside nginx as a plain reverse proxy, in one run.

.venv/bin/python bench/gateway/run.py [--seconds 4] [--rounds 3]

Needs nginx and h2load (Debian: nginx-light, nghttp2-client). Prints Markdown. Clients and servers share the machine.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from load import CLIENTS, Place, latencies, shown, throughput
from servers import gateway, model_server, mongodb, new_settings, nginx

BODY = b'{"instances": ["Oil prices rose again on Friday as the weather in the Gulf worsened."]}'
LOGGED, UNLOGGED = "gateway", "gateway, logging off"
PATH = "/models/constant/predict"
CLIENTS_CORE, GATEWAY_CORE = 0, 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each server, taken in turn")
    parser.add_argument(
        "--apart",
        action="store_true",
        help="nginx, gateways and MongoDB on one core; clients and model server on another",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        body = folder / "body.json"
        body.write_bytes(BODY)
        places = start(stack, folder, apart=options.apart)
        fastest = measure_throughput(places, body, options.seconds, options.rounds)
        measure_latency(places, body, fastest[LOGGED] / 2, options.seconds, options.rounds)


def start(stack: ExitStack, folder: Path, *, apart: bool) -> dict[str, Place]:
    """Start all servers; return where to ask each of them."""
    use = share_cores if apart else lambda core: None
    settings = new_settings(folder)
    use(CLIENTS_CORE)
    model = stack.enter_context(model_server(folder))
    use(GATEWAY_CORE)
    _, mongod = stack.enter_context(mongodb(settings))
    proxy = stack.enter_context(nginx(folder, model))
    token = settings.secret("gateway-application")
    logged = stack.enter_context(gateway(settings, model, mongod))
    unlogged = stack.enter_context(gateway(settings, model, SACRISTY_PREDICTION_LOG="false"))
    use(CLIENTS_CORE)
    return {
        "model server": Place(model, "/predict"),
        "nginx": Place(proxy, "/predict"),
        UNLOGGED: Place(unlogged, PATH, token),
        LOGGED: Place(logged, PATH, token),
    }


def share_cores(core: int) -> None:
    """Give what is started from now on one core."""
    os.sched_setaffinity(0, {core})


def measure_throughput(places: dict[str, Place], body: Path, seconds: float, rounds: int) -> dict[str, float]:
    """Print and return answers per second, the median of some rounds in which the servers take turns."""
    found: dict[str, list[float]] = {name: [] for name in places}
    work: dict[str, list[float]] = {name: [] for name in places}
    for place in places.values():
        throughput(place, body, 1)
    for _ in range(rounds):
        for name, place in places.items():
            before = place.server.processor_s()
            answers = throughput(place, body, seconds)
            time.sleep(1.5)  # for the log of the last second
            found[name].append(answers)
            work[name].append((place.server.processor_s() - before) / (answers * seconds) * 1e6)
    middle = {name: median(values) for name, values in found.items()}
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg()[:2])
    apart = "" if len(os.sched_getaffinity(0)) > 1 else ", apart"
    print(f"{os.cpu_count()} cores{apart}, load average {load}, {CLIENTS} clients without pause, median of {rounds}\n")
    print("| server | requests/s | least to most | of the model server | own processor time, µs |")
    print("|---|---|---|---|---|")
    for name, value in middle.items():
        spread = f"{min(found[name]):.0f} to {max(found[name]):.0f}"
        print(f"| {name} | {value:.0f} | {spread} | {value / middle['model server']:.2f} | {median(work[name]):.0f} |")
    pairs = zip(found[LOGGED], found[UNLOGGED], strict=True)
    costs = sorted(1 - on / off for on, off in pairs)
    print(f"\nlogging costs {median(costs):.1%} of the throughput ({costs[0]:.1%} to {costs[-1]:.1%} by round)\n")
    return middle


def measure_latency(places: dict[str, Place], body: Path, rate: float, seconds: float, rounds: int) -> None:
    """Print latencies at a rate, and what is added to the model server's."""
    times: dict[str, list[float]] = {name: [] for name in places}
    for _ in range(rounds):
        for name, place in places.items():
            times[name] += latencies(place, body, rate, seconds)
    base = shown(times["model server"])
    print(f"{rate:.0f} requests/s: half of what the gateway can do\n")
    print("| server | requests | p50 ms | p99 ms | added p50 | added p99 |\n|---|---|---|---|---|---|")
    for name, values in times.items():
        p50, p99 = shown(values)
        added = f"{p50 - base[0]:.2f} | {p99 - base[1]:.2f}"
        print(f"| {name} | {len(values)} | {p50:.2f} | {p99:.2f} | {added} |")


if __name__ == "__main__":
    main()
