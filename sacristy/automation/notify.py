"""Telling a web hook how a release went: one JSON object, whose `text` chat services show as it is."""

from __future__ import annotations

import contextlib

import httpx

from sacristy.errors import NotificationFailed, NotInitialised
from sacristy.settings import Settings

TIMEOUT_S = 10.0


def message(model: str, outcome: str, link: str, detail: str = "") -> dict[str, str]:
    """Return what is told."""
    text = f"{model}: {outcome}" + (f" ({detail})" if detail else "") + (f" {link}" if link else "")
    return {"model": model, "outcome": outcome, "link": link, "detail": detail, "text": text}


def address(settings: Settings) -> str:
    """Return the web hook that the settings name, or an empty string. It holds a secret: never print it."""
    if settings.notify_url:
        return settings.notify_url.get_secret_value()
    with contextlib.suppress(NotInitialised):
        return settings.secret("notify-url")
    return ""


def send(url: str, content: dict[str, str]) -> None:
    """Post it. Raises NotificationFailed, without the address."""
    try:
        answer = httpx.post(url, json=content, timeout=TIMEOUT_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotificationFailed(reason=f"the web hook does not answer ({type(error).__name__})") from None
    if answer.is_error:
        raise NotificationFailed(reason=f"the web hook answers {answer.status_code}")
