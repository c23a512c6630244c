"""The composed stack, for real: started, looked at, used from outside through its one door, killed, restored.

All of it is told twice: where the images are built (marker `compose`), and where they came in a bundle to a host that
reaches nobody (marker `bundle`).
"""

import json
import re
import shutil

import pytest
import yaml
from carried import Carried
from composed import CANARY, MODEL, NAME, Asking, Composed, open_ports, until
from engine import BASE
from playwright.sync_api import Error as PlaywrightError
from services.gateway.browsing import launched
from story import ROOT
from urllib3.exceptions import HTTPError

STACKS = [
    pytest.param(Composed, marks=pytest.mark.compose, id="built"),
    pytest.param(Carried, marks=pytest.mark.bundle, id="carried"),
]
pytestmark = [pytest.mark.parametrize("stack", STACKS, indirect=True), pytest.mark.timeout(1800)]  # images come first
RUNS = "/sacristy/api/v1/Runs"
PREVIEW = "/sacristy/api/v1/files/preview/0123456789abcdef01234567"
KILLED = ["mongodb", "store", "registry", "omniboard", "operator", "engine", "keeper", "prometheus", "rabbitmq"]
ENDS = "prepare"  # it ends when its work is done


@pytest.fixture(scope="module")
def released(stack):
    """A model, trained, built, judged, pushed and promoted from an engineer's checkout; deployed by the operator."""
    ops = stack.ops
    ops.run("init")
    ops.run("up")
    ops.run("train", MODEL)
    ops.run("env", "build", MODEL, timeout=600)
    stack.built = ops.json("build", MODEL)
    stack.verdict = ops.json("test", MODEL)
    ops.run("push", MODEL)
    stack.version = f"{MODEL}:{stack.built['version']}"
    ops.run("promote", stack.version, "staging", "--why", "the first")
    ops.run("promote", stack.version, "production", "--why", "the first")
    until(lambda: stack.predict().status == 200, 120, "the operator did not deploy")
    yield stack
    ops.run("down")


def test_every_service_is_healthy_and_a_second_up_changes_nothing(stack):
    assert all(state["ready"] for state in stack.first.values())
    before = {name: each["Id"] for name, each in stack.containers().items() if name != ENDS}
    stack.site.run("up", "--compose")
    assert {name: each["Id"] for name, each in stack.containers().items() if name != ENDS} == before


