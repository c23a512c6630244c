"""What Prometheus is alarmed about is a finding of the doctor; without a Prometheus there is none."""

import io
import json
import urllib.error

import pytest

from sacristy.stack.composed import inside


@pytest.fixture
def told(monkeypatch):
    """Return the findings where Prometheus answers so; None: it is not there."""

    def ask(alerts):
        def answer(url, timeout):
            assert url == "http://prometheus:9090/api/v1/alerts"
            if alerts is None:
                raise urllib.error.URLError("no such name")
            return io.BytesIO(json.dumps({"data": {"alerts": alerts}}).encode())

        monkeypatch.setattr(inside.urllib.request, "urlopen", answer)
        return list(inside.check_alerts(None, None))

    return ask


def alert(state):
    return {
        "state": state,
        "labels": {"alertname": "RegistryAway"},
        "annotations": {"summary": "the operator cannot ask the registry", "mend": "sacristy doctor --compose"},
    }


def test_an_alert_that_fires_is_told_with_its_mend(told):
    (found,) = told([alert("firing")])
    assert found.what == "RegistryAway: the operator cannot ask the registry"
    assert (found.level, found.mend) == ("warning", "sacristy doctor --compose")


def test_one_that_may_pass_is_not(told):
    assert told([alert("pending")]) == []


def test_a_stack_without_monitoring_has_no_finding(told):
    assert told(None) == []
