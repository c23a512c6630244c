"""What differs between a manifest and what a cluster has, and what a pod's state means."""

import pytest

from sacristy.targets.kubernetes.diagnosis import hindrance, is_rolled_out, summary
from sacristy.targets.kubernetes.drift import carried, difference

WANTED = {"spec": {"cpu": "250m", "memory": "1024Mi", "ports": [{"port": 80, "protocol": "TCP"}]}}


@pytest.mark.parametrize(
    ("live", "where"),
    [
        ({"spec": {"cpu": "0.25", "memory": "1Gi", "ports": [{"port": 80, "protocol": "TCP", "nodePort": 1}]}}, ""),
        ({"spec": {"cpu": "250m", "memory": "2Gi", "ports": [{"port": 80, "protocol": "TCP"}]}}, "spec.memory"),
        ({"spec": {"cpu": "250m", "memory": "1Gi", "ports": []}}, "spec.ports"),
        ({"spec": {"cpu": "250m", "memory": "1Gi", "ports": [{"port": 81, "protocol": "TCP"}]}}, "spec.ports[0].port"),
        ({"spec": {"memory": "1Gi", "ports": []}}, "spec.cpu"),
        ({}, "spec"),
    ],
)
def test_only_what_the_manifest_says_is_compared(live, where):
    assert difference(WANTED, live) == where


def test_an_entry_more_in_a_list_is_a_difference():
    assert difference({"containers": [{"name": "model"}]}, {"containers": [{"name": "model"}, {"name": "x"}]})


def test_a_word_more_is_a_difference_of_a_policy_alone():
    ports = [{"port": 8080, "protocol": "TCP"}]
    wanted, live = ({"kind": "NetworkPolicy", "spec": {"ingress": [each]}} for each in ({"ports": ports}, {}))
    live["spec"]["ingress"] = [{"ports": ports, "from": [{"podSelector": {}}]}]
    assert difference(wanted, live) == "spec.ingress[0].from"
    assert difference(wanted, wanted | {"metadata": {"generation": 2}}) == ""
    assert difference(wanted | {"kind": "Service"}, live | {"kind": "Service"}) == ""


def test_what_the_cluster_chose_is_carried_over():
    live = {"metadata": {"resourceVersion": "7", "labels": {"a": "1"}}, "spec": {"clusterIP": "10.96.0.9", "ports": []}}
    wanted = {"kind": "Service", "metadata": {"labels": {"b": "2"}}, "spec": {"type": "ClusterIP", "ports": []}}
    made = carried(wanted, live)
    assert made["metadata"] == {"resourceVersion": "7", "labels": {"a": "1", "b": "2"}, "annotations": {}}
    assert made["spec"]["clusterIP"] == "10.96.0.9"


def test_a_replacement_keeps_the_replicas_that_load_asked_for():
    live = {"metadata": {}, "spec": {"replicas": 7}}
    assert carried({"kind": "Deployment", "metadata": {}, "spec": {}}, live)["spec"]["replicas"] == 7


def pod(state, *, phase="Running", conditions=()):
    return {
        "metadata": {"name": "x"},
        "status": {"phase": phase, "containerStatuses": [{"state": state}], "conditions": list(conditions)},
    }


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ({"waiting": {"reason": "ImagePullBackOff", "message": "401 Unauthorized"}}, "NoImage"),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, "Crashes"),
        ({"terminated": {"reason": "OOMKilled", "exitCode": 137}}, "Ended"),
        ({"waiting": {"reason": "CreateContainerConfigError", "message": "no secret"}}, "NotMade"),
    ],
)
def test_what_hinders_a_pod_is_read_from_its_state(state, kind):
    assert hindrance(pod(state)).kind == kind


def test_a_pod_that_runs_or_begins_is_not_hindered():
    assert hindrance(pod({"running": {}})) is None
    assert hindrance(pod({"waiting": {"reason": "ContainerCreating"}})) is None


def test_a_pod_on_a_node_that_is_not_heard_of_is_told_from_one_that_is_not_ready():
    running = {"ready": True, "state": {"running": {}}}
    unheard = {"conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [running]}
    found = hindrance({"metadata": {}, "spec": {"nodeName": "lab2"}, "status": unheard})
    assert (found.reason, found.passing) == ("its node lab2 is not heard of", True)
    unready = unheard | {"containerStatuses": [running | {"ready": False}]}
    assert hindrance({"metadata": {}, "spec": {}, "status": unready}) is None


def test_a_full_pool_is_told_from_other_lacks_of_room():
    said = "0/2 nodes are available: 1 Insufficient nvidia.com/gpu."
    waits = {"type": "PodScheduled", "reason": "Unschedulable", "message": said}
    found = hindrance({"metadata": {}, "status": {"conditions": [waits]}})
    assert found.lacks_gpu
    assert said in found.reason


def deployment(**status):
    return {"metadata": {"generation": 3}, "spec": {"replicas": 2}, "status": {"observedGeneration": 3} | status}


def test_a_rollout_is_over_when_every_replica_is_new_and_answers():
    assert is_rolled_out(deployment(replicas=2, updatedReplicas=2, availableReplicas=2))
    assert not is_rolled_out(deployment(replicas=3, updatedReplicas=2, availableReplicas=3))
    assert not is_rolled_out(deployment(replicas=2, updatedReplicas=2, availableReplicas=2, observedGeneration=2))


def test_a_summary_says_how_many_answer_and_what_hinders_the_others():
    ready = {"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    text = summary(deployment(), [ready, pod({"waiting": {"reason": "ErrImagePull", "message": "gone"}})])
    assert text == "1 of 2 replicas ready; its image cannot be pulled: gone"
