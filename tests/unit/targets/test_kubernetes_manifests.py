"""A model's manifests: what they say, and that they keep to the policy."""

import pytest
import yaml
from cluster_policy import breaches

from sacristy.names import Stage, Version
from sacristy.project import ModelFile
from sacristy.settings import Cluster
from sacristy.targets.kubernetes.manifests import as_yaml, manifests
from sacristy.targets.kubernetes.pods import candidate
from sacristy.targets.kubernetes.workload import Workload
from sacristy.targets.target import Image

DIGEST = "sha256:" + "ab" * 32
PLAIN = {"title": "News", "gates": {"metric": "accuracy", "minimum": 0.9, "ready_s": 20.0}}
FILES = {
    "plain": {},
    "scaled": {"kubernetes": {"replicas": 2, "max_replicas": 8}},
    "gpu": {"resources": {"gpu": 1, "cpu": 4.0, "memory_mib": 8192}},
}


def workload(changes=None, **more):
    file = ModelFile.model_validate(PLAIN | (changes or {}))
    image = Image("news", Version(42, 1), 42, DIGEST)
    return Workload(image, Stage.PRODUCTION, file, more.pop("cluster", Cluster()), "registry:5000", **more)


def of_kind(documents, kind):
    return next(each for each in documents if each["kind"] == kind)


def pod_of(work):
    return of_kind(manifests(work), "Deployment")["spec"]["template"]["spec"]


@pytest.mark.parametrize("changes", FILES.values(), ids=FILES)
def test_all_of_it_is_within_the_policy(changes):
    work = workload(changes, pull_secret=True)
    documents = [*manifests(work), candidate(work, "news-1a2b3c4d", 60)]
    assert [breach for document in documents for breach in breaches(document)] == []


def test_an_image_is_pulled_by_digest_with_the_stages_secret():
    pod = pod_of(workload(pull_secret=True))
    assert pod["containers"][0]["image"] == f"registry:5000/news@{DIGEST}"
    assert pod["imagePullSecrets"] == [{"name": "sacristy-registry"}]
    assert "imagePullSecrets" not in pod_of(workload())


def test_a_rollout_never_takes_away_before_it_brings():
    spec = of_kind(manifests(workload()), "Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert spec["progressDeadlineSeconds"] == 110


def test_the_grace_is_longer_than_the_drain_and_the_longest_prediction():
    pod = pod_of(workload({"serving": {"timeout_s": 40}}))
    assert pod["terminationGracePeriodSeconds"] == 40 + 10 + 3
    assert pod["containers"][0]["startupProbe"]["failureThreshold"] == 20


def test_load_decides_how_many_replicas_only_where_it_may():
    plain, scaled = manifests(workload()), manifests(workload(FILES["scaled"]))
    assert of_kind(plain, "Deployment")["spec"]["replicas"] == 2
    assert "replicas" not in of_kind(scaled, "Deployment")["spec"]
    spec = of_kind(scaled, "HorizontalPodAutoscaler")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 8)


def test_requests_in_flight_count_where_model_and_cluster_say_so():
    busy = {"kubernetes": {"replicas": 2, "max_replicas": 8, "in_flight": 2.5, "scale_down_s": 60}}
    counting = Cluster(in_flight="sacristy_in_flight")
    of_both = of_kind(manifests(workload(busy, cluster=counting)), "HorizontalPodAutoscaler")["spec"]
    assert [metric["type"] for metric in of_both["metrics"]] == ["Resource", "Pods"]
    assert of_both["metrics"][1]["pods"]["target"] == {"type": "AverageValue", "averageValue": "2500m"}
    assert of_both["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 60
    for work in (workload(busy), workload(FILES["scaled"], cluster=counting)):
        assert len(of_kind(manifests(work), "HorizontalPodAutoscaler")["spec"]["metrics"]) == 1


def test_a_replica_on_a_lost_node_is_soon_replaced():
    waits = {each["key"]: each.get("tolerationSeconds") for each in pod_of(workload(FILES["gpu"]))["tolerations"][1:]}
    assert waits == {"node.kubernetes.io/not-ready": 30, "node.kubernetes.io/unreachable": 5}


def test_a_model_with_a_gpu_goes_to_the_pool_and_others_stay_away():
    pod = pod_of(workload(FILES["gpu"], cluster=Cluster(gpu_label="pool=gold", gpu_taint="only=gpu")))
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["tolerations"][0] == {"key": "only", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}
    assert [each["effect"] for each in pod_of(workload())["tolerations"]] == ["NoExecute"] * 2


def test_where_it_may_do_without_it_asks_for_none():
    pod = pod_of(workload(FILES["gpu"], gpu=False))
    assert "nvidia.com/gpu" not in pod["containers"][0]["resources"]["limits"]
    assert "affinity" not in pod


def test_a_candidate_is_found_by_no_service_of_users():
    made = candidate(workload(), "news-1a2b3c4d", 60)
    wanted = of_kind(manifests(workload()), "Service")["spec"]["selector"]
    assert not wanted.items() <= made["metadata"]["labels"].items()
    assert made["spec"]["restartPolicy"] == "Never"


def test_the_same_stage_gives_the_same_yaml():
    text = as_yaml(manifests(workload()))
    assert text == as_yaml(manifests(workload()))
    assert list(yaml.safe_load_all(text)) == manifests(workload())
