"""Asking Jenkins through python-jenkins: time-outs, one kind of error, and what may be asked again.

python-jenkins reports a refusal in many forms ("Possibly authentication failed [500]" among them); here each becomes
one of ours. A request that may have reached Jenkins without an answer raises NoAnswer with `sent`: only reading is
then asked again by this module; who wrote something has to look first (triggering.py).
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NameResolutionError, NewConnectionError

import jenkins
from sacristy.errors import (
    JenkinsFailed,
    JenkinsForbidden,
    JenkinsItemMissing,
    JenkinsRefused,
    JenkinsUnreachable,
    SacristyError,
)
from sacristy.settings import Settings

log = logging.getLogger(__name__)

TIMEOUT_S = 20.0
PATIENCE_S = 10.0  # for which reading is tried again
STALE_CRUMB = "No valid crumb"
STARTING, PROXY_GAVE_UP = 503, (502, 504)
MOVED = (301, 307, 308)  # Jenkins itself leads on with 302 and 303
LEADS_TO = "X-Leads-To"  # where the answer to a change leads, which is not followed
KNOWN_FAULTS = {
    "refused": "connection refused",
    "name or service not known": "its name is not known",
    "certificate": "its certificate is not trusted",
    "reset": "the connection was reset",
    "invalid url": "that is no address",
    "no connection adapters": "that is no http address",
}
Json = Any


class NoAnswer(Exception):
    """No answer came. `sent`: Jenkins may have had the request all the same."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class Client:
    """One user's way into one Jenkins. `sleep` and `clock` are there to be replaced where time is played."""

    def __init__(
        self,
        url: str,
        user: str,
        token: str,
        *,
        timeout_s: float = TIMEOUT_S,
        patience_s: float = PATIENCE_S,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url, self.user = url.rstrip("/"), user
        self.patience_s, self.sleep, self.clock = patience_s, sleep, clock
        self._server = jenkins.Jenkins(self.url, user, token, timeout=timeout_s)

    def get(self, path: str, item: str, *, patience_s: float | None = None) -> requests.Response:
        """Read. Asked again while nothing answers, for as long as the patience lasts.

        `item` names what is read, for the error. Raises JenkinsUnreachable, JenkinsItemMissing and the refusals.
        """
        deadline = self.clock() + (self.patience_s if patience_s is None else patience_s)
        pause_s = 0.2
        while True:
            try:
                return self._send(requests.Request("GET", f"{self.url}/{path}"), f"reading {item}", item)
            except NoAnswer as error:
                if self.clock() + pause_s > deadline:
                    raise JenkinsUnreachable(url=self.url, reason=error) from None
                log.debug("%s: %s; again in %s s", path, error, pause_s)
            self.sleep(pause_s)
            pause_s = min(pause_s * 2, 5.0)

    def get_json(self, path: str, item: str, *, patience_s: float | None = None) -> Json:
        """Read JSON. Raises what `get` raises, and JenkinsFailed for another kind of answer."""
        answer = self.get(path, item, patience_s=patience_s)
        try:
            return json.loads(answer.text)
        except ValueError:
            reason = "it is not JSON"
            raise JenkinsFailed(doing=f"reading {item}", status=answer.status_code, reason=reason) from None

    def get_xml(self, path: str, item: str) -> str:
        """Read XML. Jenkins writes it as UTF-8 and does not say so: its encoding would be guessed."""
        return self.get(path, item).content.decode("utf-8", "replace")

    def post(
        self, path: str, doing: str, item: str, data: Mapping[str, str] | bytes, content_type: str = ""
    ) -> requests.Response:
        """Change something, once. Raises NoAnswer, which says whether it was sent, and what `get` raises.

        Data goes into the body: Jenkins answers 400 to an address of more than 8 KB. Where the answer leads is not
        followed (`led_to`): the change is done, and that page may not be there (a queue item has none).
        """
        headers = {"Content-Type": content_type} if content_type else {}
        hooks = {"response": _stay}
        request = requests.Request("POST", f"{self.url}/{path}", data=data, headers=headers, hooks=hooks)
        self._fetch_crumb()
        try:
            return self._at_home(self._send(request, doing, item), doing)
        except JenkinsForbidden as error:
            if STALE_CRUMB not in error.fields["said"]:
                raise
        self._server.crumb = None  # of a session that ended when Jenkins was started anew; nothing was done
        self._fetch_crumb()
        return self._at_home(self._send(request, doing, item), doing)

    def whoami(self) -> str:
        """Return the id of the user that Jenkins takes us for."""
        return str(self.get_json("me/api/json?tree=id", "who we are").get("id"))

    def _fetch_crumb(self) -> None:
        if self._server.crumb is None:
            try:
                self._try(
                    lambda: self._server.maybe_add_crumb(requests.Request("POST", self.url)), "asking for a crumb", ""
                )
            except NoAnswer as error:
                raise NoAnswer(str(error), sent=False) from None

    def _send(self, request: requests.Request, doing: str, item: str) -> requests.Response:
        posted = request.method == "POST"
        answer: requests.Response = self._try(
            lambda: self._server.jenkins_request(request, add_crumb=posted), doing, item
        )
        return answer

    def _at_home(self, answer: requests.Response, doing: str) -> requests.Response:
        """Return an answer unless it is a proxy's that leads to Jenkins' right address: nothing was done then."""
        there = answer.headers.get(LEADS_TO, "")
        same = there and urlsplit(there).path == urlsplit(answer.url).path
        if answer.status_code not in MOVED and not same:
            return answer
        reason = f"jenkins_url leads to {there or 'another address'}; set it to that"
        raise JenkinsFailed(doing=doing, status=answer.status_code, reason=reason)

    def _try(self, work: Callable[[], Any], doing: str, item: str) -> Any:
        try:
            return work()
        except jenkins.NotFoundException:
            raise JenkinsItemMissing(item=item) from None
        except jenkins.TimeoutException as error:
            raise NoAnswer(
                "it took too long", sent=not isinstance(error.__context__, requests.ConnectTimeout)
            ) from None
        except jenkins.JenkinsException as error:
            raise self._refusal(*_status_of(error), doing) from None
        except requests.HTTPError as error:
            raise self._refusal(*_answer_of(error), doing) from None
        except requests.RequestException as error:
            raise NoAnswer(_in_short(error), sent=not _never_connected(error)) from None
        except ValueError as error:
            raise JenkinsFailed(doing=doing, status="none", reason=error) from None

    def _refusal(self, status: int, said: str, doing: str) -> SacristyError | NoAnswer:
        if status == 401:
            return JenkinsRefused(url=self.url, user=self.user)
        if status == 403:
            return JenkinsForbidden(user=self.user, doing=doing, said=said)
        if status == STARTING or status in PROXY_GAVE_UP:
            return NoAnswer(f"status {status}", sent=status != STARTING)
        return JenkinsFailed(doing=doing, status=status or "none", reason=_first_line(said))


def open_client(settings: Settings) -> Client:
    """Return the client that the settings describe. Raises JenkinsNotSet or NotInitialised; asks nothing yet."""
    return Client(*settings.jenkins_login)


def job_path(job: str) -> str:
    """Return the path of a job's pages: `folder/news` is at job/folder/job/news."""
    return "/".join(f"job/{quote(part, safe='')}" for part in job.split("/"))


def led_to(answer: requests.Response) -> str:
    """Return where the answer to a change leads: what it made (201), or what was there already (303)."""
    return answer.headers.get("Location") or answer.headers.get(LEADS_TO) or ""


def plain(said: str) -> str:
    """Return what a page of Jenkins says, or a description, in one line without its markup."""
    text = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", said or "", flags=re.DOTALL | re.IGNORECASE)
    return " ".join(text.split())


def _stay(answer: requests.Response, **_: Any) -> requests.Response:
    if answer.is_redirect:
        answer.headers[LEADS_TO] = answer.headers.pop("Location")
    return answer


def _status_of(error: jenkins.JenkinsException) -> tuple[int, str]:
    text = str(error)
    found = re.search(r"\[(\d{3})\]: ?(.*)", text, re.DOTALL)
    return (int(found[1]), found[2]) if found else (0, text)


def _answer_of(error: requests.HTTPError) -> tuple[int, str]:
    answer = error.response
    if answer is None:
        return 0, str(error)
    return answer.status_code, answer.headers.get("X-Error") or answer.text or answer.reason


def _first_line(said: str) -> str:
    return plain(said)[:160] or "it does not say why"


def _never_connected(error: requests.RequestException) -> bool:
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, (NewConnectionError, NameResolutionError, ConnectTimeoutError)) or isinstance(
        error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema)
    )


def _in_short(error: requests.RequestException) -> str:
    text = str(error).lower()
    for known, words in KNOWN_FAULTS.items():
        if known in text:
            return words
    return "the connection broke" if isinstance(error, requests.ConnectionError) else type(error).__name__
