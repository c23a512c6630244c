"""A build is started once, found, followed to its end and answered, whatever happens on the way."""

import itertools
import threading
from dataclasses import replace

import pytest
from services.automation.conftest import client_for
from services.automation.recorded import Question

from sacristy.automation import approvals
from sacristy.automation.following import Result, follow, result_of, wait_for_build
from sacristy.automation.jobs import wanted_jobs
from sacristy.automation.survey import survey
from sacristy.automation.sync import apply, look, plan
from sacristy.automation.triggering import find, new_key, trigger
from sacristy.errors import (
    BuildCancelled,
    InvalidName,
    JenkinsFailed,
    JenkinsItemMissing,
    JenkinsParametersTooLong,
    JenkinsParametersUndeclared,
    JenkinsUnreachable,
    JenkinsUnsure,
    NothingToApprove,
)

NEWS = "sacristy/news"


@pytest.fixture
def state(controller, jenkins, shop):
    apply(jenkins, plan("sacristy", wanted_jobs(shop), look(jenkins, "sacristy")))
    return controller.state


def builds(state):
    return state.items[NEWS].builds


def test_a_build_is_started_found_and_followed(state, jenkins):
    ticket = trigger(jenkins, NEWS, {"RUN": "7", "WHY": "a 'reason' & $more"}, new_key(), fresh=True)
    number = wait_for_build(jenkins, ticket)
    written = []
    ended = follow(jenkins, NEWS, number, written.append)
    assert ended.result is Result.SUCCESS
    assert "".join(written) == "checking\ndone\nFinished: SUCCESS\n"
    assert builds(state)[0].parameters["WHY"] == "a 'reason' & $more"
    assert builds(state)[0].parameters["RUN"] == "7"


@pytest.mark.parametrize(("result", "code"), [("SUCCESS", 0), ("FAILURE", 1), ("UNSTABLE", 3), ("NOT_BUILT", 5)])
def test_the_exit_code_is_the_result(state, jenkins, result, code):
    state.result = result
    ticket = trigger(jenkins, NEWS, {}, new_key())
    assert follow(jenkins, NEWS, wait_for_build(jenkins, ticket), lambda _: None).exit_code == code


def test_parameters_of_more_than_8_kb_arrive(state, jenkins):
    text = "why " * 5000
    wait_for_build(jenkins, trigger(jenkins, NEWS, {"WHY": text}, new_key()))
    assert builds(state)[0].parameters["WHY"] == text
    with pytest.raises(JenkinsParametersTooLong):
        trigger(jenkins, NEWS, {"WHY": text * 5}, new_key())


def test_the_same_key_never_starts_a_second_build(state, jenkins):
    key = new_key()
    first = trigger(jenkins, NEWS, {"RUN": "7"}, key)
    again = trigger(jenkins, NEWS, {"RUN": "7"}, key)
    assert again.found
    assert again.queue == first.queue
    number = wait_for_build(jenkins, first)
    assert trigger(jenkins, NEWS, {"RUN": "7"}, key).build == number
    assert len(builds(state)) == 1


def test_a_build_that_two_ask_for_at_once_is_one(state, jenkins):
    """Jenkins leads the second to the first one's queue item, which has no page."""
    state.quiet_s, key = 60, new_key()
    tickets = [trigger(jenkins, NEWS, {"RUN": "7"}, key, fresh=True) for _ in range(2)]
    assert tickets[0].queue == tickets[1].queue
    assert len(state.queue) == 1


def test_another_builds_queue_item_is_not_taken_for_ours(state, jenkins):
    """A controller that was killed numbers its queue from where it last saved it."""
    ours = trigger(jenkins, NEWS, {}, new_key())
    wait_for_build(jenkins, ours)
    state.queue[ours.queue] = replace(state.queue[ours.queue], parameters={"KEY": "of-another"}, build=7)
    assert wait_for_build(jenkins, ours) == 1


def test_why_a_build_is_queued_is_said_once_though_it_counts_down(state, jenkins):
    state.quiet_s, said, pauses = 60, [], itertools.count()
    state.whys = [f"Build #3 is already in progress (ETA: {left} sec)" for left in (12, 11, 9.8)]
    jenkins.sleep = lambda _: setattr(state, "quiet_s", 0) if next(pauses) == 3 else None
    wait_for_build(jenkins, trigger(jenkins, NEWS, {}, new_key()), said.append)
    assert said == ["queued: Build #3 is already in progress (ETA: 12 sec)"]


