"""Asking models from Python, through the gateway.

    from sacristy.client import Client

    with Client("https://models.example.org", token) as client:
        answer = client.predict("reviews", ["Lovely place."])
        print(answer.predictions[0]["label"], answer.version)
        client.feedback(answer.id, correct=True, user="u-17")

What could not be delivered is sent again, with pauses that grow: a prediction changes nothing, and the gateway keeps
a user's feedback on a prediction once, however often it comes.
"""

from __future__ import annotations

import random
import ssl
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import orjson

from sacristy.errors import GatewayAway, GatewayRefused

StageName = Literal["production", "staging"]
PASSING = frozenset({429, 502, 503})  # too many requests, or nobody there at the moment
OF_TOKENS = frozenset({401, 403, 429})  # waiting for a model to be ready would never end
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


@dataclass(frozen=True)
class Answer:
    """A model's answer. `id` names it in feedback; one prediction for each instance; explanations where asked for."""

    id: str
    predictions: list[Any]
    model: str
    version: str
    run: int
    digest: str
    explanations: list[list[dict[str, Any]]] = field(default_factory=list)


@dataclass(frozen=True)
class Feedback:
    """What the gateway kept. `agrees`: the user and the model; `new`: False if it had been said before."""

    prediction_id: str
    instance: int
    agrees: bool
    label: str | None
    predicted: str | None
    model: str
    stage: str
    version: str
    new: bool


class Client:
    """A connection to a gateway, kept alive. Safe to share between threads; close it, or use it in a `with` block."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = 30.0,
        tries: int = 5,
        key: str = "",
        verify: str | bool | ssl.SSLContext = True,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`tries` of each request at most. `key`: while a canary runs, the same key gets the same version.

        `verify`: a context with the certificate that the gateway's is checked with, if the system does not trust it.
        """
        headers = {"Authorization": f"Bearer {token}"} | ({"X-Sacristy-Key": key} if key else {})
        self._url, self._tries, self._sleep = url, tries, sleep
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=timeout_s, trust_env=False, verify=verify, transport=transport
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def predict(
        self, model: str, instances: Sequence[Any], *, stage: StageName = "production", explain: bool = False
    ) -> Answer:
        """Return a model's answer to some instances. Raises GatewayAway or GatewayRefused."""
        body = orjson.dumps({"instances": list(instances)} | ({"explain": True} if explain else {}))
        told = self.ask(model, body, stage=stage)
        named = {name: told[name] for name in ("predictions", "model", "version", "run", "digest")}
        return Answer(id=told["prediction_id"], explanations=told.get("explanations", []), **named)

    def ask(self, model: str, body: bytes, *, stage: str = "production") -> dict[str, Any]:
        """Return the JSON answer to a request's body as it is. Raises GatewayAway or GatewayRefused."""
        found: dict[str, Any] = self._send("POST", f"/models/{model}/predict", {"stage": stage}, body)
        return found

    def feedback(
        self,
        prediction_id: str,
        *,
        correct: bool | None = None,
        label: str | None = None,
        instance: int = 0,
        user: str | None = None,
        comment: str = "",
    ) -> Feedback:
        """Say whether a prediction was right, or what is. Saying the same again changes nothing.

        Raises GatewayAway or GatewayRefused (404: no such prediction; 409: the user said something else before).
        """
        opinion = {"correct": correct, "label": label, "user": user}
        said = {name: value for name, value in opinion.items() if value is not None}
        body = {"prediction_id": prediction_id, "instance": instance, "comment": comment, **said}
        return Feedback(**self._send("POST", "/feedback", {}, orjson.dumps(body), again_after_timeout=True))

    def models(self) -> dict[str, Any]:
        """Return what answers: models[model][stage]. Raises GatewayAway or GatewayRefused."""
        return dict(self._send("GET", "/models", {})["models"])

    def ready(self, model: str, stage: str = "production") -> bool:
        """Say whether what answers for a model's stage says that it is ready.

        Raises GatewayAway, or GatewayRefused where it is the token that is refused.
        """
        try:
            return bool(self._send("GET", f"/v2/models/{model}/ready", {"stage": stage})["ready"])
        except GatewayRefused as error:
            if error.fields["status"] in OF_TOKENS:
                raise
            return False

    def statistics(self, model: str, *, stage: StageName = "production", hours: float = 24.0) -> dict[str, Any]:
        """Return volume, latency, labels and agreement by version. Raises GatewayAway or GatewayRefused."""
        return dict(self._send("GET", f"/models/{model}/statistics", {"stage": stage, "hours": str(hours)}))

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None = None,
        *,
        again_after_timeout: bool = False,
    ) -> Any:
        headers = {"X-Request-Id": uuid.uuid4().hex} | ({"Content-Type": "application/json"} if body else {})
        for left in range(self._tries - 1, -1, -1):
            pause_s = _pause(self._tries - left)
            try:
                answer = self._http.request(method, path, params=query, content=body, headers=headers)
            except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
                if not left or not again_after_timeout:
                    raise GatewayAway(url=self._url, reason=type(error).__name__) from None
            except httpx.HTTPError as error:
                if not left:
                    raise GatewayAway(url=self._url, reason=str(error) or type(error).__name__) from None
            else:
                if answer.is_success:
                    return _content(answer)
                if not left or answer.status_code not in PASSING:
                    raise _refusal(answer)
                pause_s = max(pause_s, _retry_after(answer))
            self._sleep(pause_s)
        raise GatewayAway(url=self._url, reason="it was never asked: tries is below 1")


def _content(answer: httpx.Response) -> Any:
    try:
        return orjson.loads(answer.content)
    except orjson.JSONDecodeError:  # somebody else answered: a proxy's page for people
        raise _refusal(answer) from None


def _pause(number: int) -> float:
    """Return the seconds to wait after a try: about twice as long each time, never the same for two clients."""
    return random.uniform(0.5, 1.0) * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**number)  # noqa: S311 - no secret


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("Retry-After", "0")
    return min(60.0, float(text)) if text.isdigit() else 0.0


def _refusal(answer: httpx.Response) -> GatewayRefused:
    try:
        told = answer.json()["error"]
        code, message = told["code"], told["message"]
    except (ValueError, KeyError, TypeError):
        code, message = "", answer.text[:160]
    return GatewayRefused(status=answer.status_code, code=code, reason=message)
