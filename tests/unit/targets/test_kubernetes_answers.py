"""What the API's refusals and the rollout's states mean to people, and the names of what a stage runs as."""

import json

import pytest

from sacristy.errors import ClusterRefused, NamespaceMissing, QuotaReached
from sacristy.targets.kubernetes.cluster import Answer, refusal
from sacristy.targets.kubernetes.diagnosis import hindrance, is_fetching, pulling_fault, standstill
from sacristy.targets.naming import belongs, is_placed, placed_digest, placed_name

SERVER, PATH = "https://api:6443", "/api/v1/namespaces/sacristy-staging/pods"


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (404, 'namespaces "sacristy-staging" not found', NamespaceMissing),
        (403, 'pods "news" is forbidden: exceeded quota: small, used: pods=0', QuotaReached),
        (403, 'pods is forbidden: User "ana" cannot create resource', ClusterRefused),
        (500, "etcd is away", ClusterRefused),
    ],
)
def test_a_refusal_is_told_by_what_can_be_done_about_it(status, message, kind):
    error = refusal(SERVER, Answer(status, json.dumps({"message": message})), PATH)
    assert type(error) is kind
    assert kind is not NamespaceMissing or "sacristy-staging" in str(error)


def test_a_refusal_that_is_no_json_is_told_as_it_is():
    assert "<html>" in str(refusal(SERVER, Answer(502, "<html>bad gateway"), PATH))


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            'rpc error: code = Unknown desc = failed to pull and unpack image "r:5000/n@sha256:0": failed to resolve '
            'reference "r:5000/n@sha256:0": failed to do request: Head "https://r:5000/v2/n": dial tcp: refused',
            "dial tcp: refused",
        ),
        ('failed to resolve reference "r/n": unexpected status code 401', "unexpected status code 401"),
        ("x509: certificate signed by unknown authority", "x509: certificate signed by unknown authority"),
    ],
)
def test_of_a_failed_pull_the_cause_is_told_and_not_its_wrappings(said, cause):
    assert pulling_fault(said) == cause


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [("Progressing", "False", "too slow"), ("ReplicaFailure", "True", "too slow"), ("Progressing", "True", "")],
)
def test_a_rollout_stands_still_when_the_cluster_says_so(kind, status, said):
    condition = {"type": kind, "status": status, "message": "too slow"}
    made = {"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": [condition]}}
    assert standstill(made) == said
    made["status"]["observedGeneration"] = 0
    assert standstill(made) == ""


def fetches(**state):
    return {"metadata": {}, "status": {"initContainerStatuses": [{"name": "weights", **state}]}}


def test_what_the_container_that_fetches_said_last_is_the_cause():
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": "weights: a\nweights: b is damaged\n"}}
    again = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}
    for pod in (fetches(state=ended), fetches(**again)):
        assert hindrance(pod).reason == "its weights cannot be fetched: b is damaged"
    silent = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    assert "memory" in hindrance(fetches(state=silent)).reason


def test_a_pod_that_fetches_is_not_hindered_nor_one_that_has():
    running, done = fetches(state={"running": {}}), fetches(state={"terminated": {"exitCode": 0}})
    assert [hindrance(pod) for pod in (running, done)] == [None, None]
    assert [is_fetching(pod) for pod in (running, done)] == [True, False]


def test_an_image_that_cannot_be_pulled_is_told_of_the_container_that_fetches_too():
    assert hindrance(fetches(state={"waiting": {"reason": "ImagePullBackOff"}})).kind == "NoImage"


def test_a_stages_one_instance_is_named_by_its_digest():
    name = placed_name("news-2", "production", "sha256:" + "0123456789abcdef" * 4)
    assert (name, belongs(name)) == ("news-2-production-0.01234567", ("news-2", "production"))
    assert is_placed(name)
    assert placed_digest(name) == "sha256:01234567"
    assert not is_placed("news-2-production-1a2b.01234567")
