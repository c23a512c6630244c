"""A run's card as a scientist opens it in Omniboard: every link on it leads somewhere, before a release and after."""

import html
import json
import re
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest

WRITE_CARDS = "from sacristy.settings import load; from sacristy.stack.keeper import write_cards; write_cards(load())"


@pytest.fixture(scope="module")
def browser(clone):
    """Return a function that gives a run's card, through Omniboard, and one that follows a link as a scientist."""
    clone.run("up")
    service = clone.json("status")["services"]["omniboard"]
    if not service["ready"]:
        pytest.skip(f"Omniboard is not here: {service['detail']}")
    base = f"{service['url']}/sacristy/api/v1"

    def card(run):
        with urllib.request.urlopen(f"{base}/Runs/{run}") as answer:
            files = {file["name"]: file["file_id"] for file in json.load(answer)["artifacts"]}
        with urllib.request.urlopen(f"{base}/files/preview/{files['run-card.html']}") as answer:
            assert answer.headers["Content-Security-Policy"].startswith("sandbox")
            return answer.read().decode()

    def follow(address):
        token = (clone.home / "secrets" / "gateway-scientist").read_text().strip()
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.headers, answer.read()

    return card, follow


@pytest.fixture(scope="module")
def trained(clone, browser):
    """A run, and its card before anything became of it."""
    run = clone.json("train", "digits", "with", "epochs=8")
    return run, browser[0](run["_id"])


@pytest.fixture(scope="module")
def released(clone, browser, trained):
    """The card of that run after it went to staging, written as the stack's keeper does every minute."""
    run, _ = trained
    clone.run("release", "digits", "--run", str(run["_id"]))
    environment = clone.environment | {"PYTHONPATH": str(clone.folder)}
    subprocess.run([sys.executable, "-c", WRITE_CARDS], cwd=clone.folder, env=environment, check=True)
    return browser[0](run["_id"])


def links(page):
    return [html.unescape(address) for address in re.findall('href="([^"]+)"', page)]


def test_a_fresh_run_leads_to_each_file_of_its_weights(browser, trained):
    run, page = trained
    files = run["sacristy"]["weights"]
    assert len(links(page)) == len(files)
    for address, file in zip(links(page), files, strict=True):
        headers, content = browser[1](address)
        assert len(content) == file["size"]
        assert file["name"] in headers["Content-Disposition"]
    assert f"sacristy release digits --run {run['_id']}" in page
    assert f"sacristy reproduce {run['_id']}" in page
    assert "<polyline" in page


def test_a_released_run_leads_to_image_stage_and_answers_too(clone, browser, trained, released):
    run, before = trained
    new = [address for address in links(released) if address not in links(before)]
    (image,) = [address for address in new if "/images/" in address]
    facts = json.loads(browser[1](image)[1])
    assert (facts["run"], facts["stages"]) == (run["_id"], ["staging"])
    assert facts["baseline"]["run"] == run["_id"]
    assert facts["digest"] == clone.json("status")["models"]["digits"]["staging"]["digest"]
    (answers,) = [address for address in new if "/models/" in address]
    assert urllib.parse.urlsplit(answers).query == "stage=staging"
    assert b"staging" in browser[1](answers)[1]
    assert "deployment in staging" in released
    assert "sacristy release" not in released


def test_without_a_login_a_link_leads_to_the_login_page(trained):
    _, page = trained
    with urllib.request.urlopen(links(page)[0]) as answer:
        assert "/login" in answer.url
