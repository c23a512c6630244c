"""On a real cluster: replicas come and go with the load, and a node that is lost does not take a stage with it."""

import time

import pytest
from e2e.test_kubernetes_operator import until, unused_ports  # noqa: F401 - a fixture is among them
from e2e.test_kubernetes_sleep import Gateway
from lampshop import INSTANCE, number
from story import Load

pytestmark = [pytest.mark.workloads, pytest.mark.timeout(600)]
BUSY = ("replicas = 2", "replicas = 1\nmax_replicas = 3\ncpu_percent = 30\nscale_down_s = 5")
TAINT = ("taint", "nodes", "lab2", "--overwrite")


@pytest.fixture(scope="module")
def served(shop):
    """The first version is in production, with two replicas; both nodes take models."""
    shop.bring(shop.versions[0])
    shop.rig.kubectl(*TAINT, "purpose-")
    yield shop
    shop.rig.kubectl(*TAINT, "purpose=ml:NoSchedule")


@pytest.fixture
def scaled(served):
    """Load decides how many replicas there are."""
    served.toml(BUSY)
    served.operated()
    yield served
    served.toml(tuple(reversed(BUSY)))
    served.operated()


@pytest.fixture
def spread(served):
    """Each node has one of the replicas."""
    if nodes(served) != ["lab", "lab2"]:
        leaving = served.staying()[0]["metadata"]["name"]
        served.rig.kubectl("--namespace", "sacristy-production", "delete", "pod", leaving, "--wait=false")
    until(lambda: nodes(served) == ["lab", "lab2"] and served.state()["detail"] == "2 of 2 replicas ready", 120)
    return served


@pytest.fixture
def gateway(served, mongod, unused_ports):  # noqa: F811
    made = Gateway(served, mongod, unused_ports())
    yield made
    made.close()


def nodes(shop):
    return sorted(pod["spec"].get("nodeName", "") for pod in shop.staying())


def test_replicas_come_with_the_load_and_go_with_it(scaled):
    with scaled.load() as load:
        until(lambda: scaled.state()["detail"] == "3 of 3 replicas ready", 120)
    assert load.failures == []
    until(lambda: scaled.state()["detail"] == "1 of 1 replicas ready", 180)
    assert scaled.answer()["version"] == number(scaled.versions[0])


def test_a_stage_serves_on_while_a_node_is_lost_and_its_replica_is_made_elsewhere(spread, gateway):
    said = set()
    with Load(f"{gateway.url}/models/lamp/predict", INSTANCE, gateway.token) as load:
        spread.rig.lose("lab2")
        lost = time.monotonic()
        try:
            until(lambda: said.add(spread.state()["detail"]) or nodes(spread) == ["lab", "lab"], 240)
            replaced = time.monotonic() - lost
            until(lambda: spread.state()["detail"] == "2 of 2 replicas ready", 120)
            answered = len(load.versions)
            until(lambda: len(load.versions) > answered + 50)
        finally:
            spread.rig.find("lab2")
    print(f"{answered} answered, {len(load.failures)} failed; replaced after {replaced:.0f} s; {said}")
    assert "1 of 2 replicas ready; its node lab2 is not heard of" in said
    assert set(load.versions) == {number(spread.versions[0])}
    assert len(load.failures) < answered / 10
