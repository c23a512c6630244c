"""Who may ask the gateway what: denied unless a rule allows it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sacristy.errors import InvalidName, TokenTaken, UnknownToken
from sacristy.gateway.app import create_app
from sacristy.gateway.limits import Limits, Rate
from sacristy.gateway.openapi import describe
from sacristy.gateway.rights import PUBLIC, RIGHTS, Right, TokenRole, right_of
from sacristy.gateway.tokens import add_token, admit, read_tokens, remove_token
from sacristy.settings import Settings
from sacristy.stack.init import init

METHODS = ("GET", "POST", "PUT", "DELETE")


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with secrets; each test has a copy, for keys take their time."""
    folder = tmp_path_factory.mktemp("initialised")
    init(Settings(project=folder, home=folder / "home"))
    return folder / "home"


@pytest.fixture
def settings(tmp_path: Path, initialised: Path) -> Settings:
    shutil.copytree(initialised, tmp_path / "home")
    return Settings(project=tmp_path, home=tmp_path / "home", mongodb_url="mongodb://127.0.0.1:1")


@pytest.fixture
def app(settings: Settings) -> Flask:
    return create_app(settings)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def bearer(settings: Settings, role: TokenRole) -> dict[str, str]:
    return {"Authorization": f"Bearer {settings.secret(f'gateway-{role}')}"}


