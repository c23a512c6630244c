"""The picture of a search in its run card: a line for each trial across all that was varied, and the metric by each.

`search` is what the search's run notes: {"plan": {"space", "metric", "mode"...}, "trials": [...], "best": [runs]}.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from typing import Any

WIDTH, HEIGHT, MARGIN = 760, 240, 44
SMALL_WIDTH, SMALL_HEIGHT, SMALL_MARGIN = 320, 150, 24
MOST_TRIALS = 1000
MOST_ROWS = 10
GOOD, EARLY, FAILED = "#2a6f97", "#b9b4a7", "#c1440e"
Trial = dict[str, Any]
Place = Callable[[Any], float]  # from 0 to 1 along an axis


def picture(search: dict[str, Any]) -> str:
    """Return the section of the card as HTML; nothing for a search without trials."""
    plan, trials = search.get("plan") or {}, list(search.get("trials") or [])[-MOST_TRIALS:]
    if not trials or not plan.get("space"):
        return ""
    metric, best = str(plan.get("metric")), set(search.get("best") or [])
    valued = [trial for trial in trials if trial.get("value") is not None]
    figures = "".join(scatter(name, knob, metric, valued, best) for name, knob in plan["space"].items())
    return (
        f"<h2>Search</h2><p>{_said(plan, trials)}</p>{parallel(plan, valued, best)}<div>{figures}</div>"
        f"{ranking(plan, trials, best)}"
    )


def parallel(plan: dict[str, Any], trials: Sequence[Trial], best: set[Any]) -> str:
    """Return parallel coordinates: an axis for each knob and one for the metric, a line for each trial."""
    axes = [*plan["space"].items(), (str(plan.get("metric")), _values(trials))]
    places = [axis(knob) for _, knob in axes]
    lines = []
    for trial in sorted(trials, key=lambda trial: trial.get("run") in best):  # the best lie on top
        values = [*(trial["values"].get(name) for name in plan["space"]), trial["value"]]
        points = " ".join(
            f"{_x(i, len(axes)):.1f},{_y(place(v)):.1f}"
            for i, (place, v) in enumerate(zip(places, values, strict=True))
        )
        lines.append(f'<polyline points="{points}" style="{_style(trial, best)}">{_title(trial)}</polyline>')
    marks = "".join(_axis(name, knob, _x(i, len(axes))) for i, (name, knob) in enumerate(axes))
    label = "each trial as a line across its values and its outcome"
    return f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{label}">{"".join(lines)}{marks}</svg>'


def scatter(name: str, knob: dict[str, Any], metric: str, trials: Sequence[Trial], best: set[Any]) -> str:
    """Return the metric of each trial by one of its values."""
    across, up = axis(knob), axis(_values(trials))
    dots = []
    for trial in trials:
        x = SMALL_MARGIN + (SMALL_WIDTH - 2 * SMALL_MARGIN) * across(trial["values"].get(name))
        y = SMALL_HEIGHT - SMALL_MARGIN - (SMALL_HEIGHT - 2 * SMALL_MARGIN) * up(trial["value"])
        size = 5 if trial.get("run") in best else 3
        dots.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{_colour(trial)}">{_title(trial)}</circle>')
    low, high = ends(knob)
    label = f"{metric} by {spelled(name)}"
    frame = f'width="{SMALL_WIDTH}" height="{SMALL_HEIGHT}" role="img" aria-label="{_text(label)}"'
    picture = f"<svg {frame}>{''.join(dots)}</svg>"
    scale = ", by magnitude" if knob.get("log") else ""
    return (
        f"<figure>{picture}<figcaption>{_text(label)} (from {_text(low)} to {_text(high)}{scale})</figcaption></figure>"
    )


def ranking(plan: dict[str, Any], trials: Sequence[Trial], best: set[Any]) -> str:
    """Return a table of the best trials that were trained to their end, and of those that failed."""
    sign = -1 if plan.get("mode") == "max" else 1
    ended = [trial for trial in trials if trial["status"] == "COMPLETED" and trial.get("value") is not None]
    ranked = sorted(ended, key=lambda trial: (sign * trial["value"], trial["number"]))[:MOST_ROWS]
    failed = [trial for trial in trials if trial["status"] == "FAILED"][:MOST_ROWS]
    names = list(plan["space"])
    head = "".join(f"<th>{_text(name)}" for name in ("trial", "run", "", plan.get("metric"), *map(spelled, names)))
    rows = []
    for trial in [*ranked, *failed]:
        word = "best" if trial.get("run") in best else "" if trial["status"] == "COMPLETED" else trial["status"].lower()
        cells = (trial["number"], trial.get("run"), word, trial.get("value"), *(trial["values"].get(n) for n in names))
        rows.append("<tr>" + "".join(f"<td>{_text('' if cell is None else cell)}" for cell in cells))
    return f"<table><tr>{head}{''.join(rows)}</table>" if rows else ""


def axis(knob: dict[str, Any]) -> Place:
    """Return where a value lies along a knob's axis, from 0 to 1; in the middle, what has no place on it."""
    if "choice" in knob:
        places = {repr(value): place for place, value in enumerate(knob["choice"])}
        return lambda value: (places[repr(value)] + 0.5) / len(places) if repr(value) in places else 0.5
    scale: Callable[[float], float] = math.log if knob.get("log") else float
    low, high = scale(knob["low"]), scale(knob["high"])

    def place(value: Any) -> float:
        if not isinstance(value, (int, float)) or not math.isfinite(value) or (knob.get("log") and value <= 0):
            return 0.5
        return min(1.0, max(0.0, (scale(value) - low) / ((high - low) or 1)))

    return place


