"""On a real cluster: a stage that nobody asks sleeps, and the first who ask are held until it is awake."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from e2e.test_kubernetes_operator import Operator, until, unused_ports  # noqa: F401 - a fixture is among them
from lampshop import INSTANCE, number

from sacristy.settings import Role

pytestmark = [pytest.mark.workloads, pytest.mark.timeout(600)]
IDLE_S = 4
PATIENCE_S = 240
SLEEPS = ("replicas = 2", f"replicas = 1\nidle_s = {IDLE_S}")


class Gateway:
    """The gateway as a process, with the rights of its own user of MongoDB and none on the cluster."""

    def __init__(self, shop, mongod, port, **settings):
        self.url, self.token = f"http://127.0.0.1:{port}", shop.clone.token
        environment = shop.clone.environment | {"SACRISTY_MONGODB_URL": mongod.url(Role.GATEWAY)}
        environment |= {"SACRISTY_HELD_S": str(PATIENCE_S), **settings}
        for name in ("SACRISTY_CLUSTER__KUBECONFIG", "KUBECONFIG"):
            environment.pop(name, None)
        argv = [sys.executable, "-m", "gunicorn", "--config", "python:sacristy.gateway.gunicorn"]
        argv += ["--bind", f"127.0.0.1:{port}", "sacristy.gateway.app:create_app()"]
        self.process = subprocess.Popen(argv, cwd=shop.clone.folder, env=environment)
        until(lambda: self.get("/health") is not None)

    def get(self, path):
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def ask(self):
        """Ask for a prediction; return the status, and the version or how long to wait.

        504 is a connection that the rig's own NodePort took and never answers (nodeport.py): it is asked again.
        """
        found = self._ask()
        return found if found[0] != 504 else self._ask()

    def _ask(self):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        address = f"{self.url}/models/lamp/predict"
        request = urllib.request.Request(address, json.dumps(INSTANCE).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S + 60) as answer:
                return answer.status, answer.headers["X-Sacristy-Version"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Retry-After"]

    def close(self):
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture(scope="module")
def sleepy(shop):
    """The first version is in production, and may sleep."""
    first, _ = shop.versions  # made from what is committed
    shop.toml(SLEEPS)
    shop.bring(first)
    shop.operated()
    yield shop
    shop.toml(tuple(reversed(SLEEPS)))
    shop.operated()


@pytest.fixture
def operator(sleepy, unused_ports):  # noqa: F811
    made = Operator(sleepy, unused_ports())
    yield made
    made.close()


@pytest.fixture
def gateways(sleepy, mongod, unused_ports):  # noqa: F811
    made = [
        Gateway(sleepy, mongod, unused_ports()),
        Gateway(sleepy, mongod, unused_ports(), SACRISTY_HELD_REQUESTS="1"),
    ]
    yield made
    for each in made:
        each.close()


def sleeps(shop):
    return not shop.staying() and shop.state()["asleep"]


def test_a_stage_that_nobody_asks_sleeps_and_the_first_who_ask_are_held(sleepy, operator, gateways):
    wide, narrow = gateways
    first, second = map(number, sleepy.versions)
    until(lambda: sleeps(sleepy), PATIENCE_S)
    assert (sleepy.state()["detail"], sleepy.state()["ready"]) == ("asleep until somebody asks", False)
    with ThreadPoolExecutor(20) as pool:
        asked = [[pool.submit(gateway.ask) for _ in range(10)] for gateway in (wide, narrow)]
        held, crowded = ([each.result() for each in some] for some in asked)
    assert Counter(held) == {(200, first): 10}
    assert {(200, first), (503, "5")} == set(crowded)
    time.sleep(IDLE_S + 0.5)  # it is being put to sleep, or just was
    assert wide.ask() == (200, first)
    until(lambda: sleeps(sleepy), PATIENCE_S)
    sleepy.promote(sleepy.versions[1])
    until(lambda: wide.ask() == (200, second), PATIENCE_S)
    assert operator.page("health") == "well\n"
