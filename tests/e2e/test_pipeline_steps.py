"""The root Jenkinsfile's own `sh` steps, run one after another on a laptop: train, release, watch, roll back."""

import json
import shutil
import subprocess
import threading

import pytest
from services.automation.jenkinsfiles import shell_steps
from story import ROOT

pytestmark = pytest.mark.timeout(900)  # two trainings, builds and acceptance tests before the first line
ONLY_ON_ITS_OWN = ("notify", "env build", "check")  # a web hook, a Docker engine; `make check` and the unit tier


class Pipeline:
    """What Jenkins does with the steps: run each with `sh`, and read the JSON that the `script` blocks read."""

    def __init__(self, clone):
        self.clone = clone
        agent = {"SACRISTY_AGENT_PYTHON": str(ROOT), "JOB_BASE_NAME": "digits", "BUILD_TAG": "jenkins-digits-1"}
        self.variables = {**agent, "BUILD_URL": "http://jenkins/1/", "APPROVER": "olga"}

    def run(self, text, code=0, **given):
        argv = ["sh", "-xe", "-c", text]
        environment = self.clone.environment | self.variables | given
        done = subprocess.run(argv, cwd=self.clone.folder, env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == code, f"{text}\n{done.stdout}{done.stderr}"
        return done.stderr

    def release(self, **given):
        """Take the steps up to `watch`, and return what the scripts read."""
        for text in shell_steps("Jenkinsfile"):
            if any(f"sacristy {name}" in text for name in ONLY_ON_ITS_OWN) or ("train" in text and given.get("RUN")):
                continue
            if " watch " in text:
                return self.variables
            self.run(text, **given)
            self.read(text)
        raise AssertionError("there is no watch")

    def read(self, text):
        folder = self.clone.folder
        if "> run.json" in text:
            self.variables["TRAINED_RUN"] = str(json.loads((folder / "run.json").read_text())["_id"])
        if "> build.json" in text:
            built = json.loads((folder / "build.json").read_text())
            self.variables |= {"IMAGE": f"{built['model']}@{built['digest']}", "VERSION": built["version"]}


@pytest.fixture(scope="module")
def pipeline(clone):
    clone.run("up")
    path = clone.folder / "models" / "digits" / "model.toml"
    strict = path.read_text()
    clone.commit("models/digits/model.toml", strict.replace("latency_p95_ms = 50", "latency_p95_ms = 500"))
    yield Pipeline(clone)
    for name in ("run.json", "build.json", "changed.json"):
        (clone.folder / name).unlink(missing_ok=True)
    for name in ("dossier", "acceptance"):
        shutil.rmtree(clone.folder / name, ignore_errors=True)
    clone.commit("models/digits/model.toml", strict)


@pytest.fixture(scope="module")
def first(pipeline):
    return dict(pipeline.release(WHY="the first")), {
        path.name: path.read_text() for path in (pipeline.clone.folder / "dossier").iterdir()
    }


@pytest.fixture(scope="module")
def second(pipeline, first):
    clone = pipeline.clone
    run = clone.json("train", "digits", "with", "epochs=10")["_id"]
    return dict(pipeline.release(WHY="the second", RUN=str(run), TRAINED_RUN="")), run


def test_a_commit_goes_to_production_step_by_step(pipeline, first):
    variables, dossier = first
    production = pipeline.clone.json("status")["models"]["digits"]["production"]
    assert f"digits@{production['digest']}" == variables["IMAGE"]
    assert str(production["run"]) == variables["TRAINED_RUN"]
    assert production["ready"]
    entries = [entry for entry in pipeline.clone.json("audit", "digits") if entry["to"] == production["digest"]]
    moves = [entry for entry in entries if entry["action"] == "promoted"]
    assert [(entry["stage"], entry["why"]) for entry in moves] == [
        ("staging", "the first"),
        ("production", "the first"),
    ]
    assert [given["by"] for given in moves[1]["approvals"]] == ["olga"]
    assert sorted(dossier) == ["acceptance.json", "baseline.json", "comparison.txt", "image.json", "sbom.json"]
    assert json.loads(dossier["acceptance.json"])["passed"] is True
    assert json.loads(dossier["sbom.json"])["bomFormat"] == "CycloneDX"
    assert (pipeline.clone.folder / "acceptance" / "acceptance.xml").is_file()


def test_a_run_that_is_named_is_released_without_training(pipeline, second):
    variables, run = second
    production = pipeline.clone.json("status")["models"]["digits"]["production"]
    assert (production["run"], f"digits@{production['digest']}") == (run, variables["IMAGE"])
    comparison = (pipeline.clone.folder / "dossier" / "comparison.txt").read_text()
    assert "config epochs" in comparison


def watch_step(minutes):
    (text,) = (text for text in shell_steps("Jenkinsfile") if " watch " in text)
    return text.replace("--minutes 5", f"--minutes {minutes}")


def asking(clone):
    """Ask production twice from another thread, after a moment."""
    body = json.dumps({"instances": [[0.0] * 64]})
    return threading.Timer(4, lambda: [clone.run("predict", "digits", "--json", body) for _ in range(2)])


def test_production_that_keeps_its_limits_stays(pipeline, second):
    said = pipeline.run(watch_step(0.02))
    assert "kept" in said
    assert pipeline.clone.json("status")["models"]["digits"]["production"]["run"] == second[1]


def test_a_breach_rolls_production_back_and_fails_the_stage(pipeline, first, second):
    clone = pipeline.clone
    path = clone.folder / "models" / "digits" / "model.toml"
    path.write_text(path.read_text() + "\n[watch]\nlatency_p95_ms = 0.001\nmin_requests = 1\n")
    asker = asking(clone)
    asker.start()
    said = pipeline.run(watch_step(1), code=1)
    asker.join()
    assert "p95 latency" in said
    assert "rolled back to digits:" in said
    production = clone.json("status")["models"]["digits"]["production"]
    assert f"digits@{production['digest']}" == first[0]["IMAGE"]
    assert production["ready"]
    reasons = [entry["why"] for entry in clone.json("audit", "digits") if entry["action"] == "rolled_back"]
    assert sum("limits were broken" in why for why in reasons) == 1


def test_an_image_that_is_none_is_refused_before_anything_is_done(pipeline):
    (text,) = (text for text in shell_steps("Jenkinsfile") if "production" in text and "promote" in text)
    pipeline.run(text, code=2, IMAGE="--help x")
