"""A training's Job: what it says, that it keeps to the policy, and how its pods' ends are told apart."""

import base64
import json

import pytest
from cluster_policy import breaches

from sacristy.errors import JobEnded, KeysUnusable, NotForPods, PodNotStarted
from sacristy.images.fetched import Fetched
from sacristy.model_file import ModelFile
from sacristy.settings import Cluster, Settings
from sacristy.targets.kubernetes import training as training_module
from sacristy.targets.kubernetes.connections import connections, fetching_from, fetching_secret
from sacristy.targets.kubernetes.jobs import Follower, exit_code, is_lost
from sacristy.targets.kubernetes.training import Training, job, job_secret, no_callers

DIGEST = "sha256:" + "ab" * 32
GPU = {"resources": {"gpu": 2, "cpu": 8.0, "memory_mib": 16384}}
URL = "mongodb://training:secret@db.example.org:27017/sacristy"
OWNER = {"metadata": {"name": "train-news-1a2b3c4d", "uid": "5e"}}


def made(changes=None, **more):
    plain = {"title": "News", "gates": {"metric": "accuracy", "minimum": 0.9}}
    file = ModelFile.model_validate(plain | (changes or {}))
    facts = {"registry": "registry:5000", "repository": "env-0123456789abcdef", "digest": DIGEST, "token": "t" * 32}
    facts |= {"cluster": Cluster(), "secret": {"mongodb-url": URL}, "environment": {"SACRISTY_USER": "ana"}}
    return Training(name="train-news-1a2b3c4d", model="news", file=file, **(facts | more))


def pod_of(training):
    return job(training)["spec"]["template"]["spec"]


def variables(training):
    return {each["name"]: each for each in pod_of(training)["containers"][0]["env"]}


@pytest.mark.parametrize("changes", [{}, GPU])
def test_a_job_is_within_the_policy(changes):
    assert breaches(job(made(changes, pull_secret=True))) == []


def test_what_sacred_is_told_goes_to_the_training_word_by_word():
    container = pod_of(made(words=("with", "lr=0.1; rm -rf /")))["containers"][0]
    assert container["command"][-4:] == ["sacristy.training.pod", "news", "with", "lr=0.1; rm -rf /"]
    assert pod_of(made(words=("$(POD) $x",)))["containers"][0]["command"][-1] == "$$(POD) $$x"
    assert container["image"] == f"registry:5000/env-0123456789abcdef@{DIGEST}"


def test_it_may_use_what_the_model_says_and_goes_where_the_processors_are():
    pod = pod_of(made(GPU, cluster=Cluster(gpu_label="pool=gold", gpu_taint="only=gpu")))
    limits = pod["containers"][0]["resources"]["limits"]
    assert limits == {"cpu": "8000m", "memory": "16384Mi", "nvidia.com/gpu": "2"}
    assert pod["tolerations"] == [{"key": "only", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}]
    assert "tolerations" not in pod_of(made())


def test_no_secret_is_in_the_job_and_the_secret_goes_with_it():
    training = made()
    assert "secret@" not in json.dumps(job(training))
    assert "secret@" not in repr(training)
    secret = job_secret(training, OWNER)
    assert base64.b64decode(secret["data"]["mongodb-url"]).decode() == URL
    assert secret["metadata"]["ownerReferences"][0]["uid"] == "5e"
    assert variables(training)["SACRISTY_MONGODB_URL"]["valueFrom"]["secretKeyRef"]["name"] == training.name


def test_the_run_is_told_where_it_runs():
    told = json.loads(variables(made())["SACRISTY_JOB"]["value"])
    assert (told["name"], told["node"], told["pod"]) == ("train-news-1a2b3c4d", "$(NODE)", "$(POD)")
    assert told["image"].endswith(DIGEST)
    assert "SACRISTY_RESUMES" not in variables(made())
    assert variables(made(resumes=42))["SACRISTY_RESUMES"]["value"] == "42"


def test_trainings_are_not_models_to_the_network():
    labels = job(made())["spec"]["template"]["metadata"]["labels"]
    assert labels.get("app.kubernetes.io/managed-by") is None
    assert no_callers(made())["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_a_pod_has_longer_to_end_than_its_program_takes():
    from sacristy.training import pod

    assert training_module.GRACE_S > pod.SHIPPING_S + 30


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home" / "secrets").mkdir(parents=True)
    for name in ("mongodb-training", "ceph-training"):
        (tmp_path / "home" / "secrets" / name).write_text("access:hidden")
    given = {"mongodb_url": "mongodb://db.example.org/?replicaSet=rs0", "weights": "s3://weights"}
    there = {"weights_endpoint": "https://store.example.org", "project": tmp_path, "home": tmp_path / "home"}
    return Settings(**given, **there, user="ana")


def test_a_pod_gets_the_training_roles_keys_and_no_others(settings, tmp_path):
    (tmp_path / "home" / "ca.pem").write_text("CA")
    found = connections(settings.model_copy(update={"mongodb_ca": tmp_path / "home" / "ca.pem"}))
    assert found.secret.keys() == {"mongodb-url", "mongodb-ca.pem", "ceph-training"}
    assert found.secret["mongodb-url"].startswith("mongodb://training:access%3Ahidden@db.example.org/")
    assert "tlsCAFile=%2Fstate%2Fsecrets%2Fmongodb-ca.pem" in found.secret["mongodb-url"]
    assert found.environment["SACRISTY_WEIGHTS"] == "s3://weights"
    assert "hidden" not in json.dumps(found.environment)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"weights": "/weights"}, "SACRISTY_WEIGHTS"),
        ({"weights_endpoint": "https://127.0.0.1:7480"}, "SACRISTY_WEIGHTS_ENDPOINT"),
    ],
)
def test_what_only_this_machine_reaches_is_refused(settings, changes, named):
    with pytest.raises(NotForPods) as error:
        connections(settings.model_copy(update=changes))
    assert error.value.fields["variable"] == named