@pytest.mark.parametrize("fault", ["cut after", 502, 504])
def test_an_answer_that_was_lost_starts_nothing_twice(state, jenkins, fault):
    state.faults.append(("POST", "buildWithParameters", fault))
    key = new_key()
    if fault == "cut after":
        wait_for_build(jenkins, trigger(jenkins, NEWS, {}, key))
        assert len(builds(state)) == 1
    else:  # the proxy gave up, and nothing is to be seen: it may still be on its way
        with pytest.raises(JenkinsUnsure) as caught:
            trigger(jenkins, NEWS, {}, key)
        assert key in caught.value.advice
        assert builds(state) == []
        wait_for_build(jenkins, trigger(jenkins, NEWS, {}, key))
        assert len(builds(state)) == 1


def test_a_slow_answer_starts_nothing_twice(state, controller):
    client = client_for(controller, timeout_s=0.3)
    state.faults.append(("POST", "buildWithParameters", 0.6))
    pause = client.sleep
    client.sleep = lambda seconds: pause(0.2)
    wait_for_build(client, trigger(client, NEWS, {}, new_key()))
    assert len(builds(state)) == 1


def test_a_controller_that_starts_is_waited_for(state, controller, jenkins):
    jenkins.whoami()
    state.faults += [("POST", "buildWithParameters", 503)] * 2
    wait_for_build(jenkins, trigger(jenkins, NEWS, {}, new_key()))
    assert len(builds(state)) == 1


def test_a_refused_connection_is_told_after_the_patience(state, controller, jenkins):
    with controller.away(), pytest.raises(JenkinsUnreachable, match="refused"):
        trigger(jenkins, NEWS, {}, new_key(), fresh=True)
    assert builds(state) == []


def test_a_queue_item_that_vanished_is_found_as_a_build(state, jenkins):
    state.forget = True
    ticket = trigger(jenkins, NEWS, {}, new_key())
    assert wait_for_build(jenkins, ticket) == 1


def test_a_queue_item_that_left_no_build_is_told(state, jenkins):
    ticket = trigger(jenkins, NEWS, {}, new_key())
    del state.queue[ticket.queue]
    with pytest.raises(JenkinsItemMissing, match="nor a build"):
        wait_for_build(jenkins, ticket)


def test_a_cancelled_queue_item_is_told(state, jenkins):
    state.quiet_s = 60
    ticket = trigger(jenkins, NEWS, {}, new_key())
    state.queue[ticket.queue].cancelled = True
    with pytest.raises(BuildCancelled, match="sacristy/news"):
        wait_for_build(jenkins, ticket)


@pytest.mark.parametrize(("config", "names"), [("<flow-definition/>", "RUN, KEY"), ("", "KEY"), ("", "RUN")])
def test_a_parameter_that_the_job_does_not_declare_starts_nothing(state, jenkins, config, names):
    """Jenkins answers 500 where none is declared, and drops in silence what is not declared beside others."""
    item = state.items[NEWS]
    item.config = config or item.config.replace(f"<name>{names}</name>", "<name>OTHER</name>")
    with pytest.raises(JenkinsParametersUndeclared, match=f"does not declare {names},") as caught:
        trigger(jenkins, NEWS, {"RUN": "7"}, new_key(), fresh=True)
    assert "sacristy jenkins sync" in caught.value.advice
    assert (state.queue, builds(state)) == ({}, [])


def test_a_job_that_was_disabled_is_told(state, jenkins):
    state.faults.append(("POST", "buildWithParameters", 409))
    with pytest.raises(JenkinsFailed, match="status 409"):
        trigger(jenkins, NEWS, {}, new_key())


def test_a_job_that_is_not_there_is_told(state, jenkins):
    with pytest.raises(JenkinsItemMissing, match="sacristy/nwes"):
        trigger(jenkins, "sacristy/nwes", {}, new_key())


@pytest.mark.parametrize("key", ["", "a b", "../../x", "k" * 81, "{}"])
def test_a_key_that_is_none_is_refused(jenkins, key):
    with pytest.raises(InvalidName):
        trigger(jenkins, NEWS, {}, key)


def test_a_restart_in_the_middle_is_survived(state, controller, jenkins):
    state.lines = [f"line {n}" for n in range(40)]
    number = wait_for_build(jenkins, trigger(jenkins, NEWS, {}, new_key()))
    written, said = [], []

    def write(text):
        written.append(text)
        if len(written) == 1:
            controller.stop()
            # What it answers before all users, permissions and jobs are loaded.
            state.faults += [("GET", "progressiveText", status) for status in (503, 401, 403, 404, 500)]
            threading.Timer(0.3, controller.start).start()

    ended = follow(jenkins, NEWS, number, write, said.append)
    assert ended.result is Result.SUCCESS
    assert "".join(written).splitlines() == [*state.lines, "Finished: SUCCESS"]
    assert [line.split(";")[0] for line in said] == ["Jenkins does not answer", "Jenkins is back"]


