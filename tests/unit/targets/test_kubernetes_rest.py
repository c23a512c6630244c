"""A Deployment that sleeps: no replicas and no fault, until a hand changes it or model.toml says otherwise."""

import copy

import pytest
from unit.targets.test_kubernetes_manifests import DIGEST, workload

from sacristy.targets.kubernetes import rollout
from sacristy.targets.kubernetes.diagnosis import summary
from sacristy.targets.kubernetes.manifests import manifests
from sacristy.targets.kubernetes.rollout import _put_back
from sacristy.targets.kubernetes.sleep import rest
from sacristy.targets.kubernetes.survey import fault
from sacristy.targets.kubernetes.workload import sleeps
from sacristy.targets.naming import placed_name

SLEEPY = {"kubernetes": {"replicas": 2, "idle_s": 60.0}}
SCALED = {"kubernetes": {"replicas": 2, "max_replicas": 8, "idle_s": 60.0}}
NAME = placed_name("news", "production", DIGEST)


class OneCluster:
    """Objects by kind and name; applying one puts it there, as a cluster does."""

    def __init__(self, documents=()):
        self.found = {}
        for each in documents:
            self.apply(each)

    def apply(self, manifest):
        made = copy.deepcopy(manifest)
        key = made["kind"], made["metadata"]["name"]
        if made["kind"] == "Deployment":
            had = self.found.get(key, {}).get("spec", {}).get("replicas", 1)
            made["spec"].setdefault("replicas", had)
        self.found[key] = made
        return made

    def adapted(self, manifest):
        return manifest

    @property
    def deployment(self):
        return self.found["Deployment", "news"]

    @property
    def replicas(self):
        return self.deployment["spec"]["replicas"]


def cluster_of(changes):
    made = OneCluster(manifests(workload(changes)))
    rest(made, made.deployment, NAME, 0, asleep=True)
    return made


@pytest.mark.parametrize("changes", [SLEEPY, SCALED])
def test_one_that_sleeps_has_no_replicas_and_no_fault(changes):
    made = cluster_of(changes)
    assert (made.replicas, sleeps(made.deployment)) == (0, True)
    assert fault(made, workload(changes), made.found) == ""
    assert summary(made.deployment, []) == "asleep until somebody asks"


@pytest.mark.parametrize("changes", [SLEEPY, SCALED])
def test_woken_it_is_as_it_was(changes):
    made = cluster_of(changes)
    rest(made, made.deployment, NAME, 2, asleep=False)
    assert (made.replicas, sleeps(made.deployment)) == (2, False)
    assert fault(made, workload(changes), made.found) == ""


def test_replicas_by_hand_are_a_fault_asleep_and_none_are_one_awake():
    asleep, awake = cluster_of(SLEEPY), OneCluster(manifests(workload(SCALED)))
    asleep.deployment["spec"]["replicas"] = 1
    awake.deployment["spec"]["replicas"] = 0
    assert "spec.replicas" in fault(asleep, workload(SLEEPY), asleep.found)
    assert "spec.replicas" in fault(awake, workload(SCALED), awake.found)


def test_a_scaled_stage_without_replicas_by_hand_gets_them_back_and_the_fault_is_gone():
    made = OneCluster(manifests(workload(SCALED)))
    made.deployment["spec"]["replicas"] = 0
    for document in rollout._with_replicas(workload(SCALED), made.deployment):
        made.apply(document)
    assert made.replicas == 2
    assert fault(made, workload(SCALED), made.found) == ""


def test_what_load_decided_stays():
    made = OneCluster(manifests(workload(SCALED)))
    made.deployment["spec"]["replicas"] = 5
    for document in rollout._with_replicas(workload(SCALED), made.deployment):
        made.apply(document)
    assert made.replicas == 5


def test_a_model_that_may_sleep_no_more_is_a_fault_asleep():
    made = cluster_of(SLEEPY)
    assert "Deployment news was changed" in fault(made, workload({"kubernetes": {"replicas": 2}}), made.found)


def test_another_version_is_neither_put_to_sleep_nor_woken():
    made = OneCluster(manifests(workload(SLEEPY)))
    rest(made, made.deployment, placed_name("news", "production", "sha256:" + "cd" * 32), 0, asleep=True)
    assert (made.replicas, sleeps(made.deployment)) == (2, False)


@pytest.mark.parametrize("changes", [SLEEPY, SCALED])
def test_a_new_version_comes_up_awake(changes):
    made = cluster_of(changes)
    for document in rollout._with_replicas(workload(changes), made.deployment):
        made.apply(document)
    assert (made.replicas, sleeps(made.deployment)) == (2, False)


def test_after_a_rollout_that_failed_it_sleeps_on():
    made = cluster_of(SLEEPY)
    before = copy.deepcopy(made.deployment)
    for document in rollout._with_replicas(workload(SLEEPY), before):
        made.apply(document)
    _put_back(made, workload(SLEEPY), before)
    assert (made.replicas, sleeps(made.deployment)) == (0, True)
