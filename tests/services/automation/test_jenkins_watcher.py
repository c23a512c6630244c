"""A run tagged `release` reaches its job exactly once, against the real MongoDB and the recorded controller."""

import itertools
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from services.automation.conftest import client_for
from services.automation.recorded import TOKEN, USER

from sacristy.automation.jobs import wanted_jobs
from sacristy.automation.sync import apply, look, plan
from sacristy.automation.watcher import TOKEN_ID, TOKENS, Watcher
from sacristy.settings import Promotion, Role
from sacristy.tracking.runs import find_run
from sacristy.weights.store import open_store

NEWS = "sacristy/news"
runs = itertools.count(5000)


@pytest.fixture
def state(controller, jenkins, shop):
    apply(jenkins, plan("sacristy", wanted_jobs(shop), look(jenkins, "sacristy")))
    return controller.state


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "weights"))


@pytest.fixture
def database(mongod):
    database = mongod.database(Role.SERVICE)
    yield database
    mongod.database().runs.delete_many({"_id": {"$gte": 5000}})


@pytest.fixture
def watcher(shop, database, store, controller):
    return Watcher(shop, database, store, client_for(controller), print)


@pytest.fixture
def add(mongod, store, tmp_path):
    """Add a run that may be released, but for what is given."""
    file = tmp_path / "weights.json"
    file.write_text("{}")
    digest, size = store.put(file)

    def add(tags=("release", "my own"), status="COMPLETED", complete=True, **ours):
        number = next(runs)
        files = [{"name": "weights.json", "digest": digest, "size": size, "role": "weights"}]
        facts = {
            "commit": "a" * 40,
            "dirty": False,
            "user": "anna",
            "weights": files,
            "journal": {"complete": complete},
        }
        document = {"_id": number, "experiment": {"name": "news"}, "status": status, "sacristy": facts | ours}
        mongod.database().runs.insert_one(document | {"omniboard": {"tags": list(tags)}})
        return number

    return add


def tags(database, run):
    return find_run(database, run).document["omniboard"]["tags"]


def release_of(database, run):
    return find_run(database, run).document["sacristy"]["release"]


def until(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ended(state, count=1):
    """Wait until the job's last build, of so many, has ended."""

    def look():
        state.advance()
        builds = state.items[NEWS].builds
        return len(builds) == count and builds[-1].result

    until(look)


def test_a_tagged_run_is_started_once_and_told_as_released(state, watcher, database, add):
    run = add()
    assert [each["run"] for each in watcher.reconcile()] == [run]
    assert tags(database, run) == ["my own", "releasing"]
    ended(state)
    watcher.reconcile()
    assert tags(database, run) == ["my own", "released"]
    watcher.reconcile()
    (build,) = state.items[NEWS].builds
    assert build.parameters["RUN"] == str(run)
    assert "anna" in build.parameters["WHY"]
    found = release_of(database, run)
    assert (found["state"], found["key"], found["build"]) == ("released", f"release-{run}-1", 1)


def test_a_build_that_fails_is_told(state, watcher, database, add):
    state.result = "FAILURE"
    run = add()
    watcher.reconcile()
    ended(state)
    watcher.reconcile()
    assert tags(database, run) == ["my own", "refused: build 1 of sacristy/news ended as FAILURE"]


def test_a_build_that_is_gone_for_long_is_told(state, watcher, mongod, database, add):
    run = add()
    watcher.reconcile()
    ended(state)
    state.items[NEWS].builds.clear()
    watcher.reconcile()
    assert tags(database, run) == ["my own", "releasing"]
    long_ago = release_of(database, run)["missing"] - timedelta(hours=1)
    mongod.database().runs.update_one({"_id": run}, {"$set": {"sacristy.release.missing": long_ago}})
    watcher.reconcile()
    assert "is gone from Jenkins" in tags(database, run)[-1]


def test_a_run_that_is_tagged_again_is_started_again(state, watcher, mongod, database, add):
    run = add()
    for wanted in (1, 2):
        mongod.database().runs.update_one({"_id": run}, {"$set": {"omniboard.tags": ["release"]}})
        watcher.reconcile()
        ended(state, wanted)
        watcher.reconcile()
    assert release_of(database, run)["key"] == f"release-{run}-2"


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"complete": False}, "it is not complete"),
        ({"status": "RUNNING"}, "it is not complete"),
        ({"status": "FAILED"}, "it is not complete"),
        ({"dirty": True}, "changes that are in no commit"),
        ({"commit": ""}, "changes that are in no commit"),
        ({"weights": []}, "it left no weights"),
        (
            {"weights": [{"name": "w.json", "digest": f"sha256:{'0' * 64}", "size": 1, "role": "weights"}]},
            "the store lacks its w.json",
        ),
    ],
)
def test_a_run_that_may_not_be_released_is_refused_with_the_reason(state, watcher, database, add, facts, reason):
    run = add(**facts)
    watcher.reconcile()
    assert tags(database, run)[-1].startswith("refused: ")
    assert reason in tags(database, run)[-1]
    assert release_of(database, run)["state"] == "refused"
    assert state.items[NEWS].builds == []
    assert state.queue == {}


