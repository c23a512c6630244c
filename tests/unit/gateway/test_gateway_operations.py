"""What the pages for ops order: each action as the commands that do it, once, and never without a reason."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from sacristy.errors import ApprovalWithoutReason, InvalidInstance, InvalidName, UnknownErrand, WhyMissing
from sacristy.gateway import errands, operations_facts
from sacristy.gateway.app import create_app
from sacristy.gateway.database import Connection
from sacristy.gateway.operations import figure_name, moment, spoken
from sacristy.gateway.operations_actions import plan
from sacristy.gateway.operations_facts import Page, hindrance
from sacristy.gateway.proxy import Proxy
from sacristy.gateway.rights import TokenRole
from sacristy.gateway.tokens import add_token
from sacristy.release.approvals import Pending
from sacristy.settings import Settings

EVIL = "<script>alert(1)</script>"
IDENTITY = "0123456789abcdef" * 2
STAGE = {
    "version": "1",
    "answering": "1",
    "digest": "sha256:" + "a" * 64,
    "earlier": "3",
    "canary": None,
    "mirror": None,
}
VERSION = {
    "version": "2",
    "run": 2,
    "digest": "sha256:" + "b" * 64,
    "stages": [],
    "tested": True,
    "figures": {"accuracy": 0.9},
}
ASKED = Pending(
    *("news", "production", "2", 2, VERSION["digest"]),
    *("ben", EVIL, datetime(2026, 1, 2, tzinfo=UTC)),
    asked_by=("ben",),
    given=(),
    wanted=1,
)
Begun = list[list[str]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(project=tmp_path, home=tmp_path / "home", mongodb_url="mongodb://u:p@127.0.0.1:1/x")


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Begun:
    """Start no process; return what would have been started."""
    started: Begun = []
    monkeypatch.setattr(errands, "detach", lambda argv, **_: started.append(list(argv)))
    return started


@pytest.fixture
def waiting() -> list[Pending]:
    """What waits for a word: a test may change it."""
    return [ASKED]


@pytest.fixture
def client(settings: Settings, monkeypatch: pytest.MonkeyPatch, waiting: list[Pending]) -> FlaskClient:
    facts = {"stages": {"production": STAGE | {"ready": True, "state": "well"}}, "versions": [VERSION]}
    event = {"at": None, "by": EVIL, "action": "promoted", "model": "news", "stage": "production", "version": "1"}
    page = Page({"news": facts}, [event | {"from": None, "to": STAGE["digest"], "why": EVIL, "state": "done"}], waiting)
    for name in ("gather", "survey"):
        monkeypatch.setattr(f"sacristy.gateway.operations.{name}", lambda sources, model="": page)
    monkeypatch.setattr("sacristy.gateway.operations.hindrance", lambda settings: "")
    made = create_app(settings).test_client()
    token = add_token(settings.tokens_file, "ana", TokenRole.OPS, "tests")
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return made


@pytest.fixture
def beside(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A canary of version 4 and a mirror of version 5 are beside production."""
    shares = {"canary": {"version": "4", "percent": 10}, "mirror": {"version": "5", "percent": 100}}
    page = Page({"news": {"stages": {"production": STAGE | shares | {"state": "well"}}, "versions": [VERSION]}})
    monkeypatch.setattr("sacristy.gateway.operations.gather", lambda sources, model="": page)


@pytest.mark.usefixtures("beside")
def test_what_is_not_beside_a_stage_any_more_is_neither_promoted_nor_dropped(client: FlaskClient, begun: Begun) -> None:
    for action, version in (("take-over", "3"), ("take-over", "5"), ("drop", "3")):
        answer = order(client, action, version=version)
        assert (answer.status_code, f"now, not {version}." in answer.get_data(as_text=True)) == (409, True)
    assert begun == []
    assert order(client, "take-over", version="4").status_code == 303
    assert order(client, "drop", version="5", errand="f" * 32).status_code == 303
    assert len(begun) == 2


