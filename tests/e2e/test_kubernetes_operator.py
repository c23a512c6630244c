"""The operator on a real cluster: two at once, killed at any point, changes by hand; each change is deployed once."""

import signal
import subprocess
import time
import urllib.request

import pytest
from lampshop import number
from story import SACRISTY

from sacristy import faults

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(600)]


class Operator:
    """`sacristy operator run` as a process."""

    def __init__(self, shop, port, point=""):
        self.port = port
        environment = shop.clone.environment | ({faults.VARIABLE: point} if point else {})
        argv = [str(SACRISTY), "operator", "run", "--every", "0.5", "--listen", f"127.0.0.1:{port}"]
        self.log = (shop.clone.home / f"operator-{port}.log").open("ab")
        self.process = subprocess.Popen(argv, cwd=shop.clone.folder, env=environment, stdout=self.log, stderr=self.log)

    def page(self, name):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{name}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def leads(self):
        return "sacristy_operator_leads 1.0" in self.page("metrics")

    def close(self):
        """End it in any case: one that lives on would act in the next story."""
        if self.process.poll() is None:
            try:
                self.end()
            except subprocess.TimeoutExpired:
                self.end(signal.SIGKILL)
        self.log.close()

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        code = self.process.wait(timeout=90)
        self.log.close()
        return code


@pytest.fixture
def operators(shop, unused_ports):
    """Start operators; all of them are ended. Nothing but what the story promotes is to be done."""
    shop.bring(shop.versions[0])
    shop.operated()
    made = []

    def start(point=""):
        made.append(Operator(shop, unused_ports(), point))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture(scope="session")
def unused_ports():
    import socket

    def free():
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return listener.getsockname()[1]

    return free


def until(holds, seconds=90):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def serves(shop, name):
    try:
        return shop.answer()["version"] == number(name)
    except OSError:
        return False


def test_of_two_one_acts_and_each_change_is_deployed_once(shop, operators):
    first, second = shop.versions
    one, two = operators(), operators()
    until(lambda: one.leads() or two.leads())
    with shop.load() as load:
        before = len(shop.deployed(second))
        shop.promote(second)
        until(lambda: len(shop.deployed(second)) > before)
    assert (one.leads(), two.leads()).count(True) == 1
    assert load.failures == []
    until(lambda: serves(shop, second))  # a node's proxy may send to a replica that is leaving for a moment
    assert len(shop.deployed(second)) == before + 1
    assert one.page("health") == two.page("health") == "well\n"
    assert [one.end(), two.end()] == [0, 0]
    assert first != second


def test_one_that_is_killed_is_followed_by_the_other(shop, operators):
    one = operators()
    until(one.leads)
    two = operators()
    shop.rig.kubectl("--namespace", "sacristy-production", "delete", "deployment", "lamp")
    one.end(signal.SIGKILL)
    until(two.leads)
    until(lambda: serves(shop, shop.versions[0]))


@pytest.mark.parametrize("point", ["deploy.asked", "deploy.placed"])
def test_killed_at_a_step_the_next_one_ends_what_was_begun(shop, operators, point):
    second = shop.versions[1]
    dying = operators(point)
    until(dying.leads)
    shop.promote(second)
    assert dying.process.wait(timeout=120) == faults.EXIT_CODE
    with shop.load() as load:
        done = shop.operated()
    assert [result for _, result in done] == ["done" if point == "deploy.asked" else "unchanged"]
    assert load.failures == []
    until(lambda: serves(shop, second))
    assert len(shop.staying()) == 2


def test_a_version_that_fails_is_not_tried_in_a_storm(shop, operators):
    second = shop.versions[1]
    shop.toml(("memory_mib = 384", "memory_mib = 48"))
    try:
        before = len(shop.deployed(second, "failed"))
        shop.promote(second)
        one = operators()
        until(lambda: len(shop.deployed(second, "failed")) > before)
        time.sleep(5)
        assert len(shop.deployed(second, "failed")) == before + 1
        assert "sacristy_operator_failing_stages 1.0" in one.page("metrics")
        assert serves(shop, shop.versions[0])
        one.end()  # before there is memory enough, and much to do
    finally:
        shop.toml(("memory_mib = 48", "memory_mib = 384"))
