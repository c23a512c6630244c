"""What logging costs a training: Sacristy beside plain Sacred and MLflow, all in one run on one machine.

    .venv/bin/python bench/tracking/run.py

Starts a real mongod of its own and an MLflow server, makes an environment with MLflow in a temporary folder (or
takes `--mlflow PYTHON`), prints a table, and with `--json FILE` keeps all figures.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
MLFLOW = "3.17.2"
Figures = dict[str, Any]
# candidate: script, mode, points in the test of calls
CANDIDATES = {
    "sacristy": ("with_sacristy.py", "", 1_000_000),
    "sacred": ("with_sacred.py", "", 1_000_000),
    "mlflow sqlite, batch": ("with_mlflow.py", "batch", 30_000),
    "mlflow http, batch": ("with_mlflow.py", "batch", 30_000),
    "mlflow sqlite, single": ("with_mlflow.py", "single", 500),
    "mlflow http, single": ("with_mlflow.py", "single", 200),
}


def main() -> None:
    """Measure every candidate and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mlflow", type=Path, help="the Python of an environment that has MLflow")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    parser.add_argument("--only", nargs="+", choices=CANDIDATES, default=list(CANDIDATES), help="measure only these")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        mongod = start_mongod(folder, stack)
        python, address = Path(), ""
        if any("mlflow" in candidate for candidate in arguments.only):
            python = arguments.mlflow or make_environment(folder)
            address = start_mlflow(python, folder, stack)
        sqlite = f"sqlite:///{folder}/direct.db"
        results = {}
        for candidate in arguments.only:
            print(f"… {candidate}", file=sys.stderr)
            url = address if "http" in candidate else sqlite
            results[candidate] = measure(candidate, folder, python, mongod, url)
    print(table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


def measure(candidate: str, folder: Path, python: Path, mongod: Any, mlflow_url: str) -> Figures:
    """Return one candidate's figures. Totals are of the whole process, less those of a run that logs nothing."""
    script, mode, points = CANDIDATES[candidate]
    ours = not mode
    command = [str(sys.executable if ours else python), "-W", "ignore", str(HERE / "candidates" / script)]
    command.append(mongod_url(mongod) if ours else mlflow_url)
    environment = {"MODE": mode, "RESULT": str(folder / "result.json")}
    environment |= mongod.environment(PROJECT, folder / "home") if ours else dict(os.environ)

    def run(**more: object) -> Figures:
        return timed(command, folder, environment | {name: str(value) for name, value in more.items()})

    run(POINTS=0)  # warms the disk's cache, and makes MLflow's tables
    empty = min((run(POINTS=0) for _ in range(3)), key=lambda found: found["wall_s"])
    many = run(POINTS=points)
    steady = run(SECONDS_=10, RATE=10_000)
    return many | {
        "start_s": empty["entered"] - empty["begun"],
        "empty_run_s": empty["wall_s"],
        "points": points,
        "total_us": (many["wall_s"] - empty["wall_s"]) / points * 1e6,
        "cpu_us": (many["cpu_s"] - empty["cpu_s"]) / points * 1e6,
        "memory_mib": many["peak_rss_mib"] - empty["peak_rss_mib"],
        "loop": steady,
    }


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> Figures:
    """Run to the end; return the result it wrote with wall and processor time, its children's included."""
    begun, clock = time.time(), time.perf_counter()
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit((folder / "log").read_text()[-3000:])
    found: Figures = json.loads(Path(environment["RESULT"]).read_text())
    wall = time.perf_counter() - clock
    return found | {"begun": begun, "wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime}


def table(results: dict[str, Figures]) -> str:
    """Return the figures as a Markdown table."""
    columns = ["", "call p50 µs", "p99.9 µs", "total µs/point", "CPU µs/point", "first → last tenth µs"]
    columns += ["start s", "empty run s", "memory MiB", "at 10,000/s: share of time", "longest step ms", "reached /s"]
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for name, found in results.items():
        loop = found["loop"]
        cells = [f"{found['p50_us']:.1f}", f"{found['p999_us']:.1f}", f"{found['total_us']:.1f}"]
        cells += [f"{found['cpu_us']:.1f}", f"{found['first_tenth_us']:.1f} → {found['last_tenth_us']:.1f}"]
        cells += [f"{found['start_s']:.2f}", f"{found['empty_run_s']:.2f}", f"{found['memory_mib']:.0f}"]
        cells += [f"{loop['share_of_time']:.1%}", f"{loop['longest_ms']:.1f}", f"{loop['points_s']:.0f}"]
        lines.append("| " + " | ".join([f"{name} ({found['points']:,})", *cells]) + " |")
    return "\n".join(lines)


def make_environment(folder: Path) -> Path:
    """Install MLflow into an environment of its own, and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "mlflow")], check=True)
    python = folder / "mlflow" / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", f"mlflow=={MLFLOW}"], check=True)
    return python


def start_mongod(folder: Path, stack: contextlib.ExitStack) -> Any:
    """Start the server that the service tests use."""
    spec = importlib.util.spec_from_file_location("services", PROJECT / "tests" / "services" / "conftest.py")
    if spec is None or spec.loader is None:
        raise SystemExit("tests/services/conftest.py is missing")
    services = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(services)
    program = services.find_mongod()
    if program is None:
        raise SystemExit("there is no mongod")
    server = services.Mongod(folder / "mongod", program)
    stack.callback(server.close)
    return server.start().initiate()


def mongod_url(mongod: Any) -> str:
    """Return an address under which plain Sacred may do all that it does."""
    from sacristy.settings import Role

    return f"{mongod.url(Role.ADMIN)}&w=majority&journal=true"


def start_mlflow(python: Path, folder: Path, stack: contextlib.ExitStack) -> str:
    """Start MLflow's server on sqlite and return its address once it answers."""
    address, log = "http://127.0.0.1:5599", stack.enter_context((folder / "server.log").open("wb"))
    command = [str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "5599", "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder)]
    server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    stack.callback(lambda: (os.killpg(server.pid, 15), server.wait()))
    for _ in range(1800):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{address}/health").close()
            return address
        time.sleep(0.1)
    raise SystemExit((folder / "server.log").read_text()[-2000:])


if __name__ == "__main__":
    main()