@pytest.mark.usefixtures("beside")
def test_to_promote_a_mirror_never_promotes_the_canary(client: FlaskClient) -> None:
    page = client.get("/operations/models/news").get_data(as_text=True)
    assert "/operations/models/news/take-over?stage=production&amp;version=4" in page
    assert "/operations/models/news/promote?stage=production&amp;version=5" in page
    assert "take-over?stage=production&amp;version=5" not in page


def order(client: FlaskClient, action: str = "promote", **fields: str) -> Any:
    form = {"stage": "production", "version": "2", "why": "better", "errand": IDENTITY, **fields}
    return client.post(f"/operations/models/news/{action}", data=form)


@pytest.mark.parametrize(
    ("action", "values", "commands"),
    [
        ("promote", {}, ["promote news:2 production --why=w", "deploy news production"]),
        ("approve", {}, ["approve news:2 production --why=w"]),
        ("rollback", {}, ["rollback news production --why=w"]),
        ("try", {"percent": "5"}, ["deploy news production --canary=5 --version=2 --why=w"]),
        ("try", {"kind": "mirror"}, ["deploy news production --mirror=10 --version=2 --why=w"]),
        ("take-over", {}, ["canary news --stage=production --promote --why=w"]),
        ("drop", {"stage": "staging"}, ["canary news --stage=staging --drop --why=w"]),
    ],
)
def test_an_action_is_the_commands_that_do_it(action: str, values: dict[str, str], commands: list[str]) -> None:
    given = plan("news", action, {"stage": "production", "version": "2", "why": "w"} | values)
    assert [" ".join(words) for words in given.commands] == commands


@pytest.mark.parametrize(
    "values", [{"percent": "0"}, {"percent": "x"}, {"percent": "101"}, {"kind": "lion"}, {"why": "x" * 501}]
)
def test_a_form_that_makes_no_sense_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(InvalidInstance):
        plan("news", "try", {"version": "2"} | values)


def test_words_of_a_form_follow_the_grammar() -> None:
    for values in ({"stage": "x"}, {"version": "--help"}):
        with pytest.raises(InvalidName):
            plan("news", "promote", {"version": "2"} | values)
    with pytest.raises(InvalidInstance):
        plan("news", "promote", {})


def test_production_moves_for_a_reason_only() -> None:
    for action in ("promote", "rollback", "take-over"):
        with pytest.raises(WhyMissing):
            plan("news", action, {"version": "2", "why": "  "}).require_why()
    with pytest.raises(ApprovalWithoutReason):
        plan("news", "approve", {"version": "2", "stage": "staging"}).require_why()
    plan("news", "drop", {}).require_why()
    plan("news", "promote", {"version": "2", "stage": "staging"}).require_why()


def test_an_order_is_begun_once_however_often_its_form_is_sent(client: FlaskClient, begun: Begun) -> None:
    answers = [order(client) for _ in range(3)]
    assert {(answer.status_code, answer.location) for answer in answers} == {(303, f"/operations/errands/{IDENTITY}")}
    assert [argv[1:3] for argv in begun] == [["-m", "sacristy.gateway.errand_runner"]]
    kept = json.loads((Path(begun[0][3]) / "errand.json").read_text())
    assert (kept["by"], kept["commands"][0]) == ("ana", ["promote", "news:2", "production", "--why=better"])


def test_a_form_sent_twice_while_it_is_being_begun_is_begun_once(client: FlaskClient, begun: Begun) -> None:
    order(client)
    (Path(begun[0][3]) / "errand.json").unlink()  # as another worker finds it between two of its steps
    assert (order(client).status_code, len(begun)) == (303, 1)


