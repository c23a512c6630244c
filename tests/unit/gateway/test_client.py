"""The Python client: typed answers, tries again where that is safe, tells plainly where it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sacristy.client import Client
from sacristy.errors import GatewayAway, GatewayRefused

PREDICTED = {"prediction_id": "p", "predictions": [1], "model": "m", "version": "2", "run": 2, "digest": "d"}
SAID = {"prediction_id": "p", "instance": 0, "agrees": True, "label": "a", "predicted": "a", "model": "m"}
SAID |= {"stage": "production", "version": "2", "new": True}
Outcome = httpx.Response | Exception
Make = Callable[..., tuple[Client, list[httpx.Request], list[float]]]


@pytest.fixture
def make() -> Make:
    """Return a client, the requests it sends, and the seconds it waits; the gateway answers as told, one by one."""

    def begin(*outcomes: Outcome, **options: Any) -> tuple[Client, list[httpx.Request], list[float]]:
        coming, asked, waited = iter(outcomes), [], []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            outcome = next(coming)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        transport = httpx.MockTransport(answer)
        return Client("http://gateway", "t", transport=transport, sleep=waited.append, **options), asked, waited

    return begin


def error(status: int, code: str = "x", **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": "no"}}, headers=headers)


def test_an_answer_is_typed_and_names_its_prediction(make: Make) -> None:
    client, (*_,), _ = make(httpx.Response(200, json=PREDICTED | {"explanations": [[]]}))
    answer = client.predict("m", ["x"], explain=True)
    assert (answer.id, answer.predictions, answer.version, answer.explanations) == ("p", [1], "2", [[]])


def test_a_request_carries_token_key_and_stage(make: Make) -> None:
    client, asked, _ = make(httpx.Response(200, json=PREDICTED), key="u-17")
    client.predict("m", ["x"], stage="staging")
    assert asked[0].headers["Authorization"] == "Bearer t"
    assert asked[0].headers["X-Sacristy-Key"] == "u-17"
    assert str(asked[0].url) == "http://gateway/models/m/predict?stage=staging"
    assert json.loads(asked[0].content) == {"instances": ["x"]}


@pytest.mark.parametrize("fault", [httpx.ConnectError("refused"), error(503), error(502), error(429)])
def test_what_passes_is_sent_again_under_the_same_name(make: Make, fault: Outcome) -> None:
    client, asked, waited = make(fault, fault, httpx.Response(200, json=PREDICTED))
    assert client.predict("m", [1]).version == "2"
    assert len({request.headers["X-Request-Id"] for request in asked}) == 1
    assert 0 < waited[0] < waited[1] * 2


def test_the_gateways_own_pause_is_kept(make: Make) -> None:
    client, _, waited = make(error(429, **{"Retry-After": "7"}), httpx.Response(200, json=PREDICTED))
    client.predict("m", [1])
    assert waited == [7.0]


def test_a_refusal_is_told_at_once(make: Make) -> None:
    client, asked, _ = make(error(422, "invalid_instance"))
    with pytest.raises(GatewayRefused, match="422: no") as caught:
        client.predict("m", [1])
    assert caught.value.fields["code"] == "invalid_instance"
    assert len(asked) == 1


def test_after_the_last_try_it_gives_up(make: Make) -> None:
    client, asked, _ = make(*[httpx.ConnectError("refused")] * 5)
    with pytest.raises(GatewayAway, match="refused"):
        client.models()
    assert len(asked) == 5


def test_a_prediction_that_timed_out_is_not_asked_again(make: Make) -> None:
    client, asked, _ = make(httpx.ReadTimeout("slow"))
    with pytest.raises(GatewayAway, match="ReadTimeout"):
        client.predict("m", [1])
    assert len(asked) == 1


def test_feedback_that_timed_out_is_for_it_counts_once(make: Make) -> None:
    client, asked, _ = make(httpx.ReadTimeout("slow"), httpx.Response(200, json=SAID | {"new": False}))
    assert not client.feedback("p", correct=True).new
    assert json.loads(asked[1].content) == {"prediction_id": "p", "instance": 0, "comment": "", "correct": True}


def test_an_answer_that_is_no_json_is_still_told(make: Make) -> None:
    client, _, _ = make(httpx.Response(404, text="<html>nginx</html>"))
    with pytest.raises(GatewayRefused, match="nginx"):
        client.statistics("m")
    client, _, _ = make(httpx.Response(200, text="<html>log in to this network</html>"))
    with pytest.raises(GatewayRefused, match="log in"):
        client.predict("m", [1])


def test_ready_tells_a_model_that_is_not_from_a_token_that_is_refused(make: Make) -> None:
    client, _, _ = make(error(503), error(404), error(401), tries=1)
    assert [client.ready("m"), client.ready("m")] == [False, False]
    with pytest.raises(GatewayRefused, match="401"):
        client.ready("m")