def test_without_keys_there_is_no_job(settings):
    (settings.home / "secrets" / "ceph-training").unlink()
    with pytest.raises(KeysUnusable):
        connections(settings)


def test_what_fetches_weights_gets_the_readers_keys_whatever_ours_are(settings, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ops")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "all rights")
    with pytest.raises(KeysUnusable, match="serving"):
        fetching_secret(settings)
    (settings.home / "secrets" / "ceph-serving").write_text("reader:hidden\n")
    (settings.home / "ca.pem").write_text("CA")
    trusted = settings.model_copy(update={"weights_ca": settings.home / "ca.pem"})
    assert fetching_secret(settings) == {"keys": "reader:hidden"}
    assert fetching_secret(trusted) == {"keys": "reader:hidden", "ca.pem": "CA"}
    assert [fetching_from(each, Fetched((), ())).has_ca for each in (settings, trusted)] == [False, True]


def test_weights_that_pods_cannot_reach_are_refused(settings):
    with pytest.raises(NotForPods):
        fetching_from(settings.model_copy(update={"weights_endpoint": "https://localhost:1"}), Fetched((), ()))


def pod(name="one", *, code=None, reason="Error", waiting=None, leaving=False, **status):
    state = {"running": {}} if code is None else {"terminated": {"exitCode": code, "reason": reason}}
    state = {"waiting": waiting} if waiting else state
    about = {"name": name, "creationTimestamp": name} | ({"deletionTimestamp": "now"} if leaving else {})
    return {"metadata": about, "status": {"containerStatuses": [{"state": state}], **status}}


@pytest.mark.parametrize(
    ("found", "lost"),
    [
        (pod(), False),
        (pod(code=1), False),
        (pod(code=137, reason="OOMKilled"), False),
        (pod(code=137), True),
        (pod(code=143), True),
        (pod(leaving=True), True),
        (pod(code=1, phase="Failed", reason="Error") | {"status": {"phase": "Failed", "reason": "Evicted"}}, True),
    ],
)
def test_a_pod_that_was_taken_away_is_told_from_a_training_that_ended(found, lost):
    assert is_lost(found) is lost


class Scene:
    """A cluster's answers, one look after the other: its pods, and whether the Job is there."""

    def __init__(self, *looks, job=True):
        self.looks, self.job = list(looks), job

    def each(self, *_):
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def get(self, *_):
        return {"metadata": {}} if self.job else None

    def follow_log(self, _, name, silence_s=30.0):
        yield f"of {name}"


@pytest.fixture
def follow(monkeypatch):
    """Return a function that follows a scene without waiting, and gives (exit code, shown, told)."""
    monkeypatch.setattr("sacristy.targets.kubernetes.jobs.time.sleep", lambda _: None)

    def follow(scene):
        shown, told = [], []
        code = Follower(scene, made(), shown.append, told.append).follow()
        return code, shown, told

    return follow


def test_the_training_is_followed_into_the_pod_that_goes_on(follow):
    lost, next_one = pod(leaving=True), pod("two", code=0)
    code, shown, told = follow(Scene([], [pod()], [pod()], [lost], [lost, next_one]))
    assert (code, shown) == (0, ["of one", "of two"])
    assert told == ["pod one was lost; pod two goes on"]


def test_the_exit_code_is_the_trainings(follow):
    assert follow(Scene([pod()], [pod(code=7)]))[0] == 7
    assert follow(Scene([pod()], [pod(code=7), pod("two")]))[0] == 7  # an old cluster tries again at once
    assert exit_code(pod()) is None


def test_a_job_that_gets_no_pod_is_told_about(follow, monkeypatch):
    now = iter(range(0, 10_000, 15))
    monkeypatch.setattr("sacristy.targets.kubernetes.jobs.time.monotonic", lambda: next(now))
    _, _, told = follow(Scene([], [], [], [pod(code=0)]))
    assert [line.partition(";")[0] for line in told] == ["waiting: it has no pod (a quota?)"]


def test_a_job_that_others_deleted_is_told(follow):
    with pytest.raises(JobEnded, match="deleted"):
        follow(Scene([], job=False))


def test_a_pod_that_cannot_start_is_told_and_one_that_waits_for_room_is_waited_for(follow):
    with pytest.raises(PodNotStarted, match="cannot be pulled"):
        follow(Scene([pod(waiting={"reason": "ImagePullBackOff", "message": "no"})]))
    full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient cpu"}
    waiting = {"metadata": pod()["metadata"], "status": {"conditions": [full]}}
    code, _, told = follow(Scene([waiting], [waiting], [pod(code=0)]))
    assert (code, told) == (0, ["waiting: no node has room for it: Insufficient cpu"])
