"""A model's manifests: what they say, and that they keep to the policy."""

from dataclasses import replace

import pytest
import yaml
from cluster_policy import breaches

from sacristy.images.fetched import Fetched
from sacristy.model_file import ModelFile
from sacristy.names import Stage, Version
from sacristy.settings import Cluster
from sacristy.targets.kubernetes.fetching import Fetching, secret
from sacristy.targets.kubernetes.manifests import as_yaml, manifests
from sacristy.targets.kubernetes.pods import candidate
from sacristy.targets.kubernetes.workload import Workload
from sacristy.targets.target import Image
from sacristy.tracking.runs import WeightsFile

DIGEST = "sha256:" + "ab" * 32
PLAIN = {"title": "News", "gates": {"metric": "accuracy", "minimum": 0.9, "ready_s": 20.0}}
FILES = {
    "plain": {},
    "scaled": {"kubernetes": {"replicas": 2, "max_replicas": 8}},
    "gpu": {"resources": {"gpu": 1, "cpu": 4.0, "memory_mib": 8192}},
}

HEX = "cd" * 32
FETCHED = Fetched((WeightsFile("model.safetensors", f"sha256:{HEX}", 40 << 30, "weights"),), ())
FETCHING = Fetching(FETCHED, "s3://weights", "https://10.0.8.1:8443", has_ca=True, secret={"keys": "a:b"})
ON_NODES = Cluster(weights_cache="/var/cache/sacristy")


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


@pytest.mark.parametrize("cluster", [Cluster(), ON_NODES], ids=["pods fetch", "nodes keep"])
def test_what_fetches_its_weights_is_within_the_policy_too(cluster):
    work = workload(fetching=FETCHING, cluster=cluster)
    documents = [*manifests(work), candidate(work, "news-1a2b3c4d", 60)]
    assert [breach for each in documents for breach in breaches(each, node_cache=cluster.weights_cache)] == []


def test_only_what_fetches_has_the_keys_and_may_write_to_the_cache():
    pod = pod_of(workload(fetching=FETCHING, cluster=ON_NODES))
    (fetches,), (serves,) = pod["initContainers"], pod["containers"]
    assert fetches["image"] == serves["image"]
    assert {mount["name"] for mount in fetches["volumeMounts"]} == {"weights", "store"}
    mounts = [mount for mount in serves["volumeMounts"] if mount["name"] in ("weights", "store")]
    place = {"mountPath": "/app/weights/model.safetensors", "subPath": HEX, "readOnly": True}
    assert mounts == [{"name": "weights"} | place]


def test_a_cache_is_of_the_pod_unless_the_nodes_have_one():
    volumes = [pod_of(workload(fetching=FETCHING, cluster=each))["volumes"] for each in (Cluster(), ON_NODES)]
    own, kept = (next(each for each in found if each["name"] == "weights") for found in volumes)
    assert own["emptyDir"] == {"sizeLimit": f"{40 * 1024 + 64}Mi"}
    assert kept["hostPath"]["path"] == "/var/cache/sacristy"


def test_only_pods_that_fetch_may_reach_the_store_and_only_its_port():
    policy = manifests(workload(fetching=FETCHING))[2]
    assert policy["spec"]["podSelector"]["matchLabels"]["dev.sacristy.weights"] == "ceph"
    (rule,) = policy["spec"]["egress"]
    assert rule["to"] == [{"ipBlock": {"cidr": "10.0.8.1/32"}}]
    assert rule["ports"] == [{"port": 8443, "protocol": "TCP"}]
    labels = of_kind(manifests(workload()), "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert "dev.sacristy.weights" not in labels
    assert len([each for each in manifests(workload()) if each["kind"] == "NetworkPolicy"]) == 1


def test_a_store_with_a_name_may_be_asked_for_its_address():
    named = replace(FETCHING, endpoint="https://s3.example.org")
    said = [workload(fetching=named, cluster=Cluster(store_addresses=given)) for given in ("", "10.0.8.0/24")]
    egress = [manifests(work)[2]["spec"]["egress"] for work in said]
    assert [rules[0]["to"][0]["ipBlock"]["cidr"] for rules in egress] == ["0.0.0.0/0", "10.0.8.0/24"]
    assert [rules[0]["ports"][0]["port"] for rules in egress] == [443, 443]
    assert {port["port"] for port in egress[0][1]["ports"]} == {53}


def test_a_rollout_waits_for_what_is_fetched():
    spec = of_kind(manifests(workload(fetching=FETCHING)), "Deployment")["spec"]
    assert spec["progressDeadlineSeconds"] == 110 + (40 << 30) // (16 << 20)


def test_the_stores_keys_are_in_its_secret_alone():
    work = workload(fetching=FETCHING)
    assert secret(work, FETCHING)["data"] == {"keys": "YTpi"}
    assert "YTpi" not in as_yaml(manifests(work))
    assert "a:b" not in as_yaml(manifests(work)) + repr(FETCHING)


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
