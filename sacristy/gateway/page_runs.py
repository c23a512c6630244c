"""From an answer to the run that made it: Omniboard's page, where there is one."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, redirect
from werkzeug.wrappers import Response

from sacristy.errors import RunWithoutPage, SacristyError
from sacristy.gateway.rights import Right, needs
from sacristy.names import parse_run
from sacristy.project import load_model
from sacristy.settings import DATABASE, Settings


def add_to(pages: Blueprint, settings: Settings) -> None:
    """Add the view to the pages for people, whose login and errors it shares."""

    @pages.get("/runs/<run>")
    @needs(Right.PREDICT)
    def run(run: str) -> Response:
        return redirect(run_page(settings, parse_run(run)), 303)


def run_page(settings: Settings, run: int) -> str:
    """Return Omniboard's page with a run opened. Raises RunWithoutPage."""
    base = settings.service_url("omniboard")
    if not base:
        raise RunWithoutPage(run=run)
    query = urlencode({"showDrillDownRunModal": "true", "runIdToExpand": run, "runIdStatus": "COMPLETED"})
    return f"{base}/{DATABASE}?{query}"


def title_of(settings: Settings, model: str) -> str:
    """Return the line that a model.toml has for people; empty of a model whose folder is not here."""
    try:
        return load_model(settings.project, model).file.title
    except SacristyError:
        return ""
