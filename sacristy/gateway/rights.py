"""Who may do what: roles hold rights, every address names the right that it needs, and no name means nobody."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])


class TokenRole(StrEnum):
    """What a token is for; each role may do all that the ones before it may."""

    APPLICATION = "application"
    SCIENTIST = "scientist"
    OPS = "ops"


class Right(StrEnum):
    """What an address needs."""

    PREDICT = "predict"
    FEEDBACK = "feedback"
    STATISTICS = "statistics"
    RELEASE = "release"


_ASKING = frozenset({Right.PREDICT, Right.FEEDBACK})
RIGHTS: dict[TokenRole, frozenset[Right]] = {
    TokenRole.APPLICATION: _ASKING,
    TokenRole.SCIENTIST: _ASKING | {Right.STATISTICS},
    TokenRole.OPS: _ASKING | {Right.STATISTICS, Right.RELEASE},
}
PUBLIC = frozenset({"static", "api.health", "login.show", "login.enter"})  # all that answers to nobody in particular


def needs(right: Right) -> Callable[[View], View]:
    """Say which right a view needs: `@pages.get(...)` above, `@needs(Right.PREDICT)` below."""

    def mark(view: View) -> View:
        setattr(view, "right", right)  # noqa: B010 - a function has no such attribute for the type checker
        return view

    return mark


def right_of(view: Callable[..., Any]) -> Right | None:
    """Return the right that a view needs; None: it names none."""
    return getattr(view, "right", None)
