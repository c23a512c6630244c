"""What people see: the list of models, and a page for each where a prediction can be tried."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Blueprint, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from sacristy.errors import NotAuthenticated, SacristyError
from sacristy.gateway import page_runs, records
from sacristy.gateway.api import listed
from sacristy.gateway.asking import asked_stage
from sacristy.gateway.forms import Form, choose_form
from sacristy.gateway.proxy import Proxy, Question
from sacristy.gateway.rights import Right, needs
from sacristy.names import Stage
from sacristy.settings import Settings


def routes(proxy: Proxy, settings: Settings) -> Blueprint:
    """Return the pages for people."""
    pages = Blueprint("pages", __name__)

    @pages.context_processor
    def everywhere() -> dict[str, Any]:
        return {"title_of": lambda model: page_runs.title_of(settings, model)}

    pages.register_error_handler(SacristyError, shown_error)

    @pages.get("/")
    @needs(Right.PREDICT)
    def index() -> str:
        return render_template("index.html", models=listed(proxy))

    @pages.get("/models/<model>")
    @needs(Right.PREDICT)
    def try_model(model: str) -> str:
        stage = asked_stage()
        route = proxy.route(model, stage)
        return render_template(
            "model.html",
            model=model,
            stage=stage,
            route=route,
            stages=listed(proxy)[model],
            form=_form(proxy, model, stage),
            predict=f"/models/{model}/predict?" + urlencode({"stage": stage}),
        )

    records.add_to(pages, settings)
    page_runs.add_to(pages, settings)
    return pages


def shown_error(error: SacristyError) -> AnyResponse:
    """Return the page that tells of a failure; the login, where it is that nobody is logged in."""
    if isinstance(error, NotAuthenticated) and "Authorization" not in request.headers:
        return redirect("/login?" + urlencode({"next": request.full_path.rstrip("?")}), 303)
    response = make_response(render_template("error.html", error=error), error.http_status)
    if "retry_after_s" in error.fields:
        response.headers["Retry-After"] = str(error.fields["retry_after_s"])
    return response


def _form(proxy: Proxy, model: str, stage: Stage) -> Form:
    """Return the form for the model that answers now; a box for JSON where its schema is not understood."""
    answer = proxy.ask(Question(model, stage, "/openapi.json")).answer
    try:
        return choose_form(orjson.loads(answer.body))
    except (ValueError, AttributeError, TypeError):
        return Form("json")
