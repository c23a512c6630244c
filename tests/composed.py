"""A composed stack of the tests' own: an engine on a host of its own, a checkout that is its site, one that is ops'."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import urllib3
from engine import BASE, Engine
from lamps import add_lamp
from lonely_host import Host
from story import SACRISTY, Clone, Load

NAME = "sacristy.test"
SITES = ("omniboard", "registry", "store", "mongodb", "jenkins", "prometheus", "rabbitmq")
PROFILES = "core,batch,monitoring"
PROGRAMS = ("docker-compose", "dockerd", "debootstrap", "iptables", "ip", "nsenter", "node", "npm", "git")
AMQP = Path(__file__).with_name("amqp.py")
CANARY = "canary-in-the-vault-7Qd2"  # a secret that must be found nowhere
MODEL = "lamp"
DIGITS = {"instances": [[0.0] * 64]}


def missing() -> str:
    """Return why there can be no composed stack here, or an empty string."""
    if os.geteuid() != 0:
        return "a host of the tests' own needs root"
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    return f"not installed: {', '.join(absent)}" if absent else ""


class Composed:
    """The stack. `site` is where it is run from; `ops` is an engineer's checkout, pointed at it from the outside."""

    cut = False  # whether its host reaches nobody

    def __init__(self, folder: Path) -> None:
        self._undo = ExitStack()
        try:
            self._make(folder)
        except BaseException:
            self.close()
            raise

    def _make(self, folder: Path) -> None:
        self.host = Host([NAME, *(f"{site}.{NAME}" for site in SITES)], cut=self.cut)
        self._undo.callback(self.host.close)
        self.engine = Engine(folder / "engine", self.host.network)
        self._undo.callback(self.engine.close)
        self.site = self._site(folder / "site")
        self.compose = self.site.folder / "compose"
        (self.compose / "secrets").mkdir(mode=0o700)
        (self.compose / "secrets" / "login-scientist").touch(mode=0o600)
        (self.compose / "secrets" / "login-scientist").write_text(CANARY)
        self.site.run("init", "--compose", "--name", NAME)
        self.configure(SACRISTY_BASE=BASE, SACRISTY_STORE_GIB="4", COMPOSE_PROFILES=PROFILES)
        self.ops = self._checkout(folder / "ops")
        shutil.copytree(self.compose / "clients" / "ops", self.ops.home, dirs_exist_ok=True)
        self.ops.environment |= {"SACRISTY_TARGET": "docker", "SACRISTY_SERVING_BASE": BASE}

    def configure(self, **values: str) -> None:
        """Change what .env says, as somebody who runs a site does."""
        lines = (self.compose / ".env").read_text().splitlines()
        kept = [line for line in lines if line.partition("=")[0] not in values]
        (self.compose / ".env").write_text("\n".join([*kept, *(f"{key}={value}" for key, value in values.items())]))

    def secret(self, name: str) -> str:
        return (self.compose / "secrets" / name).read_text().strip()

    def ask(self, method: str, site: str, path: str, login: str = "", said: dict | None = None, **headers: str):
        """Ask a site over TLS that is checked, saying something as JSON; return its answer."""
        name = f"{site}.{NAME}" if site else NAME
        fields = urllib3.make_headers(basic_auth=f"{login}:{self.secret(f'login-{login}')}") if login else {}
        trusted = {"ca_certs": str(self.compose / "secrets" / "ca.pem"), "server_hostname": name}
        with urllib3.HTTPSConnectionPool(
            self.host.address, 443, assert_hostname=name, retries=False, timeout=20, **trusted
        ) as pool:
            return pool.request(method, path, headers={"Host": name} | fields | headers, json=said, redirect=False)

    def measured(self, path: str):
        """Return what Prometheus answers, as ops ask it through the one door."""
        answer = self.ask("GET", "prometheus", f"/api/v1/{path}", "ops")
        assert answer.status == 200, answer.data
        return answer.json()["data"]

    def amqp_login(self, user: str, password: str) -> str:
        """Log in to RabbitMQ over TLS that is checked, from the host; return what it answers."""
        networks = self.containers()["rabbitmq"]["NetworkSettings"]["Networks"]
        (address,) = (each["IPAddress"] for each in networks.values())
        argv = [*self.host.enter, sys.executable, str(AMQP), address, str(self.compose / "secrets" / "ca.pem"), user]
        return subprocess.run(argv, input=password, capture_output=True, text=True, check=True).stdout.strip()

    def predict(self):
        """Ask for a digit through the one door, as an application; return the answer."""
        pool = self._pool()
        return pool.request("POST", f"/models/{MODEL}/predict", json=DIGITS, headers=self._token())

    def _token(self) -> dict[str, str]:
        return {"Host": NAME, "Authorization": f"Bearer {self.secret('gateway-application')}"}

    def _pool(self):
        trusted = {"ca_certs": str(self.compose / "secrets" / "ca.pem"), "server_hostname": NAME}
        return urllib3.HTTPSConnectionPool(
            self.host.address, 443, assert_hostname=NAME, retries=False, timeout=20, **trusted
        )

    def containers(self) -> dict[str, dict]:
        """Return what the engine knows of each service's container, by service."""

        ids = self.engine.docker("ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project").split()
        found = json.loads(self.engine.docker("inspect", *ids))
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def start_alone(self, service: str, profile: str) -> None:
        """Start a service of a profile without what it depends on there."""
        chosen = ["--profile", "core", "--profile", profile]
        argv = [*self.host.enter, "docker-compose", *chosen, "up", "--detach", "--no-deps", service]
        environment = os.environ | self.engine.environment
        subprocess.run(argv, cwd=self.compose, env=environment, capture_output=True, check=True)

    def kill(self, service: str) -> None:
        """Kill a service's first process, and wait until another one runs in its place."""
        before = self.containers()[service]["State"]
        os.kill(before["Pid"], signal.SIGKILL)
        until(lambda: self.containers()[service]["State"]["Pid"] not in (0, before["Pid"]), 60, f"{service} is gone")

    def healthy(self) -> bool:
        services = self.site.json("status", "--compose")["services"]
        return all(state["ready"] for state in services.values())

    def close(self) -> None:
        self._undo.close()

    def _site(self, folder: Path) -> Entered:
        """Return the checkout that the stack is run from; its engine has what that needs."""
        self.engine.make_base()
        return self._checkout(folder)

    def _checkout(self, folder: Path) -> Entered:
        """Return a checkout of this repository with the model, on the host."""
        made = Entered.made(folder)
        made.within = self.host.enter
        made.environment |= self.engine.environment
        add_lamp(made, MODEL, lean=True)
        return made


class Entered(Clone):
    """A checkout whose commands run on the host."""

    within: tuple[str, ...] = ()
    program = SACRISTY

    def run(self, *words, code=0, timeout=280):
        argv = [*self.within, str(self.program), *words]
        done = subprocess.run(
            argv, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout, done.stderr


class Asking(Load):
    """The same through the one door, for digits."""

    pause_s = 0.1

    def __init__(self, composed: Composed) -> None:
        super().__init__("", DIGITS)
        self.composed = composed

    def _version(self) -> str:
        try:
            answer = self.composed.predict()
        except urllib3.exceptions.HTTPError as error:
            raise OSError(str(error)) from None
        if answer.status != 200:
            raise OSError(f"{answer.status} {answer.data[:200]}")
        return str(answer.json()["version"])


def open_ports(address: str) -> list[int]:
    """Return the TCP ports that take a connection, asked from this machine: a closed one refuses at once."""
    found = []
    for port in range(1, 65536):
        with socket.socket() as probe:
            probe.settimeout(2)
            if probe.connect_ex((address, port)) == 0:
                found.append(port)
    return found


def until(condition, within_s: float = 120, what: str = "it did not happen in time") -> None:
    """Wait for a condition, or fail."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.6)
