"""What a search varies, and the values that a trial gets. Standard library only: Ray's environment imports it too.

A knob is plain JSON: {"low", "high", "log"} for a range, of whole numbers if both ends are, or {"choice": [...]}.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

Knob = Mapping[str, Any]
Space = Mapping[str, Knob]
Values = dict[str, Any]
LOG = ":log"
DIGITS = 6  # of a drawn number: more are noise in every table


def draw(space: Space, seed: int, number: int) -> Values:
    """Return the values of a trial: the same for the same seed and number, in whatever order trials are drawn."""
    source = random.Random(f"{seed}/{number}")  # noqa: S311 - no secret
    return {name: _value(space[name], source) for name in sorted(space)}


def _value(knob: Knob, source: random.Random) -> Any:
    if "choice" in knob:
        return source.choice(knob["choice"])
    low, high = knob["low"], knob["high"]
    if knob["log"]:
        drawn = math.exp(source.uniform(math.log(low), math.log(high)))
    elif is_whole(knob):
        return source.randint(low, high)
    else:
        drawn = source.uniform(low, high)
    return within(knob, round(drawn) if is_whole(knob) else drawn)


def within(knob: Knob, value: Any) -> Any:
    """Return a value of a knob with as many digits as a search needs, and still in its range."""
    if "choice" in knob:
        return value
    short = float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
    return min(max(short, knob["low"]), knob["high"])


def is_whole(knob: Knob) -> bool:
    """Say whether a range is one of whole numbers."""
    return type(knob["low"]) is int and type(knob["high"]) is int


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Return a name and its knob as the command line has them: lr=1e-4..0.1:log, width=2..8 or decay=0,0.1,0.3.

    The knob is not checked beyond its form. Raises ValueError, which says what is wrong.
    """
    name, equals, rest = text.partition("=")
    if not (name and equals and rest):
        raise ValueError("it is not NAME=LOW..HIGH, NAME=LOW..HIGH:log or NAME=A,B,C")
    if ".." not in rest:
        return name, {"choice": [literal(word) for word in rest.split(",")]}
    low, _, high = rest.removesuffix(LOG).partition("..")
    ends = [literal(low), literal(high)]
    if not all(type(end) in (int, float) for end in ends):
        raise ValueError(f"{rest} is no range of numbers")
    return name, {"low": ends[0], "high": ends[1], "log": rest.endswith(LOG)}


def spell(name: str, knob: Knob) -> str:
    """Return a knob as `parse` takes it."""
    if "choice" in knob:
        return f"{name}={','.join(map(_spelled, knob['choice']))}"
    return f"{name}={knob['low']}..{knob['high']}{LOG if knob['log'] else ''}"


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) and literal(value) == value else json.dumps(value)


def literal(word: str) -> Any:
    """Return a number, true, false or null as JSON has them, and any other word as itself."""
    try:
        return json.loads(word)
    except ValueError:
        return word


def training_words(words: Sequence[str], values: Values, comment: str) -> list[str]:
    """Return what follows train.py: the user's words, with the trial's values after them, which therefore win."""
    before, after = list(words), []
    if "with" in words:
        at = words.index("with")
        before, after = list(words[:at]), list(words[at + 1 :])
    own = [] if {"-c", "--comment"} & set(before) else ["--comment", comment]
    return [*before, *own, "with", *after, *(f"{name}={value!r}" for name, value in values.items())]
