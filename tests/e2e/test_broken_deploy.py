"""A good version serves; a broken one is deployed. The good one answers every request, and the cause is printed."""

import http.server
import threading
from contextlib import contextmanager, nullcontext

import pytest
from engine import BRIDGE
from story import Load

FRAGILE = """

# --- a fault that shows only where it is deployed, and passes every test before that
from time import sleep
from urllib.request import urlopen

_load, _predict, _asked = Digits.load, Digits.predict, []


def fault():
    try:
        return urlopen({url!r}, timeout=2).read().decode()
    except OSError:
        return ""


def load(self, folder):
    self.fault = fault()
    if self.fault == "crash":
        raise RuntimeError("the lamp oil ran out")
    if self.fault == "never ready":
        print("waiting for the bishop", flush=True)
        sleep(3600)
    _load(self, folder)


def predict(self, inputs):
    _asked.append(1)
    answers = _predict(self, inputs)
    return [answer[::-1] for answer in answers] if self.fault == "wrong" and len(_asked) > 1 else answers


Digits.load, Digits.predict = load, predict
"""


class Switch:
    """Tells the models over HTTP which fault to have, from the moment in which they load."""

    def __init__(self, address):
        switch = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(switch.fault.encode())

            def log_message(self, *_):
                pass

        self.fault = ""
        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.url = f"http://{address}:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(
    scope="module", params=["process", pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.timeout(900)])]
)
def place(request):
    """A clone, and a switch that its models can ask."""
    where = request.param
    clone = request.getfixturevalue("clone" if where == "process" else "contained")
    switch = Switch("127.0.0.1" if where == "process" else BRIDGE)
    yield clone if where == "process" else clone.clone, switch
    switch.close()


@pytest.fixture(scope="module")
def story(place):
    """Version 1 is in production; version 2, which can break, passed its test and was promoted."""
    clone, switch = place
    clone.run("up")
    clone.run("train", "digits")
    first = clone.json("release", "digits")
    clone.run("promote", f"digits:{first['version']}", "production", "--why", "the good one")
    clone.run("deploy", "digits", "production")
    serve = (clone.folder / "models/digits/serve.py").read_text()
    clone.commit("models/digits/serve.py", serve + FRAGILE.format(url=switch.url))
    clone.run("train", "digits")
    second = clone.json("release", "digits")
    clone.run("promote", f"digits:{second['version']}", "production", "--why", "looks good")
    return clone, switch, first["version"], second["version"]


@contextmanager
def little_patience(clone):
    """Wait 8 s for an instance, where it is known that it will never be ready."""
    path = clone.folder / "models/digits/model.toml"
    kept = path.read_text()
    lines = [line for line in kept.splitlines() if not line.startswith("ready_s")]
    path.write_text("\n".join(lines).replace("[gates]", "[gates]\nready_s = 8.0") + "\n")
    yield
    path.write_text(kept)


def load_on(clone):
    url = clone.json("status")["services"]["gateway"]["url"]
    return Load(f"{url}/models/digits/predict", {"instances": [[0.0] * 64]}, clone.token)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("crash", "the lamp oil ran out"),
        ("never ready", "was not ready after 8"),
        ("wrong", "ready but wrong"),
    ],
)
def test_the_good_version_answers_throughout_and_the_cause_is_printed(story, fault, said):
    clone, switch, good, _ = story
    switch.fault = fault
    with load_on(clone) as load, little_patience(clone) if fault == "never ready" else nullcontext():
        _, told = clone.run("deploy", "digits", "production", code=1)
    assert said in told
    assert f"digits:{good} still answers" in told
    assert "Traceback" not in told.splitlines()[-1]
    assert load.failures == []
    assert set(load.versions) == {good}
    assert clone.json("status")["models"]["digits"]["production"]["running"] == good


def test_mended_it_replaces_the_good_one_without_a_failed_request(story):
    clone, switch, good, mended = story
    switch.fault = ""
    with load_on(clone) as load:
        clone.run("deploy", "digits", "production")
    assert load.failures == []
    assert set(load.versions) == {good, mended}
    assert load.versions[-1] == mended


def test_and_one_command_goes_back(story):
    clone, _, good, _ = story
    with load_on(clone) as load:
        clone.run("rollback", "digits", "production", "--why", "the bishop asked")
    assert load.failures == []
    assert load.versions[-1] == good
    moves = clone.json("audit", "digits")
    assert [move["action"] for move in moves if move["stage"] == "production"][-3:] == [
        "promoted",
        "promoted",
        "rolled_back",
    ]
    assert moves[-1]["why"] == "the bishop asked"


def test_nothing_is_left_of_what_failed(story):
    clone, _, _, _ = story
    programs = clone.json("doctor")
    assert not [finding for finding in programs if "instance" in finding["what"]]