def ends(knob: dict[str, Any]) -> tuple[Any, Any]:
    """Return what stands at the ends of a knob's axis."""
    if "choice" in knob:
        return knob["choice"][0], knob["choice"][-1]
    return tuple(f"{knob[end]:.4g}" for end in ("low", "high"))  # type: ignore[return-value]


def spelled(name: str) -> str:
    """Return the name of a configuration entry, whose dots MongoDB keeps as commas."""
    return name.replace(",", ".")


def _values(trials: Sequence[Trial]) -> dict[str, Any]:
    found = [trial["value"] for trial in trials] or [0.0]
    return {"low": min(found), "high": max(found), "log": False}


def _said(plan: dict[str, Any], trials: Sequence[Trial]) -> str:
    counts = {status: sum(trial["status"] == status for trial in trials) for status in ("STOPPED", "FAILED")}
    words = f"{len(trials)} of {plan.get('trials')} trials, drawn by {plan.get('sampler')} with seed {plan.get('seed')}"
    colours = (
        ("trained to the end", GOOD),
        (f"{counts['STOPPED']} stopped early", EARLY),
        (f"{counts['FAILED']} failed", FAILED),
    )
    legend = ", ".join(f'<span style="color:{colour}">■</span> {_text(word)}' for word, colour in colours)
    return f"{_text(words)}: {legend}"


def _axis(name: str, knob: dict[str, Any], x: float) -> str:
    low, high = ends(knob)
    anchor = "start" if x < WIDTH / 3 else "end" if x > 2 * WIDTH / 3 else "middle"
    line = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{MARGIN}" y2="{HEIGHT - MARGIN}" stroke="#888"/>'
    words = ((spelled(name), MARGIN - 22, "bold"), (high, MARGIN - 6, "normal"), (low, HEIGHT - MARGIN + 16, "normal"))
    return line + "".join(
        f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-size="12" font-weight="{weight}">{_text(word)}</text>'
        for word, y, weight in words
    )


def _x(place: int, count: int) -> float:
    return MARGIN + (WIDTH - 2 * MARGIN) * (place / max(1, count - 1))


def _y(place: float) -> float:
    return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * place


def _style(trial: Trial, best: set[Any]) -> str:
    width = 3 if trial.get("run") in best else 1
    return f"stroke:{_colour(trial)};stroke-width:{width}"


def _colour(trial: Trial) -> str:
    return {"COMPLETED": GOOD, "FAILED": FAILED}.get(trial["status"], EARLY)


def _title(trial: Trial) -> str:
    return f"<title>trial {_text(trial['number'])}, run {_text(trial.get('run'))}: {_text(trial['value'])}</title>"


def _text(value: Any) -> str:
    return html.escape(f"{value:.6g}" if isinstance(value, float) else str(value))
