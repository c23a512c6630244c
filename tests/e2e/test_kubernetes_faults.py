"""On a real cluster: what does not come up harms nobody, and its cause is one line away."""

import json

import pytest
from e2e.test_broken_deploy import FRAGILE, Switch
from lampshop import number
from rig import NODE

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(600)]
SHORT = ("ready_s = 40.0", "ready_s = 8.0")


@pytest.fixture(scope="module")
def switch(shop):
    made = Switch(NODE)
    yield made
    made.close()


@pytest.fixture(scope="module")
def broken(shop, switch):
    """The first version serves; another, which breaks where it is deployed, passed its test and was promoted."""
    shop.bring(shop.versions[0])
    serve = (shop.clone.folder / "models/lamp/serve.py").read_text()
    shop.clone.commit("models/lamp/serve.py", serve + FRAGILE.format(url=switch.url).replace("Digits", "Lamp"))
    name = shop.judged(shop.made())
    shop.promote(name)
    yield shop, switch, name
    shop.bring(shop.versions[0])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("crash", "the lamp oil ran out"),
        ("never ready", "was not ready after 8"),
        ("wrong", "ready but wrong"),
    ],
)
def test_the_good_version_answers_throughout_and_the_cause_is_printed(broken, fault, said):
    shop, switch, _ = broken
    switch.fault = fault
    if fault == "never ready":
        shop.toml(SHORT)
    try:
        with shop.load() as load:
            told = shop.deploy(code=1)[1]
    finally:
        if fault == "never ready":
            shop.toml(tuple(reversed(SHORT)))
    assert said in told
    assert f"{shop.versions[0]} still answers" in told
    assert "Traceback" not in told.splitlines()[-1]
    assert load.failures == []
    assert set(load.versions) == {number(shop.versions[0])}
    assert len(shop.staying()) == 2


def test_mended_it_replaces_the_good_one_without_a_failed_request(broken):
    shop, switch, name = broken
    switch.fault = ""
    with shop.load() as load:
        shop.deploy()
    assert load.failures == []
    assert load.versions[-1] == number(name)


def refused(shop, stage="staging", **environment):
    """Deploy, which must fail; return the last line it printed."""
    kept = shop.clone.environment
    shop.clone.environment = kept | environment
    try:
        told = shop.deploy(stage, code=1)[1]
    finally:
        shop.clone.environment = kept
    assert "Traceback" not in told
    return told.splitlines()[-1]


@pytest.fixture
def waiting(shop):
    """Staging points at a version that does not run there."""
    shop.rig.kubectl("--namespace", "sacristy-staging", "delete", "deployment", "lamp", "--ignore-not-found")
    if shop.clone.json("status")["models"]["lamp"].get("staging", {}).get("version") != number(shop.versions[1]):
        shop.promote(shop.versions[1], "staging")
    return shop


def test_an_image_that_cannot_be_pulled_is_one_line_with_its_cause(waiting):
    said = refused(waiting, SACRISTY_CLUSTER__REGISTRY="127.0.0.1:1")
    assert "its image cannot be pulled" in said
    assert "connection refused" in said


def test_a_cluster_that_is_away_is_one_line(waiting, tmp_path):
    said = refused(waiting, SACRISTY_CLUSTER__KUBECONFIG=str(elsewhere(waiting, tmp_path)))
    assert "the Kubernetes API at https://127.0.0.1:1 does not answer" in said
    assert "SACRISTY_CLUSTER__KUBECONFIG" in refused(waiting, SACRISTY_CLUSTER__KUBECONFIG=str(tmp_path / "none"))


def test_a_namespace_that_is_missing_is_one_line(waiting):
    assert "has no namespace nowhere-staging" in refused(
        waiting, SACRISTY_CLUSTER__NAMESPACE="nowhere", SACRISTY_CLUSTER__KUBECONFIG=str(waiting.rig.kubeconfig)
    )


def test_a_pod_for_which_no_node_has_room_is_one_line(waiting):
    waiting.toml(("memory_mib = 384", "memory_mib = 3840000"))
    try:
        assert "Insufficient memory" in refused(waiting)
    finally:
        waiting.toml(("memory_mib = 3840000", "memory_mib = 384"))


def test_a_quota_that_is_used_up_is_one_line(waiting):
    here = ("--namespace", "sacristy-staging")
    waiting.rig.kubectl(*here, "create", "quota", "small", "--hard=pods=0")
    try:
        assert "the quota of the namespace is used up" in refused(waiting)
    finally:
        waiting.rig.kubectl(*here, "delete", "quota", "small")


def test_a_secret_is_in_the_cluster_only_where_it_is_needed(shop):
    found = shop.rig.get("--all-namespaces", "secrets")["items"]
    ours = [each for each in found if each["metadata"]["name"] == "sacristy-registry"]
    assert {each["type"] for each in ours} == {"kubernetes.io/dockerconfigjson"}
    text = json.dumps(shop.rig.get("--all-namespaces", "deployments,services,pods"))
    assert shop.server.password not in text
    assert shop.server.password not in shop.clone.run("manifests", "lamp")[0]


def elsewhere(shop, folder):
    """Return a kubeconfig that leads nowhere."""
    path = folder / "kubeconfig"
    path.write_text(shop.rig.kubeconfig.read_text().replace("https://10.250.0.1:18443", "https://127.0.0.1:1"))
    return path
