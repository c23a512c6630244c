"""Against a real controller, given by JENKINS_URL, JENKINS_USER and JENKINS_TOKEN: all that `sacristy jenkins` does.

The controller is taken as it is: the plugins of jenkins/plugins.txt, a user who may do all, and somewhere to build: the
label in JENKINS_AGENT, else its built-in node if that has executors, else any other node. That node has git and a
shell, and reaches this machine's loopback, where git serves the repository.
The pipelines are this repository's own; `jenkins/sacristy` is replaced by one that prints what it was asked, since a
plain controller has no MongoDB, registry or Python of ours.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest
from services.conftest import mongod, mongod_program  # noqa: F401 - the fixtures
from story import ROOT, SACRISTY, Clone

from sacristy.automation.client import Client
from sacristy.automation.watcher import Watcher
from sacristy.errors import JenkinsItemMissing
from sacristy.settings import Role, Settings
from sacristy.weights.store import open_store

GIVEN = ("JENKINS_URL", "JENKINS_USER", "JENKINS_TOKEN")
MISSING = [name for name in GIVEN if not os.environ.get(name)]
pytestmark = [
    pytest.mark.jenkins,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(MISSING), reason=f"{(MISSING or GIVEN)[0]} is not set: there is no controller to ask"),
]

MODEL = 'title = "{name}"\n[gates]\nmetric = "accuracy"\nminimum = 0.9\n[jenkins]\npoll = ""\n'
DIGEST = f"sha256:{'a' * 64}"
PRINTER = f"""#!/bin/sh
printf '[%s]' "$@" >&2
echo >&2
report() {{
  mkdir -p "$1"
  echo '<testsuite name="s" tests="1"><testcase name="a" classname="b"/></testsuite>' > "$1/report.xml"
}}
case "$1" in
  changed) echo '{{"changed": true, "lock": false}}' ;;
  train) echo '{{"_id": 41}}' ;;
  build) echo '{{"model": "digits", "version": "41", "digest": "{DIGEST}"}}' ;;
  check) report reports ;;
  test) report acceptance ;;
  dossier)
    mkdir -p dossier
    echo 'digits:7 -> digits:41' > dossier/comparison.txt
    echo '{{"model": "digits", "version": "41", "digest": "{DIGEST}"}}' > dossier/image.json
    echo '{{}}' > dossier/sbom.json ;;