def test_whose_runs_count_is_the_policys(state, watcher, database, add):
    watcher.settings = watcher.settings.model_copy(update={"promotion": Promotion(release_tags_by=["bert"])})
    run = add()
    watcher.reconcile()
    assert "runs of anna are not released by tag" in tags(database, run)[-1]


def test_a_model_without_a_job_is_refused(controller, watcher, database, add):
    run = add()
    watcher.reconcile()
    assert "refused: Jenkins has no job sacristy/news" in tags(database, run)


def test_a_tag_that_was_taken_away_starts_nothing(state, watcher, mongod, database, add):
    run = add(release={"state": "checking", "number": 1, "key": "release-x-1"}, tags=[])
    watcher.reconcile()
    assert release_of(database, run)["state"] == "withdrawn"
    assert state.queue == {}


def test_a_watcher_that_died_after_asking_is_continued_not_repeated(state, watcher, database, add, monkeypatch):
    run = add()
    with monkeypatch.context() as patched:
        patched.setattr(
            watcher, "_note", lambda run, request, tag: died() if tag else Watcher._note(watcher, run, request, tag)
        )
        with pytest.raises(KeyboardInterrupt):
            watcher.reconcile()
    assert release_of(database, run)["state"] == "checking"
    watcher.reconcile()
    ended(state)
    assert len(state.queue) == 1


def died():
    raise KeyboardInterrupt


def test_two_watchers_at_once_start_one_build(state, shop, mongod, store, controller, add):
    run = add()
    database = mongod.database(Role.SERVICE)
    watchers = [Watcher(shop, database, store, client_for(controller)) for _ in range(4)]
    threads = [threading.Thread(target=each.reconcile) for each in watchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    watchers[0].reconcile()
    assert len(state.queue) == 1
    assert release_of(database, run)["state"] in ("started", "released")


def test_while_jenkins_is_away_the_request_waits(state, controller, watcher, database, add):
    run = add()
    with controller.away():
        watcher.reconcile()
        assert tags(database, run) == ["release", "my own"]
    watcher.reconcile()
    assert tags(database, run) == ["my own", "releasing"]
    assert len(state.queue) == 1


WATCH = """
from sacristy.automation.client import Client
from sacristy.automation.watcher import Watcher
from sacristy.settings import Role, load
from sacristy.tracking.database import connect
from sacristy.weights.store import open_store
import sys
settings = load()
Watcher(settings, connect(settings, Role.SERVICE), open_store(sys.argv[1]), Client(*settings.jenkins_login)).run()
"""


class Process:
    """A watcher in a process of its own, to be killed."""

    def __init__(self, mongod, shop, store_folder, controller):
        ours = {
            "SACRISTY_JENKINS_URL": controller.url,
            "SACRISTY_JENKINS_USER": USER,
            "SACRISTY_JENKINS_TOKEN": TOKEN,
            "SACRISTY_REPOSITORY": shop.repository,
        }
        environment = mongod.environment(shop.project, shop.home, Role.SERVICE) | ours
        self.process = subprocess.Popen([sys.executable, "-c", WATCH, str(store_folder)], env=environment)

    def kill(self):
        self.process.kill()
        self.process.wait()


def test_a_killed_watcher_goes_on_where_it_was(state, controller, shop, mongod, database, tmp_path, add):
    def process():
        return Process(mongod, shop, tmp_path / "weights", controller)

    mongod.database()[TOKENS].delete_many({})
    first = process()
    try:
        until(lambda: database[TOKENS].find_one({"_id": TOKEN_ID}))  # it listens
        seen = add()
        until(lambda: "releasing" in tags(database, seen), 10)
    finally:
        first.kill()
    missed = add()
    second = process()
    try:
        until(lambda: "releasing" in tags(database, missed) or "released" in tags(database, missed), 10)
        later = add()
        until(lambda: {"releasing", "released"} & set(tags(database, later)), 10)
    finally:
        second.kill()
    assert len(state.queue) == 3


def test_a_place_in_the_stream_that_is_lost_is_no_harm(state, watcher, database, add):
    bad = {"_data": "82" + "00" * 20}
    database[TOKENS].update_one({"_id": TOKEN_ID}, {"$set": {"place": bad}}, upsert=True)
    assert list(watcher._tagged(lambda: True)) == []
    assert database[TOKENS].find_one({"_id": TOKEN_ID}) is None
    run = add()
    watcher.reconcile()
    assert "releasing" in tags(database, run)
