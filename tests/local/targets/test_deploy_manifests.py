"""deploy/kubernetes: valid on current clusters, within the policy, and a site's overlay names every image by digest."""

from pathlib import Path

import pytest
import yaml
from cluster_policy import breaches, invalid, pod_of

ROOT = Path(__file__).parents[3] / "deploy" / "kubernetes"
BASE = yaml.safe_load((ROOT / "base" / "kustomization.yaml").read_text())["resources"]
OVERLAYS = sorted(path.parent.name for path in ROOT.glob("overlays/*/kustomization.yaml"))
STAGES = {"sacristy-staging", "sacristy-production", "sacristy-trials"}


def documents(*names):
    return [each for name in names for each in yaml.safe_load_all((ROOT / "base" / name).read_text())]


def images_of(overlay):
    """Return what an overlay makes of each image's name."""
    found = yaml.safe_load((ROOT / "overlays" / overlay / "kustomization.yaml").read_text())["images"]
    return {each["name"]: f"{each['newName']}@{each['digest']}" for each in found}


def pinned(document, images):
    for container in (pod_of(document) or {}).get("containers", []):
        container["image"] = images[container["image"]]
    return document


def test_every_file_is_named():
    assert sorted(BASE) == sorted(path.name for path in (ROOT / "base").glob("*.yaml") if path.stem != "kustomization")


@pytest.mark.parametrize("name", BASE)
def test_a_file_is_valid_on_two_current_versions(name):
    assert invalid(documents(name)) == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_with_a_sites_images_all_of_it_is_within_the_policy(overlay):
    made = [pinned(document, images_of(overlay)) for document in documents(*BASE)]
    assert [breach for document in made for breach in breaches(document)] == []


def test_the_operator_has_rights_in_its_namespaces_alone_and_never_on_everything():
    found = documents(*BASE)
    assert not [each for each in found if each["kind"].startswith("Cluster")]
    roles = [each for each in found if each["kind"] == "Role"]
    assert {each["metadata"]["namespace"] for each in roles} == STAGES | {"sacristy"}
    rules = [rule for role in roles for rule in role["rules"]]
    assert not [rule for rule in rules if "*" in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]]
    readable = [rule for rule in rules if "secrets" in rule["resources"] and {"get", "list"} & set(rule["verbs"])]
    assert {tuple(rule["resourceNames"]) for rule in readable} == {("sacristy-registry", "sacristy-weights")}


def test_only_the_operator_has_a_token():
    pods = {each["metadata"]["name"]: pod_of(each) for each in documents(*BASE) if pod_of(each)}
    assert [name for name, pod in pods.items() if pod["automountServiceAccountToken"]] == ["sacristy-operator"]