esac
"""
OWN = """pipeline {
    agent { label "${params.AGENT}" }
    parameters {
        string(name: 'DEPTH', defaultValue: '3', description: 'learned from the Jenkinsfile')
    }
    stages {
        stage('work') {
            steps {
                sh 'echo "run=[$RUN] depth=[$DEPTH]"; printf %s "$WHY" | wc -c'
                sh 'i=0; while [ $i -lt 5 ]; do echo "line $i"; sleep 1; i=$((i+1)); done'
                sh 'case "$WHY" in fail*) exit 1 ;; sleep*) sleep 300 ;; esac'
            }
        }
        stage('approve') {
            when { beforeInput true; expression { params.WHY.startsWith('ask') } }
            input { message 'Go on?'; id 'approve'; parameters { string(name: 'REASON', defaultValue: 'none') } }
            steps { sh 'echo "reason=[$REASON]"' }
        }
    }
}
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository with our pipelines, served on loopback."""
    base = tmp_path_factory.mktemp("served")
    folder = base / "shop"
    for name in ("digits", "news"):
        (folder / "models" / name).mkdir(parents=True)
        (folder / "models" / name / "model.toml").write_text(MODEL.format(name=name))
    (folder / "models" / "news" / "Jenkinsfile").write_text(OWN)
    (folder / "Pipfile").touch()
    shutil.copy(ROOT / "Jenkinsfile", folder)
    (folder / "jenkins").mkdir()
    shutil.copy(ROOT / "jenkins" / "promote.Jenkinsfile", folder / "jenkins")
    (folder / "jenkins" / "sacristy").write_text(PRINTER)
    (folder / "jenkins" / "sacristy").chmod(0o755)
    clone = Clone(folder, base / "home")
    clone.git("init", "--quiet", "-b", "main")
    clone.git("add", ".")
    clone.git("commit", "--quiet", "-m", "a shop")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = ["git", "daemon", f"--base-path={base}", "--export-all", "--listen=127.0.0.1", f"--port={port}", str(base)]
    daemon = subprocess.Popen(argv, start_new_session=True)
    yield SimpleNamespace(clone=clone, url=f"git://127.0.0.1:{port}/shop")
    os.killpg(daemon.pid, 15)
    daemon.wait()


@pytest.fixture(scope="module")
def client():
    return Client(*(os.environ[name] for name in GIVEN), timeout_s=120)


def somewhere_to_build(client):
    """Return the label of a node that builds."""
    if given := os.environ.get("JENKINS_AGENT"):
        return given
    tree = "computer[_class,displayName,offline,numExecutors,assignedLabels[name]]"
    nodes = client.get_json(f"computer/api/json?tree={tree}", "nodes")["computer"]
    able = [node for node in nodes if node["numExecutors"] and not node["offline"] and node["assignedLabels"]]
    own = [node for node in able if "MasterComputer" in node.get("_class", "")]
    assert able, f"no node of {client.url} builds: give it executors, or name a label in JENKINS_AGENT"
    return (own or able)[0]["assignedLabels"][0]["name"]


@pytest.fixture(scope="module")
def shop(repository, client):
    """The shop with a folder of its own on the controller, which is removed at the end."""
    folder = f"sacristy-{secrets.token_hex(4)}"
    repository.clone.environment |= {
        "SACRISTY_JENKINS_URL": os.environ["JENKINS_URL"],
        "SACRISTY_JENKINS_USER": os.environ["JENKINS_USER"],
        "SACRISTY_JENKINS_TOKEN": os.environ["JENKINS_TOKEN"],
        "SACRISTY_JENKINS_FOLDER": folder,
        "SACRISTY_JENKINS_AGENT": somewhere_to_build(client),
        "SACRISTY_REPOSITORY": repository.url,
    }
    try:
        repository.clone.run("jenkins", "sync", "--yes")
        yield SimpleNamespace(clone=repository.clone, folder=folder, url=repository.url, user=client.whoami())
    finally:
        with suppress(JenkinsItemMissing):
            client.post(f"job/{folder}/doDelete", "removing the folder", folder, {})


def sacristy(shop, *words, code=0):
    """Run `sacristy jenkins` with --json; return what it printed and what it said."""
    out, said = shop.clone.run("jenkins", *words, "--json", code=code, timeout=400)
    return json.loads(out) if out else None, said


def until(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(1)
    return found


class Followed:
    """A build that somebody follows in a terminal: `sacristy jenkins build ... --follow`."""

    def __init__(self, shop, job, *words, verb="build"):
        self.shop, self.job = shop, "promote" if verb == "promote" else job
        argv = [str(SACRISTY), "jenkins", verb, job, *words, "--follow"]
        place = {"cwd": shop.clone.folder, "env": shop.clone.environment}
        self.process = subprocess.Popen(argv, **place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate(timeout=30)

    def until(self, condition):
        """Wait until the job's state is as it is wanted, which the build's end makes impossible; return the state."""

        def look():
            assert self.process.poll() is None, self.process.communicate(timeout=30)[0]
            return next((state for state in sacristy(self.shop, "status", self.job)[0] if condition(state)), None)

        return until(look)

    def waits(self):
        return self.until(lambda state: state["waits_for"])

    def ends(self, code):
        """Wait for the end, which has this exit code; return the log."""
        log, _ = self.process.communicate(timeout=300)
        assert self.process.returncode == code, log
        return log


def test_the_controller_finds_no_fault_in_our_pipelines(client):
    for path in (ROOT / "Jenkinsfile", ROOT / "jenkins" / "promote.Jenkinsfile"):
        form = {"jenkinsfile": path.read_text()}
        answer = client.post("pipeline-model-converter/validate", "linting", "linter", form).text
        assert "successfully validated" in answer, answer


def test_a_second_sync_changes_nothing(shop):
    plan, _ = sacristy(shop, "sync", "--dry-run")
    assert (plan["make_folder"], plan["steps"]) == (False, [])


def test_a_build_is_followed_and_ends_with_its_result(shop):
    facts, log = sacristy(shop, "build", "news", "--run", "7", "--follow")
    assert facts["result"] == "SUCCESS"
    assert "run=[7]" in log
    assert [f"line {n}" in log for n in range(5)] == [True] * 5
    _, log = sacristy(shop, "build", "news", "--why", "fail", "--follow", code=1)
    assert "run=[]" in log


def test_what_the_builds_taught_the_jobs_is_kept(shop, client):
    """A first build's shell does not know yet what only the Jenkinsfile declares (JENKINS-41929)."""
    assert "depth=[3]" in sacristy(shop, "build", "news", "--follow")[1]
    assert sacristy(shop, "sync", "--dry-run")[0]["steps"] == []
    shop.clone.commit("models/news/model.toml", MODEL.format(name="other news"))
    (step,) = sacristy(shop, "sync", "--yes")[0]["steps"]
    assert step["verb"] == "change"
    assert "DEPTH" in client.get_xml(f"job/{shop.folder}/job/news/config.xml", "news")
    assert "depth=[3]" in sacristy(shop, "build", "news", "--follow")[1]


def test_the_same_key_starts_one_build(shop):
    first, _ = sacristy(shop, "build", "news", "--key", "once-and-only")
    again, _ = sacristy(shop, "build", "news", "--key", "once-and-only")
    assert (again["build"], again["started_before"]) == (first["build"], True)


def test_a_long_reason_arrives_whole_and_unread_by_a_shell(shop):
    why = "$(touch pwned) `id` ' \" ; &" * 600
    _, log = sacristy(shop, "build", "news", "--why", why, "--follow")
    assert str(len(why)) in log.split()
    assert "uid=" not in log


def test_a_build_is_aborted(shop):
    with Followed(shop, "news", "--why", "sleep") as build:
        build.until(lambda state: state["building"])
        time.sleep(8)
        sacristy(shop, "abort", "news")
        build.ends(4)


