"""deploy/ansible on a plain Debian host with systemd: it becomes the stack, stays so, comes back, and is taken away."""

import json
import re
import subprocess

import pytest
from engine import BASE, Engine, missing
from plain_host import PlainHost
from story import ROOT

pytestmark = [pytest.mark.ansible, pytest.mark.timeout(2400)]  # Docker, environments and all images on one host
NAME = "ml.sacristy.test"
PLAYBOOK = "/opt-ansible/bin/ansible-playbook"
INVENTORY = f"""
all:
  hosts:
    ml:
      ansible_connection: local
      ansible_python_interpreter: /usr/bin/python3
      sacristy_name: {NAME}
      sacristy_repository: git://127.0.0.1/
      sacristy_base: {BASE}
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    if missing():
        pytest.skip(missing())
    folder = tmp_path_factory.mktemp("plain")
    engine = Engine(folder / "engine")
    try:
        engine.make_base()
        repository = folder / "repository"
        subprocess.run(["git", "clone", "--quiet", "--bare", str(ROOT), str(repository)], check=True)
        made = PlainHost(engine, folder, repository)
        try:
            made.write("/inventory.yaml", INVENTORY)
            made.run("python3", "-m", "venv", "/opt-ansible")
            made.run("/opt-ansible/bin/pip", "install", "--quiet", "ansible-core")
            serve = ("--export-all", "--base-path=/repository", "--listen=127.0.0.1", "--reuseaddr", "--detach")
            made.run("git", "config", "--system", "safe.directory", "*")
            made.run("git", "daemon", *serve, "/repository")
            made.run("git", "clone", "--quiet", "/repository", "/playbooks")
            yield made
        finally:
            made.close()
    finally:
        engine.close()


def play(host, *words, book="site.yaml", timeout=1700):
    """Run a playbook; return how many tasks changed something."""
    argv = (PLAYBOOK, "-i", "/inventory.yaml", f"/playbooks/deploy/ansible/{book}", *words)
    said = host.run(*argv, timeout=timeout, ANSIBLE_NOCOLOR="1")
    found = re.search(r"changed=(\d+) .*failed=(\d+)", said)
    assert found, said
    assert found[2] == "0", said
    return int(found[1])


@pytest.fixture(scope="module")
def stack(host):
    """The host, after a first run with --check, and the run itself."""
    host.foreseen = play(host, "--check")
    host.run("apt-get", "install", "-qq", "--no-install-recommends", "docker.io", DEBIAN_FRONTEND="noninteractive")
    host.load_base()
    host.made = play(host)
    return host


def state(host):
    """Return whether each service of the stack is ready."""
    said = host.run(
        "setpriv", "--reuid=sacristy", "--regid=sacristy", "--init-groups", "env", "HOME=/opt/sacristy",
        "sh", "-c", "cd /opt/sacristy/stack && .venv/bin/sacristy status --compose --json 2>/dev/null", code=None,
    )  # fmt: skip
    services = json.loads(said[said.index("{") :])["services"]
    return {name: each["ready"] for name, each in services.items()}


def test_a_plain_host_becomes_the_stack(stack):
    assert stack.foreseen > 3
    assert all(state(stack).values())
    assert stack.says("systemctl", "is-enabled", "sacristy.service", "sacristy-backup.timer").split() == ["enabled"] * 2
    assert stack.says("systemctl", "is-active", "sacristy.service", "sacristy-backup.timer").split() == ["active"] * 2
    assert stack.says("stat", "--format=%a %U", "/opt/sacristy/stack/compose/secrets") == "700 sacristy"
    assert "policy drop" in stack.run("nft", "list", "table", "inet", "sacristy")


def test_a_second_run_changes_nothing(stack):
    assert play(stack) == 0
    assert play(stack, "--check") == 0


def test_a_backup_is_made_by_its_unit(stack):
    stack.run("systemctl", "start", "sacristy-backup.service", timeout=300)
    assert stack.says("sh", "-c", "ls /var/backups/sacristy | wc -l") != "0"


def test_what_is_stopped_comes_back_with_the_service(stack):
    stack.run("systemctl", "restart", "sacristy.service", timeout=600)
    assert all(state(stack).values())


def test_it_is_taken_away_and_its_data_only_when_that_is_said(stack):
    assert play(stack, book="remove.yaml") > 0
    assert stack.says("docker", "ps", "--quiet") == ""
    assert stack.says("docker", "volume", "ls", "--quiet", "--filter", "name=mongodb")
    assert stack.says("test", "-d", "/opt/sacristy/stack") == ""
    assert play(stack, "-e", "sacristy_remove_data=true", book="remove.yaml") > 0
    assert stack.says("docker", "volume", "ls", "--quiet") == ""
    assert (
        stack.says("sh", "-c", "ls /opt/sacristy 2>&1")
        == "ls: cannot access '/opt/sacristy': No such file or directory"
    )
    assert play(stack, "-e", "sacristy_remove_data=true", book="remove.yaml") == 0
