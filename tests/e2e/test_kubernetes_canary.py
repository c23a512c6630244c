"""On a real cluster: canaries that the operator promotes or withdraws by itself, and a mirror, behind the gateway."""

import copy
import json
import urllib.request
from contextlib import closing
from datetime import timedelta

import pytest
from e2e.test_kubernetes_operator import Operator, until, unused_ports  # noqa: F401 - a fixture is among them
from e2e.test_kubernetes_sleep import Gateway
from lampshop import INSTANCE, number
from story import Load

from sacristy.images.signature import attach, keys_of

pytestmark = [pytest.mark.workloads, pytest.mark.timeout(600)]
SERVE = "models/lamp/serve.py"
WINDOW_S, LONG_S = 8, 36000
LIMITS = (
    "[canary]\nwindow_s = {}\nmin_requests = 40\nerror_rate = 0.2\nlatency_p95_ms = 20000\n"  # busy machines are slow
)
KEYS = [f"user {number}" for number in range(120)]
WRONG = """

_predict = Lamp.predict


def predict(self, inputs):
    answers = _predict(self, inputs)
    return [answer if any(picture) else answer[::-1] for picture, answer in zip(inputs, answers)]


Lamp.predict = predict
"""


class Hall:
    """A version in production behind a gateway, an operator, a good version, and one wrong about blank paper."""

    def __init__(self, shop, gateway, wrong):
        self.shop, self.clone, self.gateway = shop, shop.clone, gateway
        self.good, self.own = map(number, shop.versions)
        self.wrong = number(wrong)
        self.toml = self.clone.folder / "models" / "lamp" / "model.toml"
        self.plain = self.toml.read_text()

    def window(self, seconds):
        """Say in model.toml for how long canaries are watched."""
        self.toml.write_text(f"{self.plain}\n{LIMITS.format(seconds)}")

    def load(self):
        return Load(f"{self.gateway.url}/models/lamp/predict", INSTANCE, self.gateway.token)

    def put(self, kind, percent, version):
        """Put a version beside production."""
        self.clone.run("deploy", "lamp", f"--{kind}={percent}", "--version", version)

    def answers(self):
        """Return which version answers each of the keys."""
        return {key: self._version_for(key) for key in KEYS}

    def _version_for(self, key):
        headers = {"Authorization": f"Bearer {self.gateway.token}", "X-Sacristy-Key": key}
        address = f"{self.gateway.url}/models/lamp/predict"
        request = urllib.request.Request(
            address, json.dumps(INSTANCE).encode(), headers | {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.headers["X-Sacristy-Version"]

    def noted(self, version, state):
        """Return the last record of what became of a version, or None."""
        return ([None, *self.shop.deployed(version_name(version), state)])[-1]

    def is_quiet(self):
        """Say whether there are the replicas and no pod that is about to end: such a one may answer for a moment."""
        return len(self.shop.pods()) == 2

    def beside(self):
        """Return the pods that are there besides the replicas."""
        return [pod for pod in self.shop.pods() if pod["metadata"]["labels"].get("dev.sacristy.role") == "candidate"]


def version_name(version):
    return f"lamp:{version}"


@pytest.fixture(scope="module")
def hall(shop, mongod, unused_ports):  # noqa: F811
    """Reached by the Services' own addresses: what the rig's node ports may lose is not told here (nodeport.py)."""
    _, own = shop.versions
    there = copy.copy(shop)
    there.clone = copy.copy(shop.clone)
    there.clone.environment = shop.clone.environment | {"SACRISTY_CLUSTER__EXPOSE": "ClusterIP"}
    wrong = made_wrong(shop)
    there.bring(own)
    operator, gateway = Operator(there, unused_ports()), Gateway(there, mongod, unused_ports())
    made = Hall(there, gateway, wrong)
    made.operator = operator
    try:
        until(operator.leads)
        until(made.is_quiet)
        yield made
    finally:
        operator.close()
        gateway.close()
        made.toml.write_text(made.plain)
        shop.operated()
    assert shop.url().startswith("http://127.0.0.1:")  # at a node's port again


def made_wrong(shop):
    """Return a version that passed its test, and was signed as a promotion to staging would have done."""
    serve = (shop.clone.folder / SERVE).read_text()
    shop.clone.commit(SERVE, serve + WRONG)
    try:
        name = shop.judged(shop.made())
    finally:
        shop.clone.commit(SERVE, serve)
    with closing(shop.server.registry()) as registry:
        for version, digest in registry.versions("lamp").items():
            if str(version) in {number(each) for each in (name, *shop.versions)}:
                attach(registry, "lamp", digest, keys_of(shop.clone.home))
    return name


def test_a_good_canary_answers_its_share_and_is_promoted_when_its_window_is_over(hall):
    before = len(hall.shop.deployed(version_name(hall.good)))
    hall.window(LONG_S)
    with hall.load() as load:
        hall.put("canary", 50, hall.good)
        said, again = hall.answers(), hall.answers()
        assert len([key for key in KEYS if said[key] != again[key]]) < 3  # what it does not answer, the own one does
        assert 25 < list(said.values()).count(hall.good) < 95
        assert hall.shop.state()["canary"]["version"] == hall.good
        hall.window(WINDOW_S)
        until(lambda: len(hall.shop.deployed(version_name(hall.good))) > before, 180)
        until(lambda: load.versions[-20:] == [hall.good] * 20)
    assert load.failures == []
    assert set(load.versions) == {hall.own, hall.good}
    began, promoted = hall.noted(hall.good, "canary"), hall.noted(hall.good, "promoted")
    assert promoted["at"] - began["at"] > timedelta(seconds=WINDOW_S - 1)  # it began just before that was written
    (*_, move) = hall.clone.json("audit", "lamp")
    assert (move["action"], move["why"].partition(":")[0]) == ("promoted", f"a canary for {WINDOW_S} s")
    assert "agreement 100.00%" in move["why"]
    assert "canary" not in hall.shop.state()
    assert hall.beside() == []
    until(hall.is_quiet)


def test_a_mirror_gets_copies_and_answers_nobody(hall):
    hall.window(1)  # which is none of its business
    with hall.load() as load:
        hall.put("mirror", 100, hall.wrong)
        until(lambda: hall.clone.json("canary", "lamp")["mirror"]["requests"] >= 40)
        shown = hall.clone.json("canary", "lamp")["mirror"]
    assert load.failures == []
    assert set(load.versions) == {hall.good}
    assert (shown["version"], shown["agreement"]["value"]) == (hall.wrong, 0.0)


def test_a_canary_that_answers_wrongly_is_withdrawn_at_once_and_it_is_said_why(hall):
    hall.window(LONG_S)
    with hall.load() as load:
        hall.put("canary", 30, hall.wrong)
        until(lambda: hall.noted(hall.wrong, "withdrawn"), 120)
        until(lambda: load.versions[-40:] == [hall.good] * 40)
    assert load.failures == []
    assert set(load.versions) == {hall.good, hall.wrong}
    said = hall.clone.run("canary", "lamp", code=1)[1]
    why = "predictions differ from the stage's own; at most 10 % may"
    assert f"version {hall.wrong} was withdrawn: 100 % of" in said
    assert why in said
    assert why in (hall.clone.home / f"operator-{hall.operator.port}.log").read_text()
    state = hall.shop.state()
    assert (state["version"], state["running"], state["detail"]) == (hall.good, hall.good, "2 of 2 replicas ready")
    assert not {"canary", "mirror"} & state.keys()
    assert hall.beside() == []
