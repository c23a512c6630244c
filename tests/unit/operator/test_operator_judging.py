"""What becomes of a canary, from figures alone."""

import pytest

from sacristy.model_file import Canary
from sacristy.operator.judging import Figures, Rate, Verdict, judge

LIMITS = Canary(window_s=600, min_requests=100)
NOTHING = Rate(None, None, None, 0)


def rate(value, spread=0.0, n=1000):
    return Rate(value, value - spread, value + spread, n)


NEVER = rate(0.0)


def figures(requests=1000, failed=NEVER, slow=NEVER, differing=NEVER):
    return Figures(requests, failed, slow, differing)


def verdict(found, age_s=600.0, limits=LIMITS):
    return judge(limits, found, age_s)[0]


def test_one_that_kept_to_all_limits_is_promoted_when_its_window_is_over():
    assert verdict(figures(), 599.0) is Verdict.WAIT
    assert judge(LIMITS, figures(), 600.0) == (
        Verdict.PROMOTE,
        "a canary for 600 s: 1000 requests, 0.00% failed, agreement 100.00%",
    )


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"failed": rate(0.5)}, "it failed at 50 % of 1000 requests; at most 1 % may fail"),
        ({"slow": rate(0.06)}, "6 % of 1000 requests took over 1000 ms; at most 5 % may"),
        ({"differing": rate(0.2)}, "20 % of 1000 predictions differ from the stage's own; at most 10 % may"),
    ],
)
def test_one_beyond_a_limit_is_withdrawn_at_once_and_it_is_said_why(bad, said):
    assert judge(LIMITS, figures(**bad), 5.0) == (Verdict.WITHDRAW, said)


def test_one_that_may_have_been_unlucky_is_given_its_window():
    unlucky = figures(failed=rate(0.02, spread=0.015))
    assert [verdict(unlucky, age_s) for age_s in (5.0, 600.0)] == [Verdict.WAIT, Verdict.WITHDRAW]


def test_just_at_a_limit_is_within_it():
    assert verdict(figures(failed=rate(0.01), slow=rate(0.05), differing=rate(0.1))) is Verdict.PROMOTE


def test_of_few_requests_nothing_is_decided():
    assert verdict(figures(requests=99, failed=rate(1.0))) is Verdict.WAIT
    assert verdict(figures(requests=0, failed=NOTHING, slow=NOTHING, differing=NOTHING)) is Verdict.WAIT


def test_one_whose_predictions_cannot_be_compared_is_not_promoted_unless_that_does_not_matter():
    silent = figures(differing=NOTHING)
    assert verdict(silent) is Verdict.WAIT
    assert verdict(silent, limits=Canary(window_s=600, agreement=0.0)) is Verdict.PROMOTE


def test_one_that_never_answers_in_time_has_no_latency_and_is_withdrawn():
    assert verdict(figures(failed=rate(1.0), slow=NOTHING, differing=NOTHING), 5.0) is Verdict.WITHDRAW
