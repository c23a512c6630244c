"""Both pages, the whole way in a real browser: promote, ask, disagree, canary, take over, roll back."""

import shutil

import pytest
from playwright.sync_api import expect
from services.gateway.browsing import CHROMIUM, PHONE, faults, fetched_axe, launched, opened, overflow
from story import ROOT, Clone, ask

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"),
]
BODY = {"instances": [[0.0] * 64]}
EVIL = "<img src=x onerror=alert(1)> it's --better"
MODEL = "lamp"  # tests/lamp: trained in a second, in the environment of digits


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A stack without Omniboard, with two versions of a small model in staging, one after the other."""
    folder = tmp_path_factory.mktemp("pages") / "project"
    made = Clone.made(folder)
    made.environment["SACRISTY_OMNIBOARD_URL"] = "http://127.0.0.1:9"  # a site's own, which is away
    there = folder / "models" / MODEL
    shutil.copytree(ROOT / "tests" / MODEL, there, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("data.py", "Pipfile", "Pipfile.lock"):
        shutil.copy(ROOT / "models" / "digits" / file, there / file)
    made.git("add", "models")
    made.git("commit", "-m", "lamp")
    try:
        made.run("up")
        yield made
    finally:
        made.run("down")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def versions(clone):
    made = []
    for sharpness in ("1.0", "2.0"):
        clone.run("train", MODEL, "with", f"sharpness={sharpness}")
        made.append(clone.json("release", MODEL)["version"])
    return made


@pytest.fixture(scope="module")
def address(clone):
    return clone.json("status")["services"]["gateway"]["url"]


@pytest.fixture(scope="module")
def page(address, clone):
    with launched() as browser:
        token = (clone.home / "secrets" / "gateway-ops").read_text().strip()
        with opened(browser, address, token) as page:
            yield page


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    return fetched_axe(tmp_path_factory.mktemp("axe"))


def order(page, verb, why=EVIL):
    """Fill in the page that asks, and wait until the errand has ended well."""
    page.fill("#why", why)
    page.get_by_role("button", name=verb, exact=True).click()
    page.wait_for_selector("#outcome:not([data-state=running])", timeout=150_000)
    assert page.get_attribute("#outcome", "data-state") == "done", page.inner_text("#lines")
    page.get_by_role("link", name=f"Back to {MODEL}").click()


def answering(page):
    return page.inner_text("#production .big").split()[1]


def test_a_version_is_promoted_for_a_reason(page, address, versions):
    page.goto(f"{address}/operations")
    page.get_by_role("link", name=MODEL, exact=True).click()
    page.locator("tr", has_text=f"{versions[0]} run").get_by_role("link", name="to production…").click()
    page.get_by_role("button", name="Promote").click()
    assert page.url.endswith(f"stage=production&version={versions[0]}")  # the browser asks for a reason first
    assert f"sacristy promote {MODEL}:{versions[0]} production" in page.inner_text("pre")
    order(page, "Promote")
    assert answering(page) == versions[0]
    expect(page.locator("#production-state")).to_have_text("answers")
    assert EVIL in page.inner_text("#audit")
    assert page.locator("main img").count() == 0


def test_it_answers_is_disagreed_with_and_the_statistics_move(page, address, versions):
    page.goto(f"{address}/models/{MODEL}")
    page.focus("#drawing")
    for key in ("Space", "ArrowDown", "Space", "Enter"):
        page.keyboard.press(key)
    page.get_by_role("button", name="Predict").click()
    page.wait_for_selector("#origin")
    assert f"version {versions[0]}" in page.inner_text("#origin")
    page.get_by_role("button", name="No", exact=True).click()
    page.get_by_label("The right label").select_option(index=3)
    page.get_by_role("button", name="Send").click()
    page.wait_for_selector(".said")
    expect(page.locator(".tiles div:nth-child(4) dd")).to_contain_text("0 %", timeout=20_000)


def test_a_canary_is_tried_compared_and_takes_over(page, address, clone, versions):
    page.goto(f"{address}/operations/models/{MODEL}")
    page.locator("tr", has_text=f"{versions[1]} run").get_by_role("link", name="canary…").click()
    page.fill("#percent", "50")
    order(page, "Start", "to hear it sing")
    asked = {ask(f"{address}/models/{MODEL}/predict", BODY, clone.token)["version"] for _ in range(30)}
    assert asked == set(versions)
    expect(page.locator("[data-canary]")).to_contain_text("Both said the same in", timeout=20_000)
    assert page.locator("[data-canary] tbody tr").count() == 2
    page.get_by_role("link", name="Promote it to production…").click()
    order(page, "Promote")
    assert answering(page) == versions[1]
    assert page.locator("[data-canary]").count() == 0


def test_the_models_page_compares_both_versions(page, address, versions):
    page.goto(f"{address}/models/{MODEL}")
    heads = page.locator("[data-part=comparison] thead")
    expect(heads).to_contain_text(f"version {versions[0]}")
    expect(heads).to_contain_text(f"version {versions[1]}")
    assert page.locator("[data-part=comparison] tbody tr").count() == 3
    page.goto(f"{address}/operations/models/{MODEL}")


def test_it_is_rolled_back_and_the_audit_trail_says_who_and_why(page, clone, versions):
    page.locator("#production").get_by_role("link", name=f"Roll back to {versions[0]}…").click()
    order(page, "Roll back", "too loud")
    assert answering(page) == versions[0]
    last = clone.json("audit", MODEL)[-1]
    assert (last["action"], last["by"], last["why"]) == ("rolled_back", "ops", "too loud")
    assert "rolled back" in page.inner_text("#audit tbody tr:first-child")


def test_what_a_command_refuses_is_shown(page, address, versions):
    page.goto(f"{address}/operations/models/{MODEL}/drop")
    page.get_by_role("button", name="Drop").click()
    page.wait_for_selector("#outcome[data-state=failed]", timeout=150_000)
    assert "has neither a canary nor a mirror" in page.inner_text("#lines")


def test_a_form_of_another_site_orders_nothing(page, address, clone):
    form = {"stage": "production", "why": "x", "errand": "0" * 32}
    refused = page.request.post(f"{address}/operations/models/{MODEL}/rollback", form=form)
    assert refused.status == 403
    assert not (clone.home / "gateway" / "errands" / ("0" * 32)).exists()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault_and_a_phone_shows_all(page, address, axe, versions, theme):
    page.emulate_media(color_scheme=theme)
    paths = ("", f"/models/{MODEL}", f"/models/{MODEL}/promote?version={versions[1]}", f"/models/{MODEL}/rollback")
    for path in paths:
        page.goto(f"{address}/operations{path}")
        assert faults(page, axe) == [], path
        page.set_viewport_size(PHONE)
        assert overflow(page) <= 0, path
        page.set_viewport_size({"width": 1280, "height": 720})
