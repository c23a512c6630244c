"""The gateway's counters, which many threads use at once."""

from sacristy.gateway.counts import Of
from sacristy.gateway.metrics import Meter

FIRST = Of("digits", "production", "4")


def test_two_threads_count_the_first_predictions_of_a_version(monkeypatch):
    meter = Meter()
    labels = meter.seconds.labels

    def another_thread_comes_in_between(*words):
        monkeypatch.setattr(meter.seconds, "labels", labels)
        meter.count(FIRST, "answered", 0.1)
        return labels(*words)

    monkeypatch.setattr(meter.seconds, "labels", another_thread_comes_in_between)
    meter.count(FIRST, "answered", 0.2)
    given = {"model": "digits", "stage": "production", "version": "4"}
    assert meter.registry.get_sample_value("sacristy_gateway_predictions_total", given | {"outcome": "answered"}) == 2
    assert meter.registry.get_sample_value("sacristy_gateway_model_seconds_count", given) == 2