def test_what_waits_for_a_word_is_shown_and_approved_by_the_command(client: FlaskClient, begun: Begun) -> None:
    for path in ("", "/models/news"):
        page = client.get(f"/operations{path}").text
        assert "0 of 1 approval<" in page
        assert "/operations/models/news/approve?stage=production&amp;version=2" in page
        assert "<script>alert" not in page
    page = client.get("/operations/models/news/approve?version=2").text
    assert "sacristy approve news:2 production" in page
    assert "disabled" not in page
    assert order(client, "approve", why="").status_code == 400
    assert order(client, "approve").status_code == 303
    kept = json.loads((Path(begun[0][3]) / "errand.json").read_text())
    assert (kept["by"], kept["commands"]) == ("ana", [["approve", "news:2", "production", "--why=better"]])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"asked_by": ("ana",), "by": "ana"}, "It was asked for by you"),
        ({"given": ({"by": "ana", "why": "w", "at": None},), "wanted": 2}, "It was approved by you"),
    ],
)
def test_nobody_is_somebody_else_to_himself(
    client: FlaskClient, begun: Begun, waiting: list[Pending], change: dict[str, Any], told: str
) -> None:
    waiting[:] = [replace(ASKED, **change)]
    assert told in client.get("/operations").text
    assert "/approve?" not in client.get("/operations").text
    page = client.get("/operations/models/news/approve?version=2").text
    assert told in page
    assert "disabled" in page
    answer = order(client, "approve")
    assert (answer.status_code, told in answer.text) == (409, True)
    assert begun == []


def test_who_asked_beside_others_may_approve_of_what_they_asked(client: FlaskClient, waiting: list[Pending]) -> None:
    waiting[:] = [replace(ASKED, asked_by=("ben", "ana"))]
    assert "/approve?" in client.get("/operations").text


def test_what_has_its_approvals_waits_for_who_promotes(client: FlaskClient, waiting: list[Pending]) -> None:
    waiting[:] = [replace(ASKED, given=({"by": "cleo", "why": EVIL, "at": None},))]
    page = client.get("/operations").text
    assert "1 of 1 approval<" in page
    assert "cleo approves" in page
    assert "/operations/models/news/promote?stage=production&amp;version=2" in page
    waiting[:] = [replace(ASKED, given=({"by": "ana", "why": "good", "at": None},))]
    page = client.get("/operations").text
    assert "ben may promote it" in page
    assert "/operations/models/news/promote?stage" not in page


def test_a_form_of_another_site_approves_nothing(client: FlaskClient, settings: Settings, begun: Begun) -> None:
    del client.environ_base["HTTP_AUTHORIZATION"]
    page = client.get("/login").text
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf
    token = add_token(settings.tokens_file, "ida", TokenRole.OPS, "tests")
    assert client.post("/login", data={"csrf": csrf[1], "token": token}).status_code == 303
    assert order(client, "approve").status_code == 403
    assert order(client, "approve", csrf="x" * 32).status_code == 403
    assert begun == []
    with client.session_transaction() as session:
        mine = session["csrf"]
    assert order(client, "approve", csrf=mine).status_code == 303


def test_without_a_reason_the_form_comes_back_and_nothing_is_begun(client: FlaskClient, begun: Begun) -> None:
    answer = order(client, why=" ")
    assert answer.status_code == 400
    assert "needs a reason" in answer.text
    assert IDENTITY in answer.text
    assert begun == []