def test_a_log_that_lost_its_end_is_not_written_twice(state, jenkins):
    state.lines = [f"line {n}" for n in range(30)]
    number = wait_for_build(jenkins, trigger(jenkins, NEWS, {}, new_key()))
    build, written = builds(state)[0], []

    def write(text):
        written.append(text)
        if len(written) == 3:
            build.log = build.log[:-10]

    follow(jenkins, NEWS, number, write)
    lines = "".join(written).splitlines()
    assert lines.count("line 0") == 1
    assert lines[-1] == "Finished: SUCCESS"


def test_a_character_that_comes_in_two_parts_is_one(state, jenkins):
    state.lines, state.most_log = ["10 € and 20 €€€"], 4
    number = wait_for_build(jenkins, trigger(jenkins, NEWS, {}, new_key()))
    written = []
    follow(jenkins, NEWS, number, written.append)
    assert "".join(written) == "10 € and 20 €€€\nFinished: SUCCESS\n"


def test_an_approval_answers_all_that_is_asked(state, jenkins):
    state.lines = ["in staging", Question("approve", "Promote?", ("REASON", "OTHER")), "promoted"]
    number = wait_for_build(jenkins, trigger(jenkins, NEWS, {}, new_key()))
    said = []

    def answer(line):
        said.append(line)
        if "it waits" in line:
            question = approvals.choose(jenkins, NEWS)
            approvals.approve(jenkins, question, {"REASON": "looked at it"})

    assert follow(jenkins, NEWS, number, lambda _: None, answer).result is Result.SUCCESS
    assert builds(state)[0].answers == {"REASON": "looked at it", "OTHER": ""}
    assert f"sacristy jenkins approve news --build {number}" in said[-1]


def waiting_build(state, jenkins, **extra):
    state.lines = [Question("approve", "Promote?", ("REASON",), **extra), "promoted"]
    number = wait_for_build(jenkins, trigger(jenkins, NEWS, {}, new_key()))
    while not approvals.pending(jenkins, NEWS, number):
        pass
    return number


def test_a_refusal_ends_the_build(state, jenkins):
    number = waiting_build(state, jenkins)
    approvals.refuse(jenkins, approvals.choose(jenkins, NEWS, number))
    ended = follow(jenkins, NEWS, number, lambda _: None)
    assert (ended.result, ended.exit_code) == (Result.ABORTED, 4)


def test_a_build_whose_questions_cannot_be_read_is_followed_all_the_same(state, controller, jenkins):
    number = waiting_build(state, jenkins)
    state.faults.append(("GET", "wfapi", 500))
    pauses = itertools.count()
    jenkins.sleep = lambda _: approvals.abort(client_for(controller), NEWS, number) if next(pauses) == 5 else None
    assert follow(jenkins, NEWS, number, lambda _: None).result is Result.ABORTED
    assert state.faults == []


def test_one_who_may_not_answer_is_told(state, jenkins):
    number = waiting_build(state, jenkins, submitters=("ops",))
    with pytest.raises(JenkinsFailed, match="status 400: You need to be ops"):
        approvals.approve(jenkins, approvals.choose(jenkins, NEWS, number), {})
    approvals.abort(jenkins, NEWS, number)
    approvals.abort(jenkins, NEWS, number)


def test_an_approval_whose_answer_was_lost_is_looked_at(state, jenkins):
    number = waiting_build(state, jenkins)
    question = approvals.choose(jenkins, NEWS, number)
    state.faults.append(("POST", "inputSubmit", "cut after"))
    approvals.approve(jenkins, question, {"REASON": "yes"})
    assert follow(jenkins, NEWS, number, lambda _: None).result is Result.SUCCESS
    with pytest.raises(NothingToApprove, match="sacristy/news"):
        approvals.choose(jenkins, NEWS)


def test_a_running_build_has_no_result_yet(state, jenkins):
    number = waiting_build(state, jenkins)
    assert result_of(jenkins, NEWS, number) is None
    approvals.abort(jenkins, NEWS, number)
    with pytest.raises(JenkinsItemMissing, match="#99"):
        result_of(jenkins, NEWS, 99)


def test_a_key_that_nobody_used_is_not_found(state, jenkins):
    assert find(jenkins, NEWS, new_key()) is None


def test_a_description_with_a_link_is_shown_without_its_markup(state, jenkins):
    state.description = 'news:7 sha256:aa <a href="http://jenkins/1/artifact/x.txt">against production</a>'
    wait_for_build(jenkins, trigger(jenkins, NEWS, {}, new_key()))
    (news,) = [job for job in survey(jenkins, "sacristy") if job.job == "news"]
    assert news.description == "news:7 sha256:aa against production"