def test_an_approval_lets_a_build_go_on_and_a_refusal_does_not(shop):
    with Followed(shop, "news", "--why", "ask") as build:
        number = build.waits()["build"]
        sacristy(shop, "approve", "news", "--build", str(number), "--why", "it is 'good'")
        assert "reason=[it is 'good']" in build.ends(0)
    with Followed(shop, "news", "--why", "ask") as build:
        build.waits()
        sacristy(shop, "approve", "news", "--refuse")
        build.ends(4)


def walk(shop, *words):
    """Take a run through the root Jenkinsfile, approve it, and return the log."""
    with Followed(shop, "digits", *words) as build:
        assert build.waits()["waits_for"] == "Promote digits:41 to production?"
        sacristy(shop, "approve", "digits", "--why", "looks well")
        return build.ends(0)


def test_the_root_pipeline_trains_and_releases(shop):
    log = walk(shop, "--why", "new data")
    asked = [line for line in log.splitlines() if line.startswith("[") and "][" in line]
    words = [line.strip("[]").split("][")[0] for line in asked]
    order = ["changed", "check", "data", "train", "build", "test", "push", "promote", "dossier", "promote", "watch"]
    assert [word for word in words if word != "notify"] == order
    assert f"[promote][--deploy][--why][new data][--][digits@{DIGEST}][staging]" in asked
    assert "[build][--run][41][--json][--][digits]" in asked
    approved = f"[promote][--deploy][--approved-by][{shop.user}][--why][looks well]"
    assert f"{approved}[--][digits@{DIGEST}][production]" in asked
    assert "digits:7 -> digits:41" in log.splitlines()
    assert "insecure" not in log.lower()


def test_the_root_pipeline_releases_a_run_without_training(shop):
    log = walk(shop, "--run", "7")
    assert "[train]" not in log
    assert "[build][--run][7][--json][--][digits]" in log
    state = sacristy(shop, "status", "digits")[0][0]
    assert (state["result"], state["run"]) == ("SUCCESS", "7")
    assert state["description"].startswith(f"digits:41 {DIGEST}")
    assert sacristy(shop, "sync", "--dry-run")[0]["steps"] == []


def test_the_promote_job_asks_before_production_and_says_who_agreed(shop):
    with Followed(shop, "digits:41", "production", "--why", "it's better", verb="promote") as build:
        assert build.waits()["waits_for"] == "Promote digits:41 to production?"
        sacristy(shop, "approve", "promote", "--why", "looks well")
        log = build.ends(0)
    approved = f"[promote][--deploy][--approved-by][{shop.user}][--why][looks well]"
    assert f"{approved}[--][digits@{DIGEST}][production]" in log
    facts, log = sacristy(shop, "promote", "digits:41", "staging", "--why", "it's better", "--follow")
    assert facts["result"] == "SUCCESS"
    assert "[promote][--deploy][--approved-by][][--why][it's better][--][digits@{DIGEST}][staging]" in log


def test_a_job_without_a_parameter_starts_nothing(shop, client):
    page = f"job/{shop.folder}/job/news/config.xml"
    was = client.get_xml(page, "news")
    client.post(page, "changing news", "news", was.replace("<name>KEY</name>", "<name>X</name>").encode(), "text/xml")
    _, said = sacristy(shop, "build", "news", code=1)
    assert "does not declare KEY" in said
    (step,) = sacristy(shop, "sync", "--yes")[0]["steps"]
    assert step["verb"] == "change"


def test_a_tag_becomes_a_release(shop, client, mongod, tmp_path):  # noqa: F811
    settings = Settings(
        project=shop.clone.folder,
        home=tmp_path,
        jenkins_folder=shop.folder,
        repository=shop.url,
        jenkins_url=client.url,
    )
    store = open_store(str(tmp_path / "weights"))
    (tmp_path / "w.json").write_text("{}")
    digest, size = store.put(tmp_path / "w.json")
    ours = {
        "commit": "a" * 40,
        "dirty": False,
        "journal": {"complete": True},
        "weights": [{"name": "w.json", "digest": digest, "size": size, "role": "weights"}],
    }
    run = {"_id": 900, "experiment": {"name": "news"}, "status": "COMPLETED", "sacristy": ours}
    mongod.database().runs.insert_one(run | {"omniboard": {"tags": ["release"]}})
    watcher = Watcher(settings, mongod.database(Role.SERVICE), store, client)

    def tags():
        watcher.reconcile()
        return mongod.database().runs.find_one({"_id": 900})["omniboard"]["tags"]

    assert tags() == ["releasing"]
    until(lambda: tags() == ["released"])
    assert sacristy(shop, "status", "news")[0][0]["run"] == "900"


def test_the_job_of_a_model_that_is_gone_goes(shop):
    shop.clone.git("rm", "-r", "--quiet", "models/news")
    (step,) = sacristy(shop, "sync", "--yes")[0]["steps"]
    assert (step["verb"], step["name"]) == ("remove", "news")
    assert {each["job"] for each in sacristy(shop, "status")[0]} == {"digits", "promote"}
