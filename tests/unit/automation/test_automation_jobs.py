from dataclasses import replace

import pytest
from pydantic import ValidationError

from sacristy.automation import config
from sacristy.automation.jobs import MARK, is_local, model_job, promote_job, wanted_jobs
from sacristy.automation.sync import Found, Verb, plan
from sacristy.errors import JenkinsFailed, JobNotOurs, RepositoryNotSet
from sacristy.model_file import Jenkins
from sacristy.project import load_model
from sacristy.settings import Settings

MODEL = (
    'title = "News: <b>\\"&\\" views"\n[gates]\nmetric = "accuracy"\nminimum = 0.9\n[jenkins]\nschedule = "H 3 * * 1"\n'
)
LEARNED = """<hudson.model.ChoiceParameterDefinition><name>DEPTH</name></hudson.model.ChoiceParameterDefinition>"""
TRACKER = "<actions><org.jenkinsci.plugins.pipeline.modeldefinition.actions.DeclarativeJobAction/></actions>"


@pytest.fixture
def settings(tmp_path):
    for name in ("news", "digits"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "model.toml").write_text(MODEL)
    (tmp_path / "Pipfile").touch()
    return Settings(project=tmp_path, repository="git://127.0.0.1/shop?a=1&b=2", branch="main", jenkins_agent="here")


@pytest.fixture
def news(settings):
    return model_job(settings, load_model(settings.project, "news"))


def test_the_xml_of_a_models_job(news):
    text = config.job_config(news)
    root = config.parse(text, "news")
    assert root.tag == "flow-definition"
    assert root.findtext("description") == f'News: <b>"&" views\n{MARK}'
    assert root.find("definition").get("class") == "org.jenkinsci.plugins.workflow.cps.CpsScmFlowDefinition"
    assert root.findtext("definition/scm/userRemoteConfigs/*/url") == "git://127.0.0.1/shop?a=1&b=2"
    assert root.findtext("definition/scm/branches/*/name") == "refs/heads/main"
    assert root.findtext("definition/scriptPath") == "Jenkinsfile"
    assert root.find("definition/sandbox") is None
    assert "&lt;b&gt;" in text


def test_parameters_are_declared_with_their_defaults(news):
    root = config.parse(config.job_config(news), "news")
    found = {each.findtext("name"): each.findtext("defaultValue") for each in root.iter(config.STRING)}
    assert found == {
        "MODEL": "",
        "RUN": "",
        "WHY": "",
        "AGENT": "here",
        "TRAINER": "here",
        "IMAGE_BUILDER": "",
        "KEY": "",
    }
    assert [each.text for each in root.iter("trim")] == ["true"] * 7


def test_schedule_poll_and_retention_are_those_of_model_toml(news):
    facts = config.facts(news)
    assert (facts["schedule"], facts["poll"]) == ("H 3 * * 1", "H/5 * * * *")
    assert (facts["builds kept"], facts["builds with artefacts kept"]) == ("50", "20")
    assert facts["one build at a time"] == "yes"


@pytest.mark.parametrize("text", ["", "@daily", "H 3 * * 1", "H/15 * * * *", "H(0-29)/10 6-18 * * 1-5", "0 3 1,15 * *"])
def test_a_schedule_is_jenkins_cron(text):
    assert Jenkins(schedule=text, poll=text).schedule == text


@pytest.mark.parametrize(
    "text", ["every day", "H 3 * *", "0 3 * * 1 *", "H 3 * * MON\nTZ=x", "@often", " ", "* * * * $(id)"]
)
def test_a_schedule_that_is_none_is_refused(text):
    with pytest.raises(ValidationError):
        Jenkins(schedule=text)


def test_a_models_own_jenkinsfile_is_its_script(settings):
    (settings.project / "models" / "news" / "Jenkinsfile").touch()
    scripts = {job.name: job.script for job in wanted_jobs(settings)}
    assert scripts == {
        "digits": "Jenkinsfile",
        "news": "models/news/Jenkinsfile",
        "promote": "jenkins/promote.Jenkinsfile",
    }


def test_what_a_job_has_learned_stays(news):
    learned = config.job_config(news).replace("</parameterDefinitions>", f"{LEARNED}</parameterDefinitions>")
    learned = learned.replace("<keepDependencies>", f"{TRACKER}<keepDependencies>")
    learned = learned.replace("<flow-definition>", '<flow-definition plugin="workflow-job@1436">')
    assert config.read(learned, "news").items() >= config.facts(news).items()
    again = config.job_config(news, learned.replace("H 3 * * 1", "H 4 * * 1"))
    assert "DEPTH" in again
    assert "DeclarativeJobAction" in again
    assert 'plugin="workflow-job@1436"' in again
    assert "H 3 * * 1" in again


