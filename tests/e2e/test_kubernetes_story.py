"""On a real cluster, pulled from a real registry: first deploy, rollout and rollback under load, and what can fail."""

import pytest

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def versions(shop):
    """Two versions, judged as pods; the first is in production."""
    found = [shop.version(f"sharpness={sharpness}") for sharpness in (1.0, 1.5)]
    shop.promote(found[0])
    shop.deploy()
    return found


def test_a_stage_is_as_many_replicas_as_its_model_says(shop, versions):
    state = shop.state()
    assert (state["ready"], state["target"]) == (True, "kubernetes")
    assert state["detail"] == "2 of 2 replicas ready"
    assert shop.answer()["version"] == versions[0].partition(":")[2]


def test_what_runs_is_what_was_promoted_and_may_do_nothing_else(shop, versions):
    pods = shop.pods()
    digest = shop.state()["digest"]
    assert [pod["spec"]["containers"][0]["image"].endswith(f"/lamp@{digest}") for pod in pods] == [True, True]
    assert shop.rig.kubectl("--namespace", "sacristy-trials", "get", "pods", "--output", "name") == ""
    name = pods[0]["metadata"]["name"]
    code = "import os; print(os.getuid(), open('/proc/self/status').read().split('CapEff:')[1].split()[0])"
    said = shop.rig.kubectl("--namespace", "sacristy-production", "exec", name, "--", "python", "-c", code)
    assert said.split() == ["65532", "0" * 16]


def test_a_rollout_and_a_rollback_lose_no_request(shop, versions):
    first, second = (name.partition(":")[2] for name in versions)
    with shop.load() as load:
        shop.promote(versions[1])
        shop.deploy()
        assert shop.answer()["version"] == second
        shop.clone.run("rollback", "lamp", "production", "--why", "a story")
    assert load.failures == []
    assert {load.versions[0], load.versions[-1]} == {first}
    assert second in load.versions
