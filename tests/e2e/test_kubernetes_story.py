"""On a real cluster, pulled from a real registry: first deploy, rollout and rollback under load, repair, a GPU pool."""

import time

import pytest
import yaml
from cluster_policy import pod_of
from lampshop import number
from story import ROOT

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(600)]
GPU = (("cpu = 1.0", "cpu = 1.0\ngpu = 1"), ("replicas = 2", "replicas = 1"))
NO_GPU = tuple((after, before) for before, after in GPU)
FALLBACK = ("gpu = 1", "gpu = 1\ncpu_fallback = true")


@pytest.fixture(scope="module")
def served(shop):
    """The first version is in production."""
    shop.bring(shop.versions[0])
    return shop


def test_a_stage_is_as_many_replicas_as_its_model_says(served):
    state = served.state()
    assert (state["ready"], state["target"]) == (True, "kubernetes")
    assert state["detail"] == "2 of 2 replicas ready"
    assert served.answer()["version"] == number(served.versions[0])


def test_what_runs_is_what_was_promoted_and_may_do_nothing_else(served):
    pods, digest = served.staying(), served.state()["digest"]  # one that served before may be about to end
    assert [pod["spec"]["containers"][0]["image"].endswith(f"/lamp@{digest}") for pod in pods] == [True, True]
    assert served.rig.kubectl("--namespace", "sacristy-trials", "get", "pods", "--output", "name") == ""
    code = "import os; print(os.getuid(), open('/proc/self/status').read().split('CapEff:')[1].split()[0])"
    name = pods[0]["metadata"]["name"]
    said = served.rig.kubectl("--namespace", "sacristy-production", "exec", name, "--", "python", "-c", code)
    assert said.split() == ["65532", "0" * 16]


@pytest.mark.parametrize(
    ("verb", "what", "namespace", "allowed"),
    [
        ("create", "deployments", "sacristy-production", "yes"),
        ("list", "secrets", "sacristy-production", "no"),
        ("create", "pods --subresource=exec", "sacristy-production", "no"),
        ("create", "pods --subresource=exec", "sacristy-trials", "yes"),
        ("get", "secrets", "kube-system", "no"),
        ("create", "namespaces", "default", "no"),
    ],
)
def test_all_of_it_is_done_with_the_rights_of_the_operators_role(served, verb, what, namespace, allowed):
    own = ("--kubeconfig", served.clone.environment["SACRISTY_CLUSTER__KUBECONFIG"])
    said = served.rig.kubectl(*own, "--namespace", namespace, "auth", "can-i", verb, *what.split(), check=False)
    assert said.strip() == allowed


def test_a_sites_overlay_has_every_image_by_digest(served):
    made = list(yaml.safe_load_all(served.rig.kubectl("kustomize", ROOT / "deploy/kubernetes/overlays/site")))
    pods = [pod_of(document) for document in made if pod_of(document)]
    assert len(pods) == 5
    assert all("@sha256:" in container["image"] for pod in pods for container in pod["containers"])


def test_what_is_printed_for_gitops_is_what_runs(served):
    text = served.clone.run("manifests", "lamp", "--stage", "production")[0]
    assert served.rig.kubectl("diff", "--filename", "-", text_in=text.replace("policy/v1", "policy/v1beta1")) == ""


def test_a_rollout_and_a_rollback_lose_no_request(served):
    first, second = map(number, served.versions)
    with served.load() as load:
        served.bring(served.versions[1])
        assert served.answer()["version"] == second
        served.clone.run("rollback", "lamp", "production", "--why", "a story")
    assert load.failures == []
    assert {load.versions[0], load.versions[-1]} == {first}
    assert second in load.versions


def test_what_was_changed_by_hand_is_put_right(served):
    kubectl, here = served.rig.kubectl, ("--namespace", "sacristy-production")
    kubectl(*here, "delete", "poddisruptionbudget,service", "lamp")
    kubectl(*here, "set", "env", "deployment/lamp", "WHO=me")
    kubectl(*here, "scale", "deployment/lamp", "--replicas", "1")
    assert served.operated() == [("repair", "done")]
    assert served.state()["detail"] == "2 of 2 replicas ready"
    assert served.operated() == []
    assert "WHO" not in kubectl(*here, "get", "deployment", "lamp", "--output", "yaml")


def test_what_was_deleted_by_hand_is_there_again(served):
    served.rig.kubectl("--namespace", "sacristy-production", "delete", "deployment", "lamp")
    assert [result for _, result in served.operated()] == ["done"]
    assert served.answer()["version"] == number(served.versions[0])


def test_a_model_with_a_gpu_runs_on_the_pool_and_a_full_pool_is_told(served):
    served.toml(*GPU)
    try:
        served.bring(served.versions[0], "staging")
        (pod,) = served.staying("sacristy-staging")
        assert pod["spec"]["nodeName"] == "lab2"
        served.rig.kubectl("--namespace", "sacristy-staging", "scale", "deployment/lamp", "--replicas", "2")
        until(lambda: "Insufficient nvidia.com/gpu" in served.state("staging")["detail"])
        assert served.state("staging")["detail"].startswith("1 of 2 replicas ready; no node has room")
        served.promote(served.versions[1], "staging")
        said = served.deploy("staging", code=1)[1].splitlines()[-1]
        assert "Insufficient nvidia.com/gpu" in said
        assert served.answer("staging")["version"] == number(served.versions[0])
    finally:
        served.toml(*NO_GPU)


def test_where_it_may_it_does_without(served):
    served.toml(*GPU, FALLBACK)
    try:
        served.deploy("staging")
        until(lambda: served.answer("staging")["version"] == number(served.versions[1]))  # one that leaves may answer
        (pod,) = served.staying("sacristy-staging")
        limits = pod["spec"]["containers"][0]["resources"]["limits"]
        assert "nvidia.com/gpu" not in limits
    finally:
        served.toml(tuple(reversed(FALLBACK)), *NO_GPU)


def until(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(1.0)  # what is asked is a command, half a second of a processor
