"""A training by several pods: one Indexed Job with names for its pods, or a Job for each where there is none."""

import pytest
from cluster_policy import breaches
from unit.targets.test_kubernetes_jobs import GPU, OWNER, Scene, follow, made, pod  # noqa: F401 - the fixture `follow`

from sacristy.errors import PodNotStarted
from sacristy.targets.kubernetes import jobs
from sacristy.targets.kubernetes.training import STARTS, job
from sacristy.targets.kubernetes.workers import (
    INDEX,
    PORT,
    address_of_chief,
    among_themselves,
    indexed_job,
    names,
    number_of,
    worker_job,
)

SEVERAL = {"training": {"workers": 3}}
NAME = "train-news-1a2b3c4d"


def given(document):
    (container,) = document["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value") for each in container["env"]}


def test_all_workers_are_one_indexed_job_whose_pods_have_names():
    training = made(SEVERAL)
    spec = indexed_job(training)["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert spec["backoffLimit"] == 3 * STARTS
    service = names(training, OWNER)
    assert spec["template"]["spec"]["subdomain"] == service["metadata"]["name"] == NAME
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert given(indexed_job(training))["SACRISTY_CHIEF"] == f"{NAME}-0.{NAME}:{PORT}"
    assert given(indexed_job(training))["SACRISTY_WORKERS"] == "3"


@pytest.mark.parametrize("changes", [SEVERAL, SEVERAL | GPU])
def test_its_pods_are_otherwise_those_of_any_training_and_within_the_policy(changes):
    assert breaches(indexed_job(made(changes, pull_secret=True))) == []
    alone = job(made())["spec"]["template"]
    several = indexed_job(made(SEVERAL))["spec"]["template"]
    assert several["metadata"] == alone["metadata"]
    assert several["spec"]["containers"][0]["command"] == alone["spec"]["containers"][0]["command"]
    assert "SACRISTY_WORKERS" not in given(job(made()))


def test_the_workers_of_one_training_may_talk_to_each_other_and_nobody_else_to_them():
    spec = among_themselves(made(SEVERAL), OWNER)["spec"]
    them = {"matchLabels": {"dev.sacristy.job": NAME}}
    assert spec == {"podSelector": them, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": them}]}]}


def test_an_old_cluster_gets_a_job_for_each_worker_which_goes_with_the_first():
    training = made(SEVERAL)
    first, third = worker_job(training, 0), worker_job(training, 2, "10.0.0.9", OWNER)
    assert (first["metadata"]["name"], third["metadata"]["name"]) == (NAME, f"{NAME}-2")
    assert third["metadata"]["ownerReferences"][0]["uid"] == "5e"
    assert given(third)["JOB_COMPLETION_INDEX"] == "2"
    assert given(third)["SACRISTY_CHIEF"] == f"10.0.0.9:{PORT}"
    assert number_of(third["spec"]["template"]) == 2
    chosen = address_of_chief(training, OWNER)["spec"]["selector"].items()
    labels = [each["spec"]["template"]["metadata"]["labels"].items() for each in (first, third)]
    assert [chosen <= each for each in labels] == [True, False]


class Api:
    """Stands where the cluster is: says its version, and keeps what is made."""

    def __init__(self, version):
        self.version, self.made, self.ended = version, [], []

    def apply(self, manifest):
        pass

    def create(self, manifest):
        self.made.append((manifest["kind"], manifest["metadata"]["name"]))
        return manifest | {"metadata": manifest["metadata"] | {"uid": "5e"}, "spec": {"clusterIP": "10.0.0.9"}}


@pytest.mark.parametrize(
    ("version", "changes", "count"),
    [((1, 36), SEVERAL, 1), ((1, 22), SEVERAL, 1), ((1, 20), SEVERAL, 3), ((1, 20), {}, 1)],
)
def test_what_is_made_follows_from_the_clusters_version(version, changes, count):
    api = Api(version)
    jobs.start(api, made(changes), ("", ""))
    kinds = [kind for kind, _ in api.made]
    assert (kinds.count("Job"), kinds[0], kinds.count("Service")) == (count, "Job", 1 if changes else 0)


def member(number, found):
    found["metadata"] |= {"annotations": {INDEX: str(number)}, "name": f"member-{number}"}
    return found


def test_worker_0_is_followed_and_what_hinders_another_is_told(follow):  # noqa: F811 - the fixture
    full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient cpu"}
    waiting = member(1, {"metadata": dict(pod()["metadata"]), "status": {"conditions": [full]}})
    running = member(1, pod("member"))
    code, shown, told = follow(Scene([pod(), waiting], [pod(), running], [pod(code=0), running]))
    assert (code, shown) == (0, ["of one"])
    assert told == ["worker 1 waits: no node has room for it: Insufficient cpu"]
    with pytest.raises(PodNotStarted):
        follow(Scene([pod(), member(1, pod(waiting={"reason": "ImagePullBackOff", "message": "no"}))]))