def addresses(app: Flask) -> Iterator[tuple[str, str, Right | None]]:
    """Yield method, path and right of every address that is not public."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint not in PUBLIC:
            path = re.sub(r"<[^>]+>", "digits", rule.rule)
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                yield method, path, right_of(app.view_functions[rule.endpoint])


def csrf_of(client: FlaskClient, path: str = "/login") -> str:
    return re.search(r'name="csrf" value="([^"]+)"', client.get(path).get_data(as_text=True))[1]


def log_in(client: FlaskClient, settings: Settings, role: TokenRole = TokenRole.OPS) -> None:
    form = {"token": settings.secret(f"gateway-{role}"), "csrf": csrf_of(client), "next": "/"}
    assert client.post("/login", data=form).status_code == 303


def test_what_is_public_is_short_and_nothing_else_is_without_a_right(app: Flask) -> None:
    assert {"static", "api.health", "login.show", "login.enter"} == PUBLIC
    assert [(method, path) for method, path, right in addresses(app) if right is None] == []


def test_every_address_refuses_whoever_shows_no_token_or_a_wrong_one(app: Flask, client: FlaskClient) -> None:
    for method, path, _ in addresses(app):
        answer = client.open(path, method=method)
        assert answer.status_code == 401 or answer.location.startswith("/login"), path
        with app.test_client() as other:
            wrong = {"Authorization": "Bearer wrong"}
            addressed = {"REMOTE_ADDR": f"10.0.0.{abs(hash((method, path))) % 250}"}
            assert other.open(path, method=method, headers=wrong, environ_base=addressed).status_code in (401, 429)


@pytest.mark.parametrize("role", list(TokenRole))
def test_every_address_refuses_a_role_without_its_right(
    app: Flask, client: FlaskClient, settings: Settings, role: TokenRole
) -> None:
    for method, path, right in addresses(app):
        if right not in RIGHTS[role]:
            assert client.open(path, method=method, headers=bearer(settings, role)).status_code == 403, path


def test_roles_hold_what_the_ones_before_them_hold() -> None:
    rights = [RIGHTS[role] for role in TokenRole]
    assert rights[0] < rights[1] < rights[2] == set(Right)


def test_a_refusal_says_how_to_ask(client: FlaskClient) -> None:
    answer = client.get("/models")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json["error"]["code"] == "not_authenticated"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dTpw", "Bearer a b", "Bearer " + "x" * 5000, "ß"])
def test_strange_credentials_are_no_credentials(client: FlaskClient, header: str) -> None:
    assert client.get("/models", headers={"Authorization": header}).status_code in (401, 429)


def test_only_hashes_are_stored(settings: Settings) -> None:
    secret = add_token(settings.tokens_file, "shop", TokenRole.APPLICATION, "ana")
    assert secret not in settings.tokens_file.read_text()
    assert len(secret) > 43
    assert settings.tokens_file.stat().st_mode & 0o777 == 0o600


def test_a_removed_token_is_worthless_at_once(client: FlaskClient, settings: Settings) -> None:
    secret = add_token(settings.tokens_file, "shop", TokenRole.APPLICATION, "ana")
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get("/models", headers=headers).status_code == 200
    remove_token(settings.tokens_file, "shop")
    assert client.get("/models", headers=headers).status_code == 401


def test_names_of_tokens_are_checked_and_used_once(settings: Settings) -> None:
    with pytest.raises(InvalidName):
        add_token(settings.tokens_file, "a b", TokenRole.OPS, "ana")
    with pytest.raises(TokenTaken):
        add_token(settings.tokens_file, "ops", TokenRole.OPS, "ana")
    with pytest.raises(UnknownToken, match="application, ops, scientist"):
        remove_token(settings.tokens_file, "nobody")


def test_a_token_that_init_made_anew_takes_the_place_of_the_old_one(settings: Settings) -> None:
    assert not admit(settings.tokens_file, "ops", TokenRole.OPS, settings.secret("gateway-ops"))
    assert admit(settings.tokens_file, "ops", TokenRole.OPS, "another")
    assert [token.name for token in read_tokens(settings.tokens_file)].count("ops") == 1


def test_a_damaged_file_leaves_the_last_good_tokens(client: FlaskClient, settings: Settings) -> None:
    headers = bearer(settings, TokenRole.OPS)
    assert client.get("/models", headers=headers).status_code == 200
    settings.tokens_file.write_text(json.dumps({"tokens": [{"name": "x"}]}))
    assert client.get("/models", headers=headers).status_code == 200


def test_a_token_has_a_rate_and_is_told_when_to_come_back(client: FlaskClient, settings: Settings) -> None:
    secret = add_token(settings.tokens_file, "slow", TokenRole.APPLICATION, "ana", per_second=2)
    answers = [client.get("/models", headers={"Authorization": f"Bearer {secret}"}) for _ in range(4)]
    assert [answer.status_code for answer in answers][:2] == [200, 200]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) == 1


def test_a_rate_below_one_a_second_lets_one_through(client: FlaskClient, settings: Settings) -> None:
    secret = add_token(settings.tokens_file, "rare", TokenRole.APPLICATION, "ana", per_second=0.1)
    answers = [client.get("/models", headers={"Authorization": f"Bearer {secret}"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert int(answers[1].headers["Retry-After"]) in (9, 10)


def test_a_browser_is_led_to_the_login_and_back(client: FlaskClient, settings: Settings) -> None:
    assert client.get("/models/digits?stage=staging").location == "/login?next=%2Fmodels%2Fdigits%3Fstage%3Dstaging"
    form = {"token": settings.secret("gateway-ops"), "csrf": csrf_of(client), "next": "/models/digits"}
    answer = client.post("/login", data=form)
    assert (answer.status_code, answer.location) == (303, "/models/digits")
    cookies = " ".join(answer.headers.getlist("Set-Cookie"))
    assert cookies.count("HttpOnly") == cookies.count("SameSite=Strict") == 2
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:1",
        "/\t/evil.example",
        "/\n/evil.example",
    ],
)
def test_a_login_leads_to_no_other_site(client: FlaskClient, settings: Settings, place: str) -> None:
    form = {"token": settings.secret("gateway-ops"), "csrf": csrf_of(client), "next": place}
    assert client.post("/login", data=form).location == "/"


def test_five_wrong_logins_and_an_address_has_to_wait(client: FlaskClient, settings: Settings) -> None:
    csrf = csrf_of(client)
    answers = [client.post("/login", data={"token": "wrong", "csrf": csrf}).status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]
    right = client.post("/login", data={"token": settings.secret("gateway-ops"), "csrf": csrf})
    assert (right.status_code, int(right.headers["Retry-After"]) > 0) == (429, True)
    elsewhere = {"X-Forwarded-For": "10.1.2.3"}
    form = {"token": settings.secret("gateway-ops"), "csrf": csrf}
    assert client.post("/login", data=form, headers=elsewhere).status_code == 303


def test_a_form_of_another_site_is_refused(client: FlaskClient, settings: Settings) -> None:
    assert client.post("/login", data={"token": settings.secret("gateway-ops")}).status_code == 403
    log_in(client, settings)
    assert client.post("/logout").status_code == 403
    assert client.post("/models/digits/predict", json={"instances": [1]}).status_code == 403
    shown = {"X-CSRF-Token": csrf_of(client, "/")}
    assert client.post("/models/digits/predict", json={"instances": [1]}, headers=shown).status_code == 404


def test_logged_out_is_logged_out(client: FlaskClient, settings: Settings) -> None:
    log_in(client, settings)
    assert client.post("/logout", data={"csrf": csrf_of(client, "/")}).status_code == 303
    assert client.get("/").status_code == 303


def test_a_session_ends_with_its_token(client: FlaskClient, settings: Settings) -> None:
    log_in(client, settings)
    remove_token(settings.tokens_file, "ops")
    assert client.get("/").status_code == 303


def test_a_forged_session_is_none(client: FlaskClient) -> None:
    client.set_cookie("sacristy_session", "eyJuYW1lIjoib3BzIn0.aaaa.bbbb")
    assert client.get("/").status_code == 303


def test_a_rate_lets_a_burst_through_and_then_its_share(tmp_path: Path) -> None:
    now = [1000.0]
    limits = Limits(tmp_path / "limits", clock=lambda: now[0])
    rate = Rate(per_second=10, burst=3)
    assert [limits.take("a", rate) for _ in range(3)] == [0.0] * 3
    assert limits.take("a", rate) == pytest.approx(0.1)
    assert limits.take("b", rate) == 0.0
    now[0] += 0.1
    assert (limits.take("a", rate), limits.take("a", rate) > 0) == (0.0, True)
    limits.close()


def test_a_clock_that_was_set_back_locks_nobody_out(tmp_path: Path) -> None:
    now = [1e9]
    limits = Limits(tmp_path / "limits", clock=lambda: now[0])
    limits.take("a", Rate(1, 2))
    now[0] = 1000.0
    limits.take("a", Rate(1, 2))
    now[0] += 1
    assert limits.take("a", Rate(1, 2)) == 0.0
    limits.close()


def test_workers_share_a_rate(tmp_path: Path) -> None:
    one, two = (Limits(tmp_path / "limits", clock=lambda: 5.0) for _ in range(2))
    assert one.take("a", Rate(1, 1)) == 0.0
    assert two.take("a", Rate(1, 1)) > 0
    one.close()
    two.close()


def test_the_gateways_openapi_lists_every_address_that_is_no_page(app: Flask, client: FlaskClient) -> None:
    programs = {"api", "insight", "metrics", "openapi", "ops"}
    rules = {rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.partition(".")[0] in programs}
    assert {re.sub(r"<([^>]+)>", r"{\1}", rule) for rule in rules} == set(describe([])["paths"])