def test_a_gateway_that_lacks_what_acting_needs_begins_nothing(
    client: FlaskClient, begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sacristy.gateway.operations.hindrance", lambda settings: "it holds no key")
    assert order(client).status_code == 409
    assert "may look, not act" in client.get("/operations").text
    assert begun == []


def test_a_page_asks_before_it_acts_and_names_the_command(client: FlaskClient, begun: Begun) -> None:
    page = client.get("/operations/models/news/promote?version=2").text
    assert "sacristy promote news:2 production --why=&#39;…&#39;" in page
    assert re.search(r'name="errand" value="[0-9a-f]{32}"', page)
    assert begun == []


def test_what_people_wrote_is_escaped(client: FlaskClient, begun: Begun) -> None:
    order(client, why=EVIL)
    (Path(begun[0][3]) / "log").write_text(f"{EVIL}\n\x1b[32mdone\x1b[0m")
    for path in ("", "/models/news", f"/errands/{IDENTITY}"):
        page = client.get(f"/operations{path}").text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page
    assert "\x1b" not in page


@pytest.mark.parametrize("role", [TokenRole.APPLICATION, TokenRole.SCIENTIST])
def test_only_ops_may_see_and_order(client: FlaskClient, settings: Settings, begun: Begun, role: TokenRole) -> None:
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {add_token(settings.tokens_file, 'eve', role, 'tests')}"
    assert client.get("/operations").status_code == 403
    assert order(client).status_code == 403
    assert begun == []


@pytest.mark.parametrize(
    "path", ["/models/news/explode", "/models/News", f"/errands/{'0' * 32}", "/errands/..%2f..%2fx"]
)
def test_what_is_not_there_is_told(client: FlaskClient, path: str) -> None:
    assert client.get(f"/operations{path}").status_code in (400, 404)


def test_an_errand_tells_how_it_ended(settings: Settings, begun: Begun) -> None:
    given = plan("news", "rollback", {"why": "w"})
    errands.begin(settings, IDENTITY, given.title, given.order, "ana")
    folder = Path(begun[0][3])
    assert errands.report(settings, IDENTITY).state == "running"
    errands.write(folder / "runner.json", {"pid": 2**22 + 1, "after_boot_s": 0.0})
    assert errands.report(settings, IDENTITY).state == "lost"
    errands.write(folder / "ended.json", {"code": 1, "took_s": 2.5})
    assert errands.report(settings, IDENTITY).state == "failed"
    errands.write(folder / "ended.json", {"code": 0, "took_s": 2.5})
    assert [(each.state, each.took_s) for each in errands.recent(settings)] == [("done", 2.5)]


def test_an_unknown_errand_is_named_as_such(settings: Settings) -> None:
    with pytest.raises(UnknownErrand):
        errands.report(settings, IDENTITY)
    with pytest.raises(InvalidName):
        errands.report(settings, "../../etc")


def test_a_gateway_without_the_commands_secrets_says_so(settings: Settings, tmp_path: Path) -> None:
    assert "key that releases are signed with" in hindrance(settings)
    assert "password" in hindrance(Settings(project=tmp_path, home=tmp_path / "none"))


@pytest.mark.parametrize(
    ("state", "answers", "told"),
    [
        ({"version": "2", "answering": "2"}, True, "well"),
        ({"version": "2", "answering": "1"}, True, "adrift"),
        ({"version": "2", "answering": "2"}, False, "silent"),
        ({"version": "2", "answering": None}, False, "none"),
        ({"version": None, "answering": "2"}, True, "well"),
    ],
)
def test_a_stages_state_is_one_word(state: dict[str, Any], answers: bool, told: str) -> None:
    assert operations_facts._state(state, answers) == told


def test_the_overview_is_shared_for_a_second(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Page] = []
    monkeypatch.setattr(operations_facts, "gather", lambda sources: made.append(Page()) or made[-1])
    sources = operations_facts.Sources(settings, Proxy(settings), Connection(settings))
    assert operations_facts.survey(sources) is operations_facts.survey(sources)
    monkeypatch.setattr(operations_facts, "SHARED_S", -1.0)
    operations_facts.survey(sources)
    assert len(made) == 2


def test_commands_are_shown_as_a_person_types_them() -> None:
    assert spoken(["rollback", "news", "--why=it's slow"]) == """sacristy rollback news --why='it'"'"'s slow'"""
    assert spoken(["canary", "news", "--drop"]) == "sacristy canary news --drop"
    assert moment("2026-01-02T03:04:05+00:00") == "2026-01-02 03:04:05"
    assert moment(None) == ""


def test_figures_are_shown_with_their_units() -> None:
    names = ("latency_p95_ms", "memory_mib", "ready_s", "macro_f1", "s")
    assert [figure_name(name) for name in names] == ["latency p95, ms", "memory, MiB", "ready, s", "macro f1", "s"]
