"""Every manifest of this repository is valid on two current versions of Kubernetes."""

import pytest
from cluster_policy import invalid
from unit.targets.test_kubernetes_jobs import OWNER, made
from unit.targets.test_kubernetes_manifests import FETCHING, FILES, ON_NODES, workload

from sacristy.settings import Cluster
from sacristy.targets.kubernetes.candidates import address_of, pull_secret
from sacristy.targets.kubernetes.fetching import secret
from sacristy.targets.kubernetes.manifests import manifests
from sacristy.targets.kubernetes.pods import candidate
from sacristy.targets.kubernetes.training import job, job_secret, no_callers
from sacristy.targets.kubernetes.workers import among_themselves, indexed_job, names


@pytest.mark.parametrize("changes", FILES.values(), ids=FILES)
def test_a_models_manifests_are_valid(changes):
    work = workload(changes, pull_secret=True)
    beside = [candidate(work, "news-1a2b3c4d", 60), address_of(work, "news-1a2b3c4d", "uid")]
    assert invalid([*manifests(work), *beside, pull_secret(work, ("ci", "x"))]) == []


@pytest.mark.parametrize("cluster", [Cluster(), ON_NODES], ids=["pods fetch", "nodes keep"])
def test_the_manifests_of_a_model_that_fetches_its_weights_are_valid(cluster):
    work = workload(fetching=FETCHING, cluster=cluster)
    assert invalid([*manifests(work), candidate(work, "news-1a2b3c4d", 60), secret(work, FETCHING)]) == []


@pytest.mark.parametrize("changes", FILES.values(), ids=FILES)
def test_a_trainings_manifests_are_valid(changes):
    training = made(changes, pull_secret=True, resumes=42, words=("with", "epochs=3"))
    assert invalid([job(training), job_secret(training, OWNER), no_callers(training)]) == []


def test_the_manifests_of_a_training_by_several_workers_are_valid():
    training = made({"training": {"workers": 3}, **FILES["gpu"]}, pull_secret=True)
    documents = [indexed_job(training), names(training, OWNER), among_themselves(training, OWNER)]
    assert invalid(documents) == []


def test_scaling_by_requests_in_flight_is_valid():
    busy = {"kubernetes": {"replicas": 1, "max_replicas": 8, "in_flight": 2.5, "idle_s": 60.0}}
    assert invalid(manifests(workload(busy, cluster=Cluster(in_flight="sacristy_in_flight")))) == []


def test_a_field_that_does_not_exist_is_told():
    document = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "news"}, "spec": {"port": 80}}
    assert len(invalid([document])) == 2
