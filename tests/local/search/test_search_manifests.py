"""deploy/kubernetes/ray. KubeRay's own schemas are not at hand: its pods are checked as pods, and the rest by hand."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from cluster_policy import breaches, invalid

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "kubernetes" / "ray"
CLUSTER = yaml.safe_load((FOLDER / "raycluster.yaml").read_text())
JOB = yaml.safe_load((FOLDER / "search.yaml").read_text())
PLACE = list(yaml.safe_load_all((FOLDER / "place.yaml").read_text()))
SITE = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
GROUPS = {"head": CLUSTER["spec"]["headGroupSpec"]} | {g["groupName"]: g for g in CLUSTER["spec"]["workerGroupSpecs"]}
IMAGE = "registry.example.org/search@sha256:" + "0" * 63 + "4"


def pod(group):
    """Return a group's pod as one of Kubernetes' own kinds, with a site's image."""
    spec = json.loads(json.dumps(GROUPS[group]["template"]["spec"]))
    spec["containers"][0]["image"] = IMAGE
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": group}, "spec": spec}


@pytest.mark.parametrize("group", GROUPS)
def test_the_pods_of_ray_are_valid_and_within_the_policy(group):
    assert invalid([pod(group)]) == []
    assert breaches(pod(group)) == []


def test_the_job_and_its_place_are_valid_and_within_the_policy():
    JOB["spec"]["template"]["spec"]["containers"][0]["image"] = IMAGE
    assert invalid([JOB, *PLACE]) == []
    assert breaches(JOB) == []


def test_ray_on_the_cluster_is_the_one_that_is_locked():
    lock = json.loads((ROOT / "deploy" / "search" / "Pipfile.lock").read_text())
    assert CLUSTER["spec"]["rayVersion"] == lock["default"]["ray"]["version"].removeprefix("==")


def test_the_cluster_wants_a_token_and_the_job_brings_it():
    assert CLUSTER["spec"]["authOptions"] == {"mode": "token"}
    (token,) = JOB["spec"]["template"]["spec"]["containers"][0]["env"]
    assert token["valueFrom"]["secretKeyRef"] == {"name": CLUSTER["metadata"]["name"], "key": "auth_token"}


def test_the_job_drives_this_cluster_and_the_head_trains_nothing():
    command = JOB["spec"]["template"]["spec"]["containers"][0]["command"]
    client = GROUPS["head"]["rayStartParams"]["ray-client-server-port"]
    assert f"ray://{CLUSTER['metadata']['name']}-head-svc:{client}" in command
    assert GROUPS["head"]["rayStartParams"]["num-cpus"] == "0"


def test_the_pool_of_devices_is_asked_for_by_label_and_taint():
    spec = GROUPS["devices"]["template"]["spec"]
    assert spec["nodeSelector"] == {"pool": "ml"}
    assert [(each["key"], each["value"]) for each in spec["tolerations"]] == [("purpose", "ml")]
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1


def test_a_site_names_its_image_by_digest_wherever_it_stands():
    assert [f"{image['newName']}@{image['digest']}" for image in SITE["images"]] == [IMAGE]
    paths = yaml.safe_load((FOLDER / "images.yaml").read_text())["images"]
    assert len([path for path in paths if path["kind"] == "RayCluster"]) == 3
    assert sorted(SITE["resources"]) == ["place.yaml", "raycluster.yaml", "search.yaml"]


def test_rays_environment_names_no_registry_of_packages():
    lock = (ROOT / "deploy" / "search" / "Pipfile.lock").read_text()
    assert json.loads(lock)["_meta"]["sources"] == []
    assert "ray" not in tomllib.loads((ROOT / "Pipfile").read_text())["packages"]
