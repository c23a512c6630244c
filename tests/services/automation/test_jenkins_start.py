"""The controller does not begin without its secrets."""

import subprocess

import pytest
from services.automation.jenkinsfiles import ROOT

from sacristy.settings import Settings
from sacristy.stack.init import secret_makers

NAMES = [name for name in secret_makers() if name.startswith("jenkins-")]


@pytest.fixture
def secrets(tmp_path):
    for name in NAMES:
        (tmp_path / name).write_text(secret_makers()[name]())
    return tmp_path


def start(secrets, url="http://jenkins"):
    environment = {"PATH": "/usr/bin:/bin", "SECRETS": str(secrets), "JENKINS_URL": url}
    done = subprocess.run(["sh", str(ROOT / "jenkins" / "start")], env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_what_init_makes_is_enough(secrets, tmp_path):
    code, said = start(secrets)
    assert code in (126, 127), said  # it came as far as the program that is only in the image
    assert "jenkins:" not in said
    assert Settings(project=tmp_path, home=tmp_path).jenkins_url == ""


@pytest.mark.parametrize("name", NAMES)
def test_without_one_of_its_secrets_it_ends(secrets, name):
    (secrets / name).unlink()
    code, said = start(secrets)
    assert (code, f"{name} is missing" in said) == (1, True)


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_that_is_none_is_refused(secrets, name):
    (secrets / name).write_text("admin")
    code, said = start(secrets)
    assert (code, f"{name} is shorter" in said) == (1, True)


def test_a_token_of_another_form_is_refused(secrets):
    (secrets / "jenkins-token").write_text("x" * 34)
    assert "is no token" in start(secrets)[1]


def test_without_its_address_it_ends(secrets):
    assert "JENKINS_URL is not set" in start(secrets, "")[1]