def test_xml_of_version_1_1_is_read(news):
    text = config.job_config(news).replace("version='1.0'", "version='1.1'")
    assert config.read(text, "news") == config.facts(news)


@pytest.mark.parametrize(
    ("told", "read"), [("&#x1b;[1m", "\ufffd[1m"), ("&#27;&#1;", "\ufffd" * 2), ("&#10;&#xA;&#x1F600;", "\n\n😀")]
)
def test_a_job_with_what_only_xml_1_1_can_hold_is_read(told, read):
    head = "<?xml version='1.1' encoding='UTF-8'?>\n"
    text = f"{head}<flow-definition><description>a{told}b</description></flow-definition>"
    assert config.read(text, "by-hand")["description"] == f"a{read}b"
    assert not config.is_ours(text, "by-hand")


def test_what_xml_cannot_hold_is_replaced(settings, news):
    text = config.job_config(replace(news, description="a\x0bb\ud800"))
    assert config.read(text, "news")["description"] == "a\ufffdb\ufffd"


def test_a_page_that_is_no_xml_is_told():
    with pytest.raises(JenkinsFailed, match="configuration of news"):
        config.read("<html><br></html>", "news")


def test_a_plan_for_an_empty_jenkins_makes_everything(settings):
    made = plan("shop", wanted_jobs(settings), Found(exists=False))
    assert made.make_folder
    assert [(step.verb, step.name) for step in made.steps] == [(Verb.CREATE, n) for n in ("digits", "news", "promote")]
    assert "parameter RUN: nothing -> '' (the run to release; empty: train a new one)" in made.steps[1].lines


def as_found(jobs):
    return {job.name: config.job_config(job) for job in jobs}


def test_a_plan_for_an_equal_jenkins_is_empty(settings):
    jobs = wanted_jobs(settings)
    assert plan("shop", jobs, Found(True, as_found(jobs))).is_empty


def test_a_change_names_the_old_and_the_new(settings):
    jobs = wanted_jobs(settings)
    there = as_found(jobs) | {"news": config.job_config(jobs[1]).replace("H 3 * * 1", "H 9 * * 1")}
    (step,) = plan("shop", jobs, Found(True, there)).steps
    assert (step.verb, step.lines) == (Verb.CHANGE, ("schedule: H 9 * * 1 -> H 3 * * 1",))


def test_a_schedule_that_is_gone_is_removed(settings, news):
    (settings.project / "models" / "news" / "model.toml").write_text(MODEL.split("[jenkins]")[0])
    jobs = wanted_jobs(settings)
    (step,) = plan("shop", jobs, Found(True, as_found(jobs) | {"news": config.job_config(news)})).steps
    assert step.lines == ("schedule: H 3 * * 1 -> nothing",)


def test_only_jobs_with_our_mark_go(settings):
    jobs = wanted_jobs(settings)
    old = config.job_config(model_job(settings, load_model(settings.project, "news"))).replace("news", "old")
    by_hand = "<flow-definition><description>mine</description></flow-definition>"
    found = Found(True, {**as_found(jobs), "old": old, "by-hand": by_hand})
    assert plan("shop", jobs, found).removed() == ["old"]


def test_what_somebody_else_made_is_not_taken_over(settings):
    jobs = wanted_jobs(settings)
    theirs = Found(True, {"news": "<flow-definition/>"})
    with pytest.raises(JobNotOurs, match="shop/news"):
        plan("shop", jobs, theirs)
    assert plan("shop", jobs, theirs, adopt=True).steps[1].verb is Verb.CHANGE
    with pytest.raises(JobNotOurs, match="FreeStyleProject"):
        plan("shop", jobs, Found(True, {}, {"news": "FreeStyleProject"}))


def test_a_model_may_not_be_called_as_the_job_that_promotes(settings):
    with pytest.raises(JobNotOurs, match="sacristy/promote"):
        wanted_jobs(settings, ["promote"])


def test_without_a_repository_nothing_is_planned(settings):
    with pytest.raises(RepositoryNotSet):
        wanted_jobs(settings.model_copy(update={"repository": ""}))


def test_the_promote_job_asks_what_where_and_why(settings):
    names = [parameter.name for parameter in promote_job(settings).parameters]
    assert names == ["IMAGE", "STAGE", "WHY", "AGENT", "KEY"]


@pytest.mark.parametrize(
    ("repository", "local"),
    [("file:///srv/x", True), ("/srv/x", True), ("../x", True), ("git://127.0.0.1/x", False), ("git@host:x", False)],
)
def test_a_repository_on_a_disk_is_known_as_one(repository, local):
    assert is_local(repository) is local
