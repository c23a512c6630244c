"""Pages for those who operate models: what runs, what could, what was done; each action with the command that it is.

The pages read with the gateway's own rights. An action is a form, a page that asks whether it is meant, and an errand
(errands.py): the very command, run under the name of the token.
"""

from __future__ import annotations

import secrets
import shlex
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from sacristy.errors import ApprovalWithoutReason, ModelNotServed, RequestRefused, SacristyError, WhyMissing
from sacristy.gateway import errands
from sacristy.gateway.asking import user
from sacristy.gateway.database import Connection
from sacristy.gateway.operations_actions import ACTIONS, APPROVE, BESIDE, TAKE_OVER, Plan, plan
from sacristy.gateway.operations_facts import Page, Sources, gather, hindrance, survey
from sacristy.gateway.page_runs import title_of
from sacristy.gateway.pages import shown_error
from sacristy.gateway.proxy import Proxy
from sacristy.gateway.rights import Right, needs
from sacristy.names import Stage, parse_model
from sacristy.settings import Settings
from sacristy.targets.routes import ShareKind

UNITS = {"ms": "ms", "s": "s", "mib": "MiB"}


def routes(settings: Settings, proxy: Proxy, connection: Connection) -> Blueprint:
    """Return the pages for ops."""
    pages = Blueprint("operations", __name__)
    pages.register_error_handler(SacristyError, shown_error)
    pages.context_processor(
        lambda: {
            "moment": moment,
            "spoken": spoken,
            "figure_name": figure_name,
            "title_of": lambda m: title_of(settings, m),
        }
    )
    sources = Sources(settings, proxy, connection)
    _add_views(pages, sources)
    _add_actions(pages, sources)
    return pages


def _add_views(pages: Blueprint, sources: Sources) -> None:
    settings = sources.settings

    @pages.get("/operations")
    @needs(Right.RELEASE)
    def show() -> str:
        found = survey(sources)
        return render_template(
            "operations.html", page=found, errands=errands.recent(settings), kept=hindrance(settings), who=user()
        )

    @pages.get("/operations/models/<model>")
    @needs(Right.RELEASE)
    def model(model: str) -> str:
        facts = _found(sources, model)
        found = [each for each in errands.recent(settings, 20) if each.errand.model == model][:3]
        return render_template(
            "operations_model.html", model=model, page=facts, facts=facts.models[model], errands=found,
            stages=list(Stage), kept=hindrance(settings), policy=settings.promotion, who=user(),
        )  # fmt: skip

    @pages.get("/operations/errands/<identity>")
    @needs(Right.RELEASE)
    def errand(identity: str) -> str:
        return render_template("operations_errand.html", report=errands.report(settings, identity))


def _add_actions(pages: Blueprint, sources: Sources) -> None:
    @pages.get("/operations/models/<model>/<action>")
    @needs(Right.RELEASE)
    def ask(model: str, action: str) -> Response:
        given = _plan(model, action, request.args)
        return _asked(sources, given, "", 200)

    @pages.post("/operations/models/<model>/<action>")
    @needs(Right.RELEASE)
    def begin(model: str, action: str) -> Response:
        given = _plan(model, action, request.form)
        if kept := hindrance(sources.settings):
            return _asked(sources, given, f"this gateway cannot do it: {kept}", 409)
        try:
            given.require_why()
        except (WhyMissing, ApprovalWithoutReason) as error:
            return _asked(sources, given, str(error), error.http_status)
        if given.name in (APPROVE, *BESIDE) and (problem := refusal(_found(sources, model), given, user())):
            return _asked(sources, given, problem, 409)
        identity = request.form.get("errand", "")
        errand = errands.begin(sources.settings, identity, given.title, given.order, user())
        return redirect(f"/operations/errands/{errand.id}", 303)


def _plan(model: str, action: str, values: Any) -> Plan:
    if action not in ACTIONS:
        raise RequestRefused(field="action", reason=f"{action!r} is none", expected=", ".join(ACTIONS))
    return plan(parse_model(model), action, values)


def refusal(page: Page, given: Plan, who: str) -> str:
    """Return why somebody may not do it, or an empty string.

    Who asked is not somebody else, who could approve; and what was read is not beside the stage any more.
    """
    if given.name in BESIDE:
        return _gone(page.models[given.model]["stages"].get(str(given.stage), {}), given)
    asked = (given.model, given.version, str(given.stage))
    waiting = [each for each in page.waiting if (each.model, each.version, each.stage) == asked]
    why = waiting[0].refuses(who) if waiting and given.name == APPROVE else ""
    return f"It was {why}: somebody else has to agree." if why else ""


def _gone(state: dict[str, Any], given: Plan) -> str:
    """Return what is beside the stage instead of the version that a form was made for, if so. The canary takes over."""
    there = [state[kind]["version"] for kind in ShareKind if state.get(kind)]
    meant = there[:1] if given.name == TAKE_OVER else there
    if not given.version or given.version in meant:
        return ""
    return (
        f"It would be version {' and '.join(meant)} now, not {given.version}." if meant else "It is not there any more."
    )


def _asked(sources: Sources, given: Plan, problem: str, status: int) -> Response:
    """Return the page that asks whether an action is meant. The id in its form makes sending it twice harmless."""
    page = _found(sources, given.model)
    facts = page.models[given.model]
    text = render_template(
        "operations_ask.html",
        barred=refusal(page, given, user()),
        plan=given,
        facts=facts,
        now=facts["stages"].get(str(given.stage), {}),
        versions={each["version"]: each for each in facts["versions"]},
        problem=problem,
        errand=request.form.get("errand") or secrets.token_hex(16),
        kept=hindrance(sources.settings),
        policy=sources.settings.promotion,
    )
    return make_response(text, status)


def _found(sources: Sources, model: str) -> Any:
    page = gather(sources, parse_model(model))
    facts = page.models[model]
    if not facts["stages"] and not facts["versions"] and not page.away:
        known = ", ".join(sources.proxy.table.routes())
        raise ModelNotServed(model=model, known=known or "none yet")
    return page


def moment(value: Any) -> str:
    """Return a time as pages show it."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else ""


def figure_name(name: str) -> str:
    """Return the name of a test's figure with its unit, such as 'latency p95, ms'."""
    plain, _, unit = name.rpartition("_")
    return f"{plain.replace('_', ' ')}, {UNITS[unit]}" if unit in UNITS and plain else name.replace("_", " ")


def spoken(words: list[str]) -> str:
    """Return a command as a person types it; a reason that is still to be given as '…'."""
    return " ".join(["sacristy", *map(_typed, words)])


def _typed(word: str) -> str:
    name, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    if equals and not value:
        return f"{name}='…'"
    return f"{name}{equals}{shlex.quote(value)}" if equals or not name else shlex.quote(word)
