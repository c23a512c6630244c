"""The client against what a real controller was seen to do: refusals in every form, crumbs, slow and absent answers."""

import pytest
from services.automation.conftest import client_for
from services.automation.recorded import FOLDER, PASSWORD

from sacristy.automation.client import NoAnswer, led_to
from sacristy.errors import (
    JenkinsFailed,
    JenkinsForbidden,
    JenkinsItemMissing,
    JenkinsRefused,
    JenkinsUnreachable,
)


def test_a_token_is_taken_and_needs_no_crumb_to_be_right(jenkins):
    assert jenkins.whoami() == "sacristy"


def test_a_wrong_token_is_told_with_the_page_that_makes_one(controller):
    with pytest.raises(JenkinsRefused, match="does not accept the token of sacristy") as caught:
        client_for(controller, "wrong").whoami()
    assert "/me/security" in caught.value.advice


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, JenkinsRefused), (403, JenkinsForbidden), (404, JenkinsItemMissing), (500, JenkinsFailed)],
)
def test_each_refusal_has_its_own_error(controller, jenkins, status, kind):
    controller.state.faults.append(("GET", "queue", status))
    with pytest.raises(kind):
        jenkins.get_json("queue/api/json", "queue")


@pytest.mark.parametrize("status", [400, 409, 418])
def test_other_refusals_name_their_status(controller, jenkins, status):
    controller.state.faults.append(("GET", "queue", status))
    with pytest.raises(JenkinsFailed, match=f"status {status}"):
        jenkins.get_json("queue/api/json", "queue")


def test_what_a_page_of_jenkins_says_is_told_in_one_line(controller, jenkins):
    controller.state.faults.append(("GET", "queue", 500))
    with pytest.raises(JenkinsFailed) as caught:
        jenkins.get_json("queue/api/json", "queue")
    assert "Oops 500" in str(caught.value)
    assert "<" not in str(caught.value)


@pytest.mark.parametrize("fault", [502, 503, 504, 0.9, "cut before", "cut after"])
def test_reading_is_tried_again(controller, jenkins, fault):
    controller.state.faults.append(("GET", "me/", fault))
    assert jenkins.whoami() == "sacristy"


def test_an_answer_that_is_no_json_is_told(controller, jenkins):
    controller.state.faults.append(("GET", "queue", "not json"))
    with pytest.raises(JenkinsFailed, match="not JSON"):
        jenkins.get_json("queue/api/json", "queue")


def test_a_controller_that_is_away_is_told_after_the_patience(controller, jenkins):
    with controller.away(), pytest.raises(JenkinsUnreachable, match="connection refused"):
        jenkins.whoami()


@pytest.mark.parametrize("url", ["http://no-such-host.invalid", "ftp://127.0.0.1", "not an address"])
def test_an_address_that_leads_nowhere_is_told(controller, url):
    client = client_for(controller, patience_s=0.1)
    client.url = url
    with pytest.raises((JenkinsUnreachable, JenkinsFailed)):
        client.whoami()


def test_writing_is_tried_once_and_says_whether_it_was_sent(controller, jenkins):
    jenkins.whoami()
    controller.state.faults.append(("POST", "createItem", "cut after"))
    with pytest.raises(NoAnswer) as caught:
        jenkins.post("createItem?name=a", "making a", "a", b"<flow-definition/>", "application/xml")
    assert caught.value.sent
    assert "a" in controller.state.items
    with controller.away(), pytest.raises(NoAnswer) as caught:
        jenkins.post("createItem?name=b", "making b", "b", b"<flow-definition/>", "application/xml")
    assert not caught.value.sent


def test_a_crumb_that_could_not_be_fetched_means_nothing_was_sent(controller, jenkins):
    controller.state.faults.append(("GET", "crumb", "cut before"))
    with pytest.raises(NoAnswer) as caught:
        jenkins.post("createItem?name=a", "making a", "a", b"<flow-definition/>", "application/xml")
    assert not caught.value.sent


def test_a_password_s_crumb_is_fetched_and_a_stale_one_anew(controller):
    client = client_for(controller, PASSWORD)
    client.post("createItem?name=a", "making a", "a", b"<flow-definition/>", "application/xml")
    controller.stop()
    controller.start()
    client.post("createItem?name=b", "making b", "b", b"<flow-definition/>", "application/xml")
    assert {"a", "b"} <= controller.state.items.keys()


def test_a_slow_answer_to_writing_may_have_been_sent(controller, jenkins):
    controller.state.faults.append(("POST", "createItem", 0.9))
    with pytest.raises(NoAnswer) as caught:
        jenkins.post("createItem?name=slow", "making slow", "slow", b"<flow-definition/>", "application/xml")
    assert caught.value.sent


def test_where_a_change_leads_is_not_followed(controller, jenkins):
    jenkins.post("createItem?name=a", "making a", "a", {"name": "a", "mode": FOLDER})
    answer = jenkins.post("job/a/doDelete", "removing a", "a", {})
    assert (answer.status_code, led_to(answer)) == (302, "/")
    assert [method for method, path, _ in controller.state.requests if "crumb" not in path] == ["POST", "POST"]


@pytest.mark.parametrize("status", [301, 302, 308])
def test_an_address_that_leads_to_another_is_told(controller, jenkins, status):
    controller.state.faults.append(("POST", "createItem", (status, "https://jenkins.example.org/createItem?name=a")))
    with pytest.raises(JenkinsFailed, match=r"leads to https://jenkins\.example\.org/createItem"):
        jenkins.post("createItem?name=a", "making a", "a", b"<flow-definition/>", "application/xml")
    assert controller.state.items == {}
