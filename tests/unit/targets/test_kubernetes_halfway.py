"""A rollout whose operator was killed: the stage is not there yet, and the next operator waits for it. No cluster."""

from types import SimpleNamespace

import pytest
from unit.targets.test_kubernetes_manifests import DIGEST, workload

from sacristy.names import Stage, Version
from sacristy.operator import deployment
from sacristy.operator.deployment import half_way
from sacristy.settings import Settings
from sacristy.targets.kubernetes import manifests
from sacristy.targets.kubernetes.target import KubernetesTarget
from sacristy.targets.naming import placed_name
from sacristy.targets.target import Image, Instance

NAME = placed_name("news", "production", DIGEST)
ROLLED_OUT = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
IMAGE = Image("news", Version(42), 42, DIGEST)


@pytest.mark.parametrize(
    ("status", "runs"),
    [
        ({}, True),
        ({"availableReplicas": 1}, True),
        ({"replicas": 4, "updatedReplicas": 4}, True),
        ({"replicas": 3, "updatedReplicas": 1}, False),
        ({"observedGeneration": 1}, False),
        ({"availableReplicas": 0}, False),
    ],
)
def test_a_stage_runs_at_a_digest_when_no_older_replica_answers_for_it(tmp_path, status, runs):
    live = manifests.deployment(workload())
    live["metadata"]["generation"], live["status"] = 2, ROLLED_OUT | status
    target = KubernetesTarget(Settings(project=tmp_path), SimpleNamespace())
    target.cluster = SimpleNamespace(get=lambda *_: live)
    assert target.is_running(NAME) is runs


@pytest.mark.parametrize(
    ("keeps_stages", "digest", "goes_on"),
    [(True, DIGEST, True), (True, "sha256:" + "0" * 64, False), (False, DIGEST, 0)],
)
def test_what_a_killed_rollout_began_goes_on_and_nothing_is_started_beside_it(
    monkeypatch, keeps_stages, digest, goes_on
):
    verified = []
    monkeypatch.setattr(deployment, "verify", lambda _, model, digest, keys: verified.append(digest))
    there = Instance(placed_name("news", "production", digest), Image("news", Version(1), 1, digest), "http://x", "k")
    target = SimpleNamespace(keeps_stages=keeps_stages, found=lambda *_: there)
    yard = SimpleNamespace(target=target, registry=None, desk=SimpleNamespace(keys=None))
    route = half_way(yard, IMAGE, Stage.PRODUCTION)
    assert (route.instance if route else None) == (NAME if goes_on else None)
    assert verified == [DIGEST] * bool(goes_on)
