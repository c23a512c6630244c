"""run-card.html: a run on one page, with its curves drawn in the page itself; nothing is loaded from elsewhere."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sacristy.tracking.links import answer_link, image_link, weights_link
from sacristy.tracking.outline import Outline
from sacristy.tracking.search_picture import picture
from sacristy.tracking.state import RunState

FILE = "run-card.html"
WIDTH, HEIGHT, MARGIN = 320, 120, 8
MOST_CURVES = 24
MISFORMED = (TypeError, ValueError, LookupError, AttributeError)  # what a training noted under a name of ours
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.6rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}table{border-collapse:collapse}
td,th{padding:.2rem 1rem .2rem 0;text-align:left;vertical-align:top}th{color:#666;font-weight:400}
figure{display:inline-block;margin:0 1rem 1rem 0}figcaption{font-size:.85rem;color:#555;max-width:320px}
svg{background:#f6f6f4;border-radius:4px}polyline{fill:none;stroke:#2a6f97;stroke-width:1.5}
code{background:#f6f6f4;padding:.1rem .3rem;border-radius:3px;overflow-wrap:anywhere}
"""


@dataclass(frozen=True)
class Link:
    """A text that leads to an address; only the text, where there is none."""

    text: str
    address: str


def write_card(folder: Path, state: RunState, run: int | None, gateway: str = "") -> None:
    """Write the card into the journal's folder and attach it to the run.

    A full disk leaves it out, and so does a note of a form that no card expects: the run itself is to arrive.
    """
    try:
        (folder / FILE).write_text(card(state.about, curves(state), run, gateway), encoding="utf-8")
    except (OSError, *MISFORMED):
        return
    state.attach(FILE, FILE, "text/html")


def curves(state: RunState) -> dict[str, tuple[list[int], list[float]]]:
    """Return the steps and values to draw, by metric."""
    chosen = list(state.metrics.items())[:MOST_CURVES]
    return {name: filing.outline.points()[:2] for name, filing in chosen}


def card(
    about: dict[str, Any], drawn: dict[str, tuple[list[int], list[float]]], run: int | None, gateway: str = ""
) -> str:
    """Return the page. `about`: the document's fields by dotted path."""
    model = str(about.get("sacristy.model", ""))
    number = "without a number yet" if run is None else str(run)
    title = f"{model} · run {number}"
    figures = "".join(_figure(name, *points) for name, points in drawn.items())
    sections = [
        f"<h1>{_text(title)}</h1><p>{_text(about.get('status'))}</p>",
        _table("Result", _flat(about.get("result"))),
        picture(about.get("sacristy.search") or {}),
        f"<h2>Curves</h2>{figures}" if figures else "",
        _table("Where it comes from", _origin(about)),
        _table("What became of it", release(about, gateway)),
        _table("Weights", {file["name"]: _weights_link(file, gateway) for file in _weights(about)}),
        _table("Configuration", _flat(about.get("config"))),
        _next_steps(about, model, run),
    ]
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{_text(title)}</title><style>{STYLE}</style>"
    return head + "\n".join(section for section in sections if section) + "</html>\n"


def polyline(steps: list[int], values: list[float]) -> str:
    """Return the points of a curve scaled to the picture; values that are not finite are left out.

    Of long curves only the outline is drawn: the lowest and the highest point of each of as many stretches as the
    picture has columns.
    """
    outline = Outline(WIDTH)
    outline.extend(steps, values, steps)
    points = [point for point in zip(*outline.points()[:2], strict=True) if math.isfinite(point[1])]
    if not points:
        return ""
    left, right = min(p[0] for p in points), max(p[0] for p in points)
    low, high = min(p[1] for p in points), max(p[1] for p in points)
    places = []
    for step, value in points:
        x = MARGIN + (WIDTH - 2 * MARGIN) * ((step - left) / ((right - left) or 1))
        y = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (value / 2 - low / 2) / ((high / 2 - low / 2) or 1)
        places.append(f"{x:.1f},{y:.1f}")
    return " ".join(dict.fromkeys(places))


def _figure(name: str, steps: list[int], values: list[float]) -> str:
    last = f"{values[-1]:.6g}" if values else "none"
    low, high = (f"{pick((v for v in values if v == v), default=math.nan):.4g}" for pick in (min, max))
    line = f'<polyline points="{polyline(steps, values)}"/>'
    picture = f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{_text(name)}">{line}</svg>'
    return f"<figure>{picture}<figcaption>{_text(name)}: {last} (from {low} to {high})</figcaption></figure>"


