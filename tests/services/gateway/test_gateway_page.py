"""The model page in a real browser: drawn, typed, answered; nothing from a model becomes markup."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from playwright.sync_api import Page, sync_playwright

from sacristy.names import Stage
from sacristy.settings import Settings
from sacristy.stack.init import init
from sacristy.stack.ports import free_port
from sacristy.targets.routes import Route, set_route

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
HERE = Path(__file__).parent

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("pages")
    made = Settings(project=folder, home=folder / "home")
    init(made)
    return made


@pytest.fixture(scope="module")
def address(settings: Settings) -> Iterator[str]:
    """A gateway before three models with different schemas."""
    servers, ports = [], {}
    for name in ("digits", "news", "other", "gateway"):
        ports[name] = free_port()
        app = "sacristy.gateway.app:create_app()" if name == "gateway" else "answering:app"
        argv = [sys.executable, "-m", "gunicorn", "--chdir", str(HERE), "--threads", "8", "--no-control-socket"]
        environment = {
            "SACRISTY_PROJECT": str(settings.project),
            "SACRISTY_HOME": str(settings.home),
            "VERSION": "1",
            "KIND": name,
        }
        servers.append(subprocess.Popen([*argv, "--bind", f"127.0.0.1:{ports[name]}", app], env=environment))
        route = Route(f"http://127.0.0.1:{ports[name]}", "1", "sha256:" + "1" * 64, 1, "process", "x")
        set_route(settings.routes_file, name, Stage.PRODUCTION, route)
    http = urllib3.PoolManager(retries=urllib3.Retry(total=60, backoff_factor=0.1, backoff_max=0.2))
    for name, path in (("digits", "/"), ("news", "/"), ("other", "/"), ("gateway", "/health")):
        http.request("GET", f"http://127.0.0.1:{ports[name]}{path}")
    http.clear()
    yield f"http://127.0.0.1:{ports['gateway']}"
    for server in servers:
        server.terminate()
        server.wait()


@pytest.fixture
def page(address: str, settings: Settings) -> Iterator[Page]:
    """A page that is logged in, whose console must stay empty: the content policy reports there too."""
    told: list[str] = []
    with sync_playwright() as play, play.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser:
        page = browser.new_page()
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.goto(f"{address}/models/digits")  # which leads to the login, and back
        page.fill("#token", settings.secret("gateway-application"))
        page.get_by_role("button", name="Log in").click()
        page.wait_for_selector("#question")
        yield page
    assert told == []


def predict(page: Page) -> str:
    page.get_by_role("button", name="Predict").click()
    page.wait_for_selector("#origin:not(:empty)")
    return page.inner_text("#answer")


def test_a_drawn_digit_gets_an_answer_with_the_version_that_gave_it(page: Page, address: str) -> None:
    page.goto(f"{address}/models/digits")
    box = page.locator("#drawing").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 250, steps=5)
    page.mouse.up()
    with page.expect_request("**/predict*") as asked:
        answer = predict(page)
    cells = asked.value.post_data_json["instances"][0]
    assert len(cells) == 64
    assert 10 < max(cells) <= 16
    assert "90.0 %" in answer
    assert "version 1" in answer


def test_a_digit_can_be_drawn_by_keyboard_alone(page: Page, address: str) -> None:
    page.goto(f"{address}/models/digits")
    page.focus("#drawing")
    for key in ("Space", "ArrowDown", "Space", "ArrowDown", "Space"):
        page.keyboard.press(key)
    with page.expect_request("**/predict*") as asked:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
    assert sum(asked.value.post_data_json["instances"][0]) > 0


def test_a_text_is_sent_as_it_is_and_shown_as_text(page: Page, address: str) -> None:
    page.goto(f"{address}/models/news")
    page.fill("#text", 'Oil "rises" <b>é</b>')
    with page.expect_request("**/predict*") as asked:
        answer = predict(page)
    assert asked.value.post_data_json == {"instances": ['Oil "rises" <b>é</b>']}
    assert "<img src=x onerror=alert(1)>" in answer
    assert page.locator("#answer img").count() == 0


def test_an_unknown_schema_gets_a_box_for_json_and_its_faults_are_told(page: Page, address: str) -> None:
    page.goto(f"{address}/models/other")
    page.fill("#json", "{")
    page.get_by_role("button", name="Predict").click()
    page.wait_for_selector(".wrong")
    page.fill("#json", '{"a": 1}')
    assert "3.5" in predict(page)


@pytest.mark.parametrize("path", ["/", "/models/digits", "/models/news"])
def test_pages_fit_a_phone(page: Page, address: str, path: str) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(address + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