def test_what_init_made_is_private_and_stays(stack):
    files = [path for path in (stack.compose / "secrets").iterdir() if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    stack.site.run("init", "--compose", "--name", "another.test")
    assert {path: path.read_bytes() for path in files} == before
    assert {path.stat().st_mode & 0o077 for path in [*files, stack.compose / ".env"]} == {0}


@pytest.mark.parametrize("site", ["omniboard", "registry", "jenkins"])
def test_without_a_login_nothing_is_shown(stack, site):
    assert stack.ask("GET", site, {"registry": "/v2/", "omniboard": "/sacristy"}.get(site, "/")).status == 401


def test_the_gateway_asks_for_a_token(stack):
    assert stack.ask("GET", "", "/health").status == 200
    assert stack.ask("POST", "", f"/models/{MODEL}/predict").status == 401
    assert stack.ask("GET", "", "/metrics").status == 403


@pytest.mark.parametrize("who", ["scientist", "ops"])
def test_omniboard_is_shown_and_takes_no_delete_from_anybody(stack, who):
    assert b"<div id=" in stack.ask("GET", "omniboard", "/sacristy", who).data
    assert stack.ask("GET", "omniboard", RUNS, who).status == 200
    for method in ("DELETE", "PATCH", "OPTIONS"):
        assert stack.ask(method, "omniboard", f"{RUNS}/1", who).status == 403


def test_omniboards_previews_are_sandboxed_and_other_sites_get_nothing(stack):
    preview = stack.ask("GET", "omniboard", PREVIEW, "scientist")
    assert preview.status == 404  # as published, the server would have ended
    assert preview.headers["Content-Security-Policy"].startswith("sandbox")
    own = stack.ask("GET", "omniboard", RUNS, "scientist", Origin=f"https://omniboard.{NAME}")
    assert own.status == 200
    assert [name for name in own.headers if name.lower().startswith("access-control-")] == []
    assert stack.ask("GET", "omniboard", RUNS, "scientist", Origin="https://evil.example").status == 403


def test_only_ops_sees_operations_moves_stages_and_deletes(stack):
    manifest = "/v2/digits/manifests/"
    assert stack.ask("GET", "prometheus", "/", "scientist").status == 403
    assert stack.ask("GET", "prometheus", "/-/ready", "ops").status == 200
    assert stack.ask("GET", "jenkins", "/", "ops").status == 502  # allowed, and not started
    assert stack.ask("PUT", "registry", manifest + "production", "scientist").status == 403
    assert stack.ask("DELETE", "registry", manifest + "42", "scientist").status == 403
    assert stack.ask("PUT", "registry", manifest + "42", "scientist").status == 400  # allowed, and no manifest
    assert stack.ask("PUT", "registry", manifest + "production", "ops").status == 400


def test_rabbitmq_takes_its_own_account_over_tls_and_no_guest(stack):
    assert stack.amqp_login("sacristy", stack.secret("rabbitmq-password")) == "welcome"
    assert stack.amqp_login("guest", "guest") == "refused"
    assert stack.amqp_login("sacristy", CANARY) == "refused"
    listening = stack.ask("GET", "rabbitmq", "/api/overview", "ops").json()["listeners"]
    assert {each["protocol"]: each["port"] for each in listening if "amqp" in each["protocol"]} == {"amqp/ssl": 5671}
    assert stack.ask("GET", "rabbitmq", "/api/aliveness-test/%2F", "ops").json() == {"status": "ok"}
    assert stack.ask("GET", "rabbitmq", "/api/overview", "scientist").status == 403


def test_a_profile_more_is_started_beside_what_runs(stack):
    before = {name: each["Id"] for name, each in stack.containers().items() if name != ENDS}
    states = stack.site.json("up", "--compose", "--profile", "monitoring")
    assert states["prometheus"]["ready"]
    assert states["rabbitmq"]["ready"]
    assert {name: each["Id"] for name, each in stack.containers().items() if name != ENDS} == before


def test_a_bundle_would_carry_every_image(stack, tmp_path):
    wanted = stack.site.json("bundle", "make", str(tmp_path / "bundle"), "--dry-run", "--model", MODEL)
    used = {each["Config"]["Image"] for each in stack.containers().values()}
    assert wanted["images"].keys() == {*used, BASE}
    assert all(size > 1 << 20 for size in wanted["images"].values())
    assert not (tmp_path / "bundle").exists()


def test_the_host_has_one_open_port(stack):
    assert open_ports(stack.host.address) == [443]


def test_the_operators_engine_starts_models_and_nothing_else(stack):
    name = stack.containers()["operator"]["Name"].removeprefix("/")
    image = stack.containers()["gateway"]["Config"]["Image"]
    mongodb = stack.containers()["mongodb"]["Name"].removeprefix("/")
    for words in (
        ("run", "--privileged", image),
        ("run", "--volume", "/:/host", image),
        ("ps", "--all"),
        ("tag", image, "sacristy/models/digits:1-000000000000"),
        ("inspect", mongodb),
        ("stop", mongodb),
        ("exec", mongodb, "id"),
        ("volume", "ls"),
        ("network", "ls"),
    ):
        said = stack.engine.docker("exec", name, "sh", "-c", 'docker "$@" 2>&1 || true', "sh", *words)
        assert "not" in said, (words, said)
        assert stack.containers()["mongodb"]["State"]["Running"]


def test_from_a_checkout_outside_a_model_is_trained_judged_promoted_and_answers(released):
    assert released.verdict["passed"]
    answer = released.predict().json()
    assert (answer["model"], answer["version"]) == (MODEL, str(released.built["version"]))
    assert answer["digest"] == released.built["digest"]
    until(lambda: released.site.json("doctor", "--compose") == [], 120, "something is wrong from the start")


def test_a_checkout_outside_is_told_what_runs(released):
    found = released.ops.json("status")
    production = found["models"][MODEL]["production"]
    assert (production["ready"], production["running"]) == (True, str(released.built["version"]))
    assert production["url"] == f"https://{NAME}/models/{MODEL}/predict"
    assert found["services"]["gateway"]["ready"]


def test_prometheus_reads_gateway_operator_and_every_model_server(released):
    def asked():
        active = released.measured("targets?state=active")["activeTargets"]
        return {each["labels"]["job"] for each in active if each["health"] == "up"}

    until(lambda: asked() == {"prometheus", "gateway", "operator", "models"}, 90, "not everything is read")
    (answer,) = released.measured("query?query=sacristy_model")["result"][:1]
    assert answer["metric"]["digest"] == released.built["digest"]


def test_what_alerts_and_dashboards_ask_for_is_really_measured(released):
    asked = {name for text in expressions() for name in re.findall(r"\bsacristy_[a-z_]+", text)}
    until(lambda: asked <= set(released.measured("label/__name__/values")), 90, f"not all of {sorted(asked)} is there")
    rules = [rule for group in released.measured("rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []


def visit(page, url):
    """Open a page. Chromium gives up when an interface of this machine comes or goes, as with containers."""
    for _ in range(5):
        try:
            return page.goto(url)
        except PlaywrightError as error:
            if "ERR_NETWORK_CHANGED" not in str(error):
                raise
    return page.goto(url)


def test_omniboard_draws_the_runs_in_a_browser(released, tmp_path):
    if not shutil.which("chromium"):
        pytest.skip("chromium is not installed")
    login = {"username": "scientist", "password": CANARY}
    rules = [f"--host-resolver-rules=MAP *.{NAME} {released.host.address}", "--no-proxy-server"]
    with launched(*rules) as browser, browser.new_context(http_credentials=login, ignore_https_errors=True) as context:
        page = context.new_page()
        visit(page, f"https://omniboard.{NAME}/sacristy")
        page.wait_for_selector(f"text={MODEL}", timeout=120_000)
        picture = tmp_path / "omniboard.png"
        until(lambda: len(page.screenshot(path=str(picture))) > 10_000)  # on a busy machine it is drawn more than once


def expressions():
    """Return every expression of the dashboards, and of the alerts of this stack and of the cluster."""
    for path in (ROOT / "compose" / "grafana" / "dashboards").glob("*.json"):
        yield from (target["expr"] for panel in json.loads(path.read_text())["panels"] for target in panel["targets"])
    cluster = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "base" / "rules.yaml").read_text())
    for text in ((ROOT / "compose" / "prometheus" / "rules.yml").read_text(), cluster["data"]["sacristy.yaml"]):
        yield from (rule["expr"] for group in yaml.safe_load(text)["groups"] for rule in group["rules"])


def test_a_run_that_is_tagged_for_release_waits_for_jenkins(released):
    """Jenkins cannot be had here; what stands between Omniboard and it can."""
    run = str(released.built["version"])  # a version is its run's number

    def tag(*tags):
        said = {"omniboard": {"tags": tags}}
        assert released.ask("PUT", "omniboard", f"{RUNS}/{run}", "scientist", said).status == 200

    def state():
        return released.ops.json("show", run)["sacristy"].get("release", {}).get("state")

    released.start_alone("watcher", "ci")
    try:
        tag("release")
        until(lambda: state() == "checking", 60, "the watcher did not look at a tagged run")
        name = released.containers()["watcher"]["Id"]
        until(lambda: "http://jenkins:8080" in released.engine.logs(name), 60, "it did not ask Jenkins")
        tag()
        until(lambda: state() == "withdrawn", 90, "the watcher did not see that the tag was taken away")
    finally:
        released.engine.docker("rm", "--force", "--volumes", released.containers()["watcher"]["Id"])


def test_no_secret_is_found_where_it_should_not_be(released):
    docker = released.engine.docker
    secrets = {released.secret(path.name) for path in (released.compose / "secrets").iterdir()}
    words = {secret.splitlines()[1] if secret.startswith("-----BEGIN") else secret for secret in secrets} | {CANARY}
    ids = docker("ps", "--all", "--quiet").split()
    texts = [docker("inspect", *ids), *(docker("top", each, "-ef", check=False) for each in ids)]
    texts += [released.engine.logs(each) for each in ids]
    images = set(docker("images", "--quiet").split())
    texts += [docker("history", "--no-trunc", each) + docker("image", "inspect", each) for each in images]
    assert [word[:6] for word in words for text in texts if word in text] == []


def answered(released):
    """Say whether a prediction is answered; the door itself may be away, or what it leads to."""
    try:
        return released.predict().status == 200
    except HTTPError:
        return False


def test_killed_each_service_comes_back_and_models_keep_answering(released):
    with Asking(released) as asking:
        for service in KILLED:
            released.kill(service)
        until(released.healthy, 180, "not everything became healthy again")
    assert asking.failures == []
    assert len(asking.versions) > 50
    for service in ("gateway", "nginx"):
        released.kill(service)
        until(lambda: answered(released))
    stages = released.ops.json("status")["models"][MODEL]
    assert {stage["digest"] for stage in stages.values()} == {released.built["digest"]}
    assert released.ops.json("weights", "verify")["missing"] == []


def test_the_doctor_names_what_is_wrong_and_its_mend(released):
    released.engine.docker("stop", released.containers()["registry"]["Id"])
    (released.compose / "secrets" / "htpasswd").chmod(0o644)
    found = json.loads(released.site.run("doctor", "--compose", "--json", code=1)[0])
    for fault in ("registry is not ready", "other users can read"):
        assert any(each["what"].startswith(fault) for each in found), found
    assert all(each["mend"] for each in found)
    (released.compose / "secrets" / "htpasswd").chmod(0o600)
    released.site.run("up", "--compose")
    until(lambda: released.site.json("doctor", "--compose") == [], 120, "an alert does not end")


def logged(released):
    """Return what the trainings logged; what became of the runs since then is told anew."""
    runs = released.ops.json("runs")
    return [(run["_id"], run["config"], run["result"], run["sacristy"]["weights"], run["stop_time"]) for run in runs]


def test_wiped_it_is_restored_from_a_backup_and_verified(released, tmp_path):
    before = logged(released)
    released.ops.run("backup", str(tmp_path / "backup"))
    released.site.run("down", "--compose")
    assert released.engine.docker("ps", "--quiet") == ""
    released.engine.docker("volume", "rm", "sacristy_mongodb", "sacristy_store")
    released.site.run("up", "--compose")
    (released.ops.home / "secrets" / "mongodb-admin").write_text(released.secret("mongodb-admin"))  # a restore needs it
    restored = released.ops.json("restore", str(tmp_path / "backup"))
    assert restored["verified"]["missing"] == []
    assert logged(released) == before
    until(lambda: answered(released), 120, "the operator did not bring the stage back")
