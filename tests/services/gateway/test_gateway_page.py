"""The model pages in a real browser: asked, answered, disagreed with; nothing from a model or a user becomes markup."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from playwright.sync_api import Browser, Page, expect
from services.gateway.browsing import CHROMIUM, PHONE, faults, fetched_axe, launched, opened, overflow

from sacristy.names import Stage
from sacristy.settings import Role, Settings
from sacristy.stack.init import init
from sacristy.stack.ports import free_port
from sacristy.targets.routes import Route, Share, ShareKind, set_route, set_share

HERE = Path(__file__).parent
EVIL = "<img src=x onerror=alert(1)>"
MODELS = {
    "digits": "Handwritten digits",
    "news": f"News {EVIL}",
    "reviews": "Reviews, and which words say so",
    "rides": "Rides",
    "other": "Something else",
}
TOML = "title = {title}\n[gates]\nmetric = 'accuracy'\nminimum = 0.5\n"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, mongod: Any) -> Settings:
    folder = tmp_path_factory.mktemp("pages")
    for name, title in MODELS.items():
        (folder / "models" / name).mkdir(parents=True)
        (folder / "models" / name / "model.toml").write_text(TOML.format(title=json.dumps(title)))
    made = Settings(project=folder, home=folder / "home", mongodb_url=mongod.url(Role.GATEWAY))
    init(made)
    return made


@pytest.fixture(scope="module")
def address(settings: Settings) -> Iterator[str]:
    """A gateway before models with different schemas; a canary with all requests stands beside one of them."""
    assert settings.mongodb_url
    servers, ports = [], {}
    for name in (*MODELS, "canary", "gateway"):
        ports[name] = free_port()
        app = "sacristy.gateway.app:create_app()" if name == "gateway" else "answering:app"
        argv = [sys.executable, "-m", "gunicorn", "--chdir", str(HERE), "--threads", "8", "--no-control-socket"]
        environment = {
            "SACRISTY_PROJECT": str(settings.project),
            "SACRISTY_HOME": str(settings.home),
            "SACRISTY_MONGODB_URL": settings.mongodb_url.get_secret_value(),
            "VERSION": "2" if name == "canary" else "1",
            "KIND": "news" if name == "canary" else name,
        }
        command = [*argv, "--bind", f"127.0.0.1:{ports[name]}", app]
        servers.append(subprocess.Popen(command, env=os.environ | environment))
    http = urllib3.PoolManager(retries=urllib3.Retry(total=60, backoff_factor=0.1, backoff_max=0.2))
    for name, port in ports.items():
        http.request("GET", f"http://127.0.0.1:{port}/{'health' if name == 'gateway' else 'openapi.json'}")
        if name in MODELS:
            set_route(settings.routes_file, name, Stage.PRODUCTION, _route(port, "1"))
    set_share(
        settings.routes_file, "news", Stage.PRODUCTION, ShareKind.CANARY, Share(_route(ports["canary"], "2"), 100)
    )
    http.clear()
    yield f"http://127.0.0.1:{ports['gateway']}"
    for server in servers:
        server.terminate()
        server.wait()


def _route(port: int, version: str) -> Route:
    return Route(f"http://127.0.0.1:{port}", version, "sha256:" + version * 64, int(version), "process", f"x{port}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def visit(browser: Browser, address: str, settings: Settings) -> Iterator[Callable[[str], Page]]:
    """One logged-in page for all tests; each begins by going somewhere."""
    with opened(browser, address, settings.secret("gateway-scientist")) as page:

        def go(path: str) -> Page:
            page.unroute_all()
            page.goto(address + path)
            return page

        yield go


def predict(page: Page) -> str:
    page.get_by_role("button", name="Predict").click()
    page.wait_for_selector("#origin")
    return page.inner_text("#answer")


def sent(page: Page) -> Any:
    """Press the button and return what the page asked."""
    with page.expect_request("**/predict*") as asked:
        predict(page)
    return asked.value.post_data_json


def write(page: Page, text: str) -> None:
    page.fill("#text", text)
    predict(page)


def test_a_drawn_digit_gets_an_answer_with_the_version_that_gave_it(visit: Callable[[str], Page]) -> None:
    page = visit("/models/digits")
    box = page.locator("#drawing").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 250, steps=5)
    page.mouse.up()
    cells = sent(page)["instances"][0]
    assert len(cells) == 64
    assert 10 < max(cells) <= 16
    assert "90.0 %" in page.inner_text("#answer")
    assert "version 1" in page.inner_text("#origin")


def test_a_digit_can_be_drawn_by_keyboard_alone(visit: Callable[[str], Page]) -> None:
    page = visit("/models/digits")
    page.focus("#drawing")
    for key in ("Space", "ArrowDown", "Space", "ArrowDown", "Space"):
        page.keyboard.press(key)
    with page.expect_request("**/predict*") as asked:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
    assert sum(asked.value.post_data_json["instances"][0]) > 0


def test_what_is_empty_is_not_asked(visit: Callable[[str], Page]) -> None:
    for model, told in (("digits", "draw a digit first"), ("news", "write something first"), ("other", "as JSON")):
        page = visit(f"/models/{model}")
        page.evaluate("void (window.fetch = () => document.body.replaceChildren('it was asked'))")
        page.get_by_role("button", name="Predict").click()
        assert told in page.inner_text("#fault")


def test_a_text_is_sent_as_it_is_and_shown_as_text(visit: Callable[[str], Page]) -> None:
    page = visit("/models/news")
    assert EVIL in page.inner_text(".lead")
    page.fill("#text", 'Oil "rises" <b>é</b>')
    assert sent(page) == {"instances": ['Oil "rises" <b>é</b>']}
    assert EVIL in page.inner_text(".verdict")
    assert page.locator("main img").count() == 0


def test_a_canarys_answer_says_that_it_is_one(visit: Callable[[str], Page]) -> None:
    page = visit("/models/news")
    write(page, "Oil")
    assert "canary" in page.inner_text("#origin")
    assert "version 2" in page.inner_text("#origin")


def test_a_text_has_a_count_and_is_asked_by_keyboard(visit: Callable[[str], Page]) -> None:
    page = visit("/models/reviews")
    page.fill("#text", "a" * 1001)
    assert page.inner_text("#count") == "1,001 of 1,000 characters"
    page.keyboard.press("Control+Enter")
    assert "1 characters too long" in page.inner_text("#fault")
    page.fill("#text", "😀")
    assert page.inner_text("#count").startswith("1 of")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#origin")


def test_the_words_that_mattered_are_marked_in_the_text_and_listed(visit: Callable[[str], Page]) -> None:
    page = visit("/models/reviews")
    page.fill("#text", f"Great CAFÉ, rude waiter. {EVIL}")
    assert sent(page)["explain"] is True
    assert page.inner_text(".passage") == f"Great CAFÉ, rude waiter. {EVIL}"
    assert page.inner_text("mark.down-3") == "rude"
    assert page.get_attribute("mark.up-3", "title") == "+2.10"
    assert page.inner_text(".pulls li:first-child .amount") == "−3.20"
    assert page.locator("main img").count() == 0


def test_a_form_is_made_from_the_schema(visit: Callable[[str], Page]) -> None:
    page = visit("/models/rides")
    page.get_by_role("button", name="Predict").click()
    assert page.inner_text("#fault") == "Distance is missing."
    page.get_by_label("Distance").fill("7.5")
    page.get_by_label("zone").select_option("airport")
    page.get_by_label("night").check()
    page.get_by_role("button", name="Add one").click()
    page.get_by_label("minutes").fill("4")
    ride = {"distance_km": 7.5, "passengers": 1, "zone": "airport", "night": True, "stops": [{"minutes": 4}]}
    assert sent(page) == {"instances": [ride]}
    assert "12.5" in page.inner_text("#answer")


def test_an_unknown_schema_gets_a_box_for_json_and_its_faults_are_told(visit: Callable[[str], Page]) -> None:
    page = visit("/models/other")
    page.fill("#json", "{")
    page.get_by_role("button", name="Predict").click()
    assert "This is not JSON" in page.inner_text("#fault")
    page.fill("#json", '{"a": 1}')
    assert "3.5" in predict(page)


def test_a_slow_answer_can_be_given_up_and_a_missing_gateway_is_told(visit: Callable[[str], Page]) -> None:
    page = visit("/models/news")
    page.route("**/predict*", lambda route: None)
    page.fill("#text", "Oil")
    page.get_by_role("button", name="Predict").click()
    page.get_by_role("button", name="Stop").click()
    assert "You stopped asking" in page.inner_text("#problem")
    page.unroute_all()
    page.route("**/predict*", lambda route: route.abort())
    page.get_by_role("button", name="Predict").click()
    page.wait_for_selector("#problem:has-text('does not answer')")
    assert page.get_by_role("button", name="Predict").is_enabled()


def test_disagreement_is_kept_with_the_prediction_and_moves_the_statistics(visit: Callable[[str], Page]) -> None:
    page = visit("/models/reviews")
    write(page, "Great")
    opinions = page.locator(".tiles div:nth-child(3) dd")
    page.get_by_role("button", name="Yes").click()
    expect(page.locator(".said")).to_contain_text("this was right")
    write(page, "rude")
    page.get_by_role("button", name="No, it is “positive”").click()
    expect(page.locator(".said")).to_contain_text("right is “positive”")
    expect(opinions).to_contain_text("2opinions", timeout=20_000)
    expect(page.locator(".tiles div:nth-child(4) dd")).to_contain_text("50 %")
    expect(page.locator(".labels [role=img]").first).to_have_attribute("aria-label", re.compile("negative .* %"))
    page.get_by_text("All figures as a table").click()
    assert "50.0 % (" in page.inner_text("[data-part=table]")


def test_statistics_that_cannot_be_had_leave_the_last_ones_and_say_so(visit: Callable[[str], Page]) -> None:
    page = visit("/models/reviews")
    page.wait_for_selector(".tiles div")
    page.route("**/statistics*", lambda route: route.abort())
    page.get_by_role("button", name="24 h").click()
    expect(page.locator(".live.stale")).to_contain_text("as of")
    assert page.locator(".tiles div").count() == 4


def test_one_of_many_labels_can_be_named_as_the_right_one(visit: Callable[[str], Page]) -> None:
    page = visit("/models/news")
    write(page, "Oil")
    page.get_by_role("button", name="No", exact=True).click()
    page.get_by_label("The right label").select_option("Sports")
    with page.expect_request("**/feedback") as asked:
        page.get_by_role("button", name="Send").click()
    page.wait_for_selector(".said")
    body = asked.value.post_data_json
    assert body.pop("label") == "Sports"
    assert len(body.pop("prediction_id")) == 27
    assert body == {}


def test_feedback_that_is_replayed_changed_forged_or_without_csrf_is_refused(visit: Callable[[str], Page]) -> None:
    page = visit("/models/reviews")
    write(page, "Great")
    with page.expect_request("**/feedback") as asked:
        page.get_by_role("button", name="Yes").click()
    page.wait_for_selector(".said")
    body, csrf = asked.value.post_data_json, {"X-CSRF-Token": page.get_attribute("meta[name=csrf]", "content")}
    address = asked.value.url
    again = page.request.post(address, data=body, headers=csrf)
    assert (again.status, again.json()["new"]) == (200, False)
    assert page.request.post(address, data=body | {"correct": False}, headers=csrf).status == 409
    forged = body | {"prediction_id": "A" * 27}
    assert page.request.post(address, data=forged, headers=csrf).status == 404
    assert page.request.post(address, data=body | {"comment": "x" * 20_000}, headers=csrf).status == 413
    assert page.request.post(address, data=body).status == 403


def test_the_chosen_theme_is_kept(visit: Callable[[str], Page]) -> None:
    page = visit("/models/reviews")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Use the dark theme").click()
    dark = page.evaluate(paper)
    page.reload()
    assert page.evaluate(paper) == dark != light
    page.get_by_role("button", name="Use the light theme").click()
    assert page.evaluate("localStorage.length") == 0  # the system's own again


def test_without_a_run_page_the_command_is_named(visit: Callable[[str], Page]) -> None:
    page = visit("/runs/1")
    assert "sacristy show 1" in page.inner_text("main")


def test_who_may_not_see_statistics_is_shown_none(browser: Browser, address: str, settings: Settings) -> None:
    with opened(browser, address, settings.secret("gateway-application"), viewport=PHONE) as page:
        for path in ("/", *(f"/models/{model}" for model in MODELS)):
            page.goto(address + path)
            assert overflow(page) <= 0, path
        assert page.locator("#statistics").count() == 0
        assert page.get_by_role("link", name="Operations").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser: Browser, address: str, settings: Settings, axe: Path, theme: Any) -> None:
    with opened(browser, address, settings.secret("gateway-scientist"), color_scheme=theme) as page:
        for path in ("/", "/models/digits", "/models/rides", "/models/nothing"):
            page.goto(address + path)
            assert faults(page, axe) == [], path
        page.goto(f"{address}/models/reviews")
        page.fill("#text", "Great tacos, rude waiter")
        predict(page)
        page.wait_for_selector(".tiles div")
        assert faults(page, axe) == []


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetched_axe(tmp_path_factory.mktemp("axe"))
