"""Events of the driver become trials: what is over, what is repeated, which are best, what goes on."""

import json
from pathlib import Path

import pytest

from sacristy.errors import InvalidSearch
from sacristy.model_file import ModelFile
from sacristy.project import Model
from sacristy.search import driving
from sacristy.search.following import Following
from sacristy.search.plan import for_driver, make_plan, plan_of
from sacristy.search.running import Search
from sacristy.search.trials import Trials
from sacristy.settings import Settings

FILE = {"title": "Toy", "main_metric": "accuracy", "gates": {"metric": "accuracy", "minimum": 0.5}}
SEARCH = {"space": {"lr": {"low": 0.1, "high": 1.0}, "optimizer.kind": {"choice": ["a", "b"]}}}


def toy(**search):
    return Model("toy", Path("models/toy"), ModelFile.model_validate(FILE | {"search": search}))


def told(mode="max"):
    """Return four trials: completed twice, stopped early, still running."""
    trials = Trials(mode)
    for number, values in ((1, [0.1, 0.5]), (2, [0.9]), (3, [0.2, 0.7]), (4, [])):
        trials.apply({"event": "started", "trial": number, "values": {"lr": number / 10}})
        for step, value in enumerate(values):
            trials.apply({"event": "point", "trial": number, "run": 10 + number, "step": step, "value": value})
    for number, status in ((1, "COMPLETED"), (2, "STOPPED"), (3, "COMPLETED")):
        trials.apply({"event": "ended", "trial": number, "status": status, "run": 10 + number})
    return trials


def test_only_trials_that_were_trained_to_their_end_are_best():
    assert [trial.number for trial in told().best(5)] == [3, 1]
    assert [trial.number for trial in told("min").best(1)] == [1]


def test_what_is_no_number_is_never_best():
    trials = told()
    trials.by_number[3].points.append(float("nan"))
    assert [trial.number for trial in trials.best(5)] == [1]
    assert trials.by_number[3].past("max")["points"][-1] < -1e9


def test_a_trial_that_was_cut_off_is_repeated_with_the_same_values():
    trials = told()
    trials.interrupt()
    plan = make_plan(toy(**SEARCH), trials=6, sampler="asha", seed=1)
    job = for_driver(plan, trials, search=9, parallel=2, address="", environment="e", ranks=2, folder=Path("/f"))
    assert job["pending"] == [{"number": 4, "values": {"lr": 0.4}}]
    assert [trial["number"] for trial in job["past"]] == [1, 2, 3]
    assert (job["new"], job["next"]) == ([5, 6], 5)
    assert json.loads(json.dumps(job)) == job


def test_a_trial_that_no_run_knows_of_is_drawn_when_the_search_goes_on():
    trials = told()
    del trials.by_number[2]  # cut off before its run began, while those after it had begun
    plan = make_plan(toy(**SEARCH), trials=6, sampler="asha", seed=1)
    job = for_driver(plan, trials, search=9, parallel=2, address="", environment="e", ranks=1, folder=Path("/f"))
    assert job["new"] == [2, 5, 6]
    assert len(job["past"]) + len(job["pending"]) + len(job["new"]) == plan.trials


def test_a_search_whose_first_trials_failed_can_go_on_once_the_cause_is_mended():
    trials = Trials("max")

    def fail(*numbers):
        for number in numbers:
            trials.apply({"event": "started", "trial": number, "values": {}})
            trials.apply({"event": "ended", "trial": number, "status": "FAILED"})

    first = Search(None, None, None, 1, "", trials)
    fail(1, 2, 3)
    assert first._hopeless()
    again = Search(None, None, None, 1, "", trials, root=9, resumed=9)
    trials.apply({"event": "started", "trial": 4, "values": {}})
    assert not again._hopeless()
    fail(4, 5, 6)
    assert again._hopeless()


def test_a_plan_comes_back_from_the_document_as_it_was():
    plan = make_plan(toy(**SEARCH), trials=6, sampler="optuna", seed=3, words=["with", "epochs=2"])
    kept = json.loads(json.dumps(plan.plain()).replace("optimizer.kind", "optimizer,kind"))
    assert plan_of({"sacristy": {"search": {"plan": kept}}}) == plan


def test_a_model_without_a_space_is_told_so():
    with pytest.raises(InvalidSearch, match=r"no \[search.space\], and no --vary"):
        make_plan(toy(), trials=1, sampler="asha", seed=1)


def test_the_command_line_replaces_the_models_space():
    plan = make_plan(toy(**SEARCH), trials=1, sampler="asha", seed=1, varied=["width=1..4"])
    assert set(plan.space) == {"width"}


def test_the_summary_says_what_is_varied_in_words():
    summary = make_plan(toy(**SEARCH), trials=1, sampler="asha", seed=1).summary()
    assert summary["vary"] == ["lr=0.1..1.0", "optimizer.kind=a,b"]


def test_the_driver_of_this_machine_tells_nobody_anything(tmp_path):
    settings = Settings(project=tmp_path, home=tmp_path / "home")
    local = driving.environment(settings, local=True)
    assert local["RAY_USAGE_STATS_ENABLED"] == "0"
    assert local["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert len(local["RAY_AUTH_TOKEN"]) == 64
    assert "RAY_AUTH_TOKEN" not in driving.environment(settings, local=False)
    assert driving.command(Path("/env/python")) == ["/env/python", "-m", "sacristy.search.driver"]


def test_a_trial_does_not_inherit_what_its_search_continues(tmp_path, monkeypatch):
    monkeypatch.setenv("SACRISTY_PARENT", "7")
    assert "SACRISTY_PARENT" not in driving.environment(Settings(project=tmp_path, home=tmp_path), local=True)


def journal(folder, token, *lines):
    folder.mkdir(parents=True)
    start = json.dumps({"e": "start", "document": {"sacristy": {"token": token}}})
    (folder / "events.jsonl").write_text("".join(line + "\n" for line in (start, *lines)))
    return folder


def test_a_journal_is_followed_past_its_removal(tmp_path):
    journal(tmp_path / "toy-other", "other", '["accuracy",1,0.9,1]')
    mine = journal(tmp_path / "toy-mine", "mine", '["loss",1,2.0,1]', '["accuracy",1,0.5,1]')
    (mine / "run.json").write_text('{"id": 12}')
    following = Following(tmp_path, "toy", "mine", "accuracy")
    assert following.points() == [(1, 0.5)]
    assert following.run == 12
    with (mine / "events.jsonl").open("a") as file:
        file.write('["accuracy",2,NaN,2]\n["accuracy",3,0.7')
    (mine / "events.jsonl").unlink()
    assert str(following.points()) == "[(2, nan)]"
    following.close()


def test_before_the_run_has_begun_there_is_nothing(tmp_path):
    following = Following(tmp_path, "toy", "mine", "accuracy")
    assert (following.points(), following.run) == ([], None)
