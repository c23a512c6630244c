"""Making the controller equal to the repository: once, twice, after changes, and after it has learned something."""

import pytest

from sacristy.automation.jobs import wanted_jobs
from sacristy.automation.sync import apply, look, plan
from sacristy.errors import JenkinsUnreachable, JobNotOurs

FOLDER = "sacristy"


def planned(jenkins, shop):
    return plan(FOLDER, wanted_jobs(shop), look(jenkins, FOLDER))


def test_a_second_sync_changes_nothing(controller, jenkins, shop):
    apply(jenkins, planned(jenkins, shop))
    assert set(controller.state.items) == {FOLDER, f"{FOLDER}/digits", f"{FOLDER}/news", f"{FOLDER}/promote"}
    before = {name: item.config for name, item in controller.state.items.items()}
    assert planned(jenkins, shop).is_empty
    apply(jenkins, planned(jenkins, shop))
    assert {name: item.config for name, item in controller.state.items.items()} == before


def test_letters_beyond_ascii_come_back_as_they_are(controller, jenkins, shop):
    """Jenkins does not say that its XML is UTF-8."""
    file = shop.project / "models" / "news" / "model.toml"
    file.write_text(file.read_text().replace("News <&> views", "Zürich – Nachrichten 😀"))
    apply(jenkins, planned(jenkins, shop))
    assert "Zürich – Nachrichten 😀" in look(jenkins, FOLDER).configs["news"]
    assert planned(jenkins, shop).is_empty


def test_looking_alone_writes_nothing(controller, jenkins, shop):
    assert not planned(jenkins, shop).is_empty
    assert {method for method, _, _ in controller.state.requests} == {"GET"}


def test_what_a_job_learned_from_its_jenkinsfile_survives(controller, jenkins, shop):
    apply(jenkins, planned(jenkins, shop))
    news = controller.state.items[f"{FOLDER}/news"]
    own = "<hudson.model.BooleanParameterDefinition><name>DEEP</name></hudson.model.BooleanParameterDefinition>"
    news.config = news.config.replace("</parameterDefinitions>", f"{own}</parameterDefinitions>")
    assert planned(jenkins, shop).is_empty
    file = shop.project / "models" / "news" / "model.toml"
    file.write_text(file.read_text().replace("H 3", "H 4"))
    apply(jenkins, planned(jenkins, shop))
    assert "DEEP" in news.config
    assert "H 4 * * 1" in news.config


def test_the_job_of_a_model_that_is_gone_is_removed(controller, jenkins, shop):
    apply(jenkins, planned(jenkins, shop))
    (shop.project / "models" / "digits" / "model.toml").unlink()
    wanted = planned(jenkins, shop)
    assert wanted.removed() == ["digits"]
    apply(jenkins, wanted)
    assert f"{FOLDER}/digits" not in controller.state.items


def test_a_folder_that_is_a_job_is_not_taken(controller, jenkins, shop):
    jenkins.post(f"createItem?name={FOLDER}", "making it", FOLDER, b"<flow-definition/>", "application/xml")
    with pytest.raises(JobNotOurs, match="no folder"):
        look(jenkins, FOLDER)


def test_a_sync_that_was_cut_off_is_finished_by_the_next(controller, jenkins, shop):
    controller.state.faults.append(("POST", "name=news", "cut after"))
    with pytest.raises(JenkinsUnreachable, match="sync again"):
        apply(jenkins, planned(jenkins, shop))
    apply(jenkins, planned(jenkins, shop))
    assert planned(jenkins, shop).is_empty
    assert f"{FOLDER}/promote" in controller.state.items
