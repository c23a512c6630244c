"""The `process` target: an image's own layers, unpacked, run by Gunicorn under the stack's supervisor.

The image has no base in the embedded stack: its Python is the environment of the Pipfile.lock that it carries.
Nothing isolates the process from the machine beyond the user's own rights; the docker target does that.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from sacristy.environments import ensure_environment
from sacristy.images.fetched import fetched_of
from sacristy.images.registry import Registry
from sacristy.images.unpack import unpack
from sacristy.project import read_model_file
from sacristy.settings import Settings
from sacristy.supervision import Program, Supervisor
from sacristy.targets.naming import instance_name, is_instance
from sacristy.targets.target import Image, Instance, Served, Target
from sacristy.weights.fetch import fetch
from sacristy.weights.store import open_store

GRACE_S = 10  # beyond the longest prediction, which the image itself waits for
PASSED_ON = ("OMP_NUM_THREADS", "OPENBLAS_CORETYPE")


class ProcessTarget(Target):
    """Instances as processes of this machine, each on a loopback port of its own."""

    name = "process"

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self.settings = settings
        self.registry = registry
        self.supervisor = Supervisor(settings)
        self._pids: dict[str, int] = {}

    def start(self, image: Image, purpose: str) -> Instance:
        """Unpack the image (once per digest), make its environment (once per lock) and start Gunicorn."""
        root = unpacked(self.settings, self.registry, image)
        python = ensure_environment(self.settings, root / "app" / "model" / "Pipfile.lock")
        port = free_port()
        name = instance_name(image.model, purpose)
        config = self.registry.config(image.model, image.digest)
        instance = Instance(name, image, f"http://127.0.0.1:{port}", self.name)
        limits = read_model_file(root / "app" / "model" / "model.toml").serving
        grace_s = limits.timeout_s + GRACE_S
        try:
            self.supervisor.add(program(name, image, config, root, python, port, self._log(name), grace_s))
            state = self.supervisor.state(name)
        except BaseException:
            self.stop(name)
            raise
        self._pids[name] = state.pid if state else 0
        return instance

    def is_running(self, name: str) -> bool:
        """Say whether its first process is still alive: the supervisor restarts a crashed one, which is not that."""
        state = self.supervisor.state(name)
        return state is not None and state.running and self._pids.setdefault(name, state.pid) in (0, state.pid)

    def faults(self, served: Sequence[Served]) -> dict[str, str]:
        """Return which instances do not run, having asked the supervisor once."""
        states = self.supervisor.states() if served else {}
        alive = {name for name, state in states.items() if state.running}
        return {each.instance: "it does not run" for each in served if each.instance not in alive}

    def peak_memory_mib(self, name: str) -> float:
        """Return the sum of the peaks of its processes, in MiB (shared pages count in each: an upper bound)."""
        state = self.supervisor.state(name)
        try:
            parent = psutil.Process(state.pid if state else -1)
            return sum(_peak_kib(process.pid) for process in [parent, *parent.children(recursive=True)]) / 1024
        except (psutil.NoSuchProcess, ValueError):
            return 0.0

    def log_tail(self, name: str, lines: int = 20) -> list[str]:
        """Return the last lines of its log."""
        try:
            return self._log(name).read_text(errors="replace").splitlines()[-lines:]
        except FileNotFoundError:
            return []

    def stop(self, name: str) -> None:
        """End it with SIGTERM (Gunicorn finishes requests in flight), and remove its log."""
        self.supervisor.remove(name)
        self._pids.pop(name, None)
        for log in self._log(name).parent.glob(f"{name}.log*"):
            log.unlink(missing_ok=True)

    def instances(self) -> list[str]:
        """Return the names of the supervised instances."""
        return sorted(name for name in self.supervisor.states() if is_instance(name))

    def _log(self, name: str) -> Path:
        return self.settings.home / "logs" / f"{name}.log"


def unpacked(settings: Settings, registry: Registry, image: Image) -> Path:
    """Return the folder with an image's files, its weights among them: those that it does not carry are fetched.

    Fetched ones are verified each time. Raises what unpacking and the store raise.
    """
    root = settings.home / "instances" / f"{image.model}-{image.digest.removeprefix('sha256:')[:16]}"
    unpack(registry, image.model, image.digest, root)
    fetched = fetched_of(registry.manifest(image.model, image.digest), str(image))
    if fetched:
        store = open_store(settings.weights_location, settings, "serving")
        fetch(store, fetched.files, root / "app" / "weights")
    return root


def program(
    name: str, image: Image, config: dict[str, Any], root: Path, python: Path, port: int, log: Path, grace_s: int
) -> Program:
    """Return what the supervisor runs: the image's own command, its `python` being the environment's.

    `grace_s`: from TERM to KILL.
    """
    command = [str(python) if word == "python" else word for word in config["config"]["Cmd"]]
    app = root / "app"
    environment = {key: os.environ[key] for key in PASSED_ON if key in os.environ} | {
        "PYTHONPATH": str(app),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SACRISTY_APP": str(app),
        "SACRISTY_DIGEST": image.digest,
        "SACRISTY_HOST": "127.0.0.1",
        "SACRISTY_PORT": str(port),
    }
    return Program(name, tuple(command), app, log, environment, stop_wait_s=grace_s)


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _peak_kib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