def _origin(about: dict[str, Any]) -> dict[str, Any]:
    dirty = " with changes that are in no commit" if about.get("sacristy.dirty") else ""
    data = about.get("sacristy.data") or {}
    rows = {
        "commit": f"{about.get('sacristy.commit') or 'none'}{dirty}",
        "data": f"{data.get('name')} · {data.get('digest')} · {data.get('rows')} rows" if data else None,
        "lock": about.get("sacristy.lock"),
        "continues run": about.get("sacristy.parent"),
        "repeats run": about.get("sacristy.repeats"),
        "search": _part(about),
        "started": about.get("start_time"),
        "ended": about.get("stop_time"),
        "host": (about.get("host") or {}).get("hostname"),
    }
    return {name: value for name, value in rows.items() if value}


def _part(about: dict[str, Any]) -> str | None:
    """Return which trial of which search a run is, and whether that search ended it early."""
    trial = about.get("sacristy.trial")
    if not isinstance(trial, dict):
        return None
    early = ", which stopped it early" if about.get("sacristy.stopped_by") else ""
    return f"trial {trial.get('number')} of search {trial.get('search')}{early}"


def release(about: dict[str, Any], gateway: str = "") -> dict[str, Any]:
    """Return the run's image, its verdict, and the stages that it was moved to, as rows."""
    verdict = about.get("sacristy.acceptance") or {}
    model = str(about.get("sacristy.model", ""))
    rows: dict[str, Any] = {}
    if verdict:
        digest = str(verdict.get("digest"))
        rows["image"] = Link(f"{model}:{verdict.get('version')} · {digest}", image_link(gateway, model, digest))
        rows["acceptance"] = "passed" if verdict.get("passed") else f"not passed: {verdict.get('reason')}"
    for stage, move in (about.get("sacristy.stages") or {}).items():
        rows[f"moved to {stage}"] = f"{_minute(move.get('at'))} by {move.get('by')}"
        if move.get("until"):
            rows[f"moved to {stage}"] += f", until {_minute(move['until'])}"
        else:
            rows[f"answers in {stage}"] = Link(f"ask {model} in {stage}", answer_link(gateway, model, stage))
    for stage, place in (about.get("sacristy.deployments") or {}).items():
        rows[f"deployment in {stage}"] = f"{place.get('state')} on {place.get('target')} {place.get('reason', '')}"
    return rows


def _next_steps(about: dict[str, Any], model: str, run: int | None) -> str:
    if run is None:
        return ""
    rows = {"see it whole": f"sacristy show {run} --metrics"}
    if searched := about.get("sacristy.search"):
        rows["go on"] = f"sacristy search {model} --resume {run} --trials {2 * len(searched.get('trials') or [0])}"
        if searched.get("best"):
            rows["release the best"] = f"sacristy release {model} --run {searched['best'][0]}"
    else:
        rows["repeat it"] = f"sacristy reproduce {run}"
    if about.get("sacristy.weights") and not about.get("sacristy.acceptance"):
        rows["release it"] = f"sacristy release {model} --run {run}"
    lines = "".join(f"<tr><th>{what}<td><code>{_text(command)}</code>" for what, command in rows.items())
    return f"<h2>Next</h2><table>{lines}</table>"


def _weights_link(file: dict[str, Any], gateway: str) -> Link:
    name, digest = str(file["name"]), str(file["digest"])
    return Link(f"{digest} · {file['size']:,} bytes", weights_link(gateway, digest, name))


def _minute(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _weights(about: dict[str, Any]) -> list[dict[str, Any]]:
    found = about.get("sacristy.weights") or []
    return [file for file in found if isinstance(file, dict) and {"name", "digest", "size"} <= file.keys()]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {} if value is None else {prefix or "result": value}
    found: dict[str, Any] = {}
    for name, item in value.items():
        found |= _flat(item, f"{prefix}.{name}" if prefix else str(name))
    return found


def _table(title: str, rows: dict[str, Any]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr><th>{_text(name)}<td>{_text(value)}" for name, value in rows.items())
    return f"<h2>{title}</h2><table>{lines}</table>"


def _text(value: Any) -> str:
    if not isinstance(value, Link):
        return html.escape(str(value))
    if not value.address.startswith(("http://", "https://")):
        return html.escape(value.text)
    # Omniboard shows the card in a sandboxed frame, out of which a click may only lead as a whole.
    return f'<a target="_top" href="{html.escape(value.address)}">{html.escape(value.text)}</a>'
