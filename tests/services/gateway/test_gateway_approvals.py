"""A second person's word on the page for ops, in a real browser: shown, given by the command, refused to who asked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from playwright.sync_api import Page, expect
from services.gateway.browsing import CHROMIUM, PHONE, faults, fetched_axe, launched, opened, overflow
from services.release.bench import Bench

from sacristy.errors import ApprovalMissing
from sacristy.names import Stage
from sacristy.release import approvals, promotion
from sacristy.settings import Role, Settings
from sacristy.stack.init import init
from sacristy.stack.ports import free_port

EVIL = "<img src=x onerror=alert(1)> it's better"
TOML = 'title = "News"\n[gates]\nmetric = "accuracy"\nminimum = 0.5\n'
ME = "ops"  # the token's name

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"),
]


def ask(bench: Bench, who: str) -> Any:
    """Have somebody ask for production, as a promotion without its approval does; return the image."""
    image = bench.image()
    with pytest.raises(ApprovalMissing):
        promotion.promote(bench.desk(who, approvals=1), image, Stage.PRODUCTION, EVIL)
    return image


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, mongod: Any) -> Iterator[SimpleNamespace]:
    """A gateway that may act, whose policy asks for one approval; one version was asked for by ben, one by ops."""
    folder = tmp_path_factory.mktemp("approvals")
    home = folder / "home"
    bench = Bench(mongod, home / "registry")
    (folder / "models" / bench.model).mkdir(parents=True)
    (folder / "models" / bench.model / "model.toml").write_text(TOML)
    (folder / "Pipfile").touch()
    settings = Settings(project=folder, home=home)
    init(settings)
    for role in Role:
        (home / "secrets" / f"mongodb-{role}").write_text(mongod.passwords[role])
    theirs, mine = ask(bench, "ben"), ask(bench, ME)
    port = free_port()
    environment = {
        "SACRISTY_PROJECT": str(folder),
        "SACRISTY_HOME": str(home),
        "SACRISTY_MONGODB_URL": f"mongodb://127.0.0.1:{mongod.port}/?replicaSet=rs0",
        "SACRISTY_PROMOTION__APPROVALS": "1",
    }
    argv = [sys.executable, "-m", "gunicorn", "--threads", "8", "--no-control-socket", "--bind", f"127.0.0.1:{port}"]
    server = subprocess.Popen([*argv, "sacristy.gateway.app:create_app()"], env=os.environ | environment)
    http = urllib3.PoolManager(retries=urllib3.Retry(total=60, backoff_factor=0.1, backoff_max=0.2))
    http.request("GET", f"http://127.0.0.1:{port}/health")
    http.clear()
    address = f"http://127.0.0.1:{port}/operations"
    model = f"{address}/models/{bench.model}"
    yield SimpleNamespace(bench=bench, settings=settings, address=address, model=model, theirs=theirs, mine=mine)
    server.terminate()
    server.wait()


@pytest.fixture(scope="module")
def page(house: SimpleNamespace) -> Iterator[Page]:
    with launched() as browser:
        address = house.address.removesuffix("/operations")
        with opened(browser, address, house.settings.secret("gateway-ops")) as page:
            yield page


def waiting(page: Page, image: Any) -> Any:
    return page.locator("#waiting li", has_text=f"{image.model} {image.version}")


def form(house: SimpleNamespace, page: Page, errand: str, **more: str) -> Any:
    """Send the form that approves what ops asked for; return the answer."""
    fields = {"stage": "production", "version": str(house.mine.version), "why": "mine", "errand": errand, **more}
    return page.request.post(f"{house.model}/approve", form=fields)


def errands(house: SimpleNamespace) -> list[str]:
    return [path.name for path in (house.settings.home / "gateway" / "errands").glob("*")]


def test_what_was_asked_for_by_oneself_is_shown_and_cannot_be_approved(house: SimpleNamespace, page: Page) -> None:
    page.goto(house.address)
    own = waiting(page, house.mine)
    expect(own).to_contain_text("asked for by you: somebody else has to agree")
    assert own.get_by_role("link").count() == 0
    page.goto(f"{house.model}/approve?version={house.mine.version}")
    expect(page.get_by_role("button", name="Approve")).to_be_disabled()
    csrf = page.get_attribute("input[name=csrf]", "value")
    answer = form(house, page, "1" * 32, csrf=str(csrf))
    assert (answer.status, "asked for by you" in answer.text()) == (409, True)
    assert errands(house) == []


def test_a_form_of_another_site_approves_nothing(house: SimpleNamespace, page: Page) -> None:
    page.goto(house.address)
    assert form(house, page, "2" * 32).status == 403
    assert errands(house) == []


def test_another_person_approves_with_a_reason_by_the_command(house: SimpleNamespace, page: Page) -> None:
    page.goto(house.address)
    theirs = waiting(page, house.theirs)
    expect(theirs).to_contain_text("0 of 1 approval")
    expect(theirs).to_contain_text(EVIL)
    assert page.locator("main img").count() == 0
    theirs.get_by_role("link", name="Approve").click()
    assert f"sacristy approve {house.theirs} production" in page.inner_text("pre")
    page.get_by_role("button", name="Approve").click()
    expect(page).to_have_url(re.compile("/approve"))  # the browser asks for a reason first
    page.fill("#why", EVIL)
    page.get_by_role("button", name="Approve").click()
    page.wait_for_selector("#outcome:not([data-state=running])", timeout=150_000)
    assert page.get_attribute("#outcome", "data-state") == "done", page.inner_text("#lines")
    page.goto(house.model)
    expect(theirs).to_contain_text("1 of 1 approval")
    expect(theirs).to_contain_text(f"{ME} approves")
    expect(theirs).to_contain_text("ben may promote it")
    assert [line.split()[0] for line in page.locator("#audit tbody td:nth-child(3)").all_inner_texts()] == [
        "approved",
        "asked",
        "asked",
    ]
    given = approvals.in_force(house.bench.database, house.theirs, Stage.PRODUCTION)
    assert [(each["by"], each["why"]) for each in given] == [(ME, EVIL)]


def test_the_promotion_that_was_asked_for_goes_through_then(house: SimpleNamespace, page: Page) -> None:
    event = promotion.promote(house.bench.desk("ben", approvals=1), house.theirs, Stage.PRODUCTION, EVIL)
    assert [each["by"] for each in event["approvals"]] == [ME]
    page.goto(house.model)
    expect(page.locator("#waiting-title")).to_be_hidden()
    ask(house.bench, "ben")
    expect(page.locator("#waiting li")).to_contain_text("0 of 1 approval", timeout=20_000)  # the page is kept true


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault_and_a_phone_shows_all(
    house: SimpleNamespace, page: Page, axe: Path, theme: Any
) -> None:
    page.emulate_media(color_scheme=theme)
    for address in (house.address, house.model, f"{house.model}/approve?version={house.mine.version}"):
        page.goto(address)
        assert faults(page, axe) == [], address
        page.set_viewport_size(PHONE)
        assert overflow(page) <= 0, address
        page.set_viewport_size({"width": 1280, "height": 720})


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetched_axe(tmp_path_factory.mktemp("axe"))
