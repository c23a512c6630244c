"""deploy/ansible: what can be said of the plays without a host. Parsed, not run."""

import re
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[3] / "deploy" / "ansible"
ROLE = FOLDER / "roles" / "stack"
TASKS = sorted(ROLE.glob("tasks/*.yaml"))
HANDLERS = yaml.safe_load((ROLE / "handlers" / "main.yaml").read_text())
UNITS = sorted(ROLE.glob("templates/*.service.j2"))


def tasks_of(path):
    for each in yaml.safe_load(path.read_text()):
        yield from each.get("block", [each])


ALL = [*(task for path in TASKS for task in tasks_of(path)), *HANDLERS]


@pytest.mark.parametrize("task", ALL, ids=lambda task: task["name"][:50])
def test_a_task_has_a_name_a_builtin_module_and_says_when_a_command_changes_something(task):
    modules = [key for key in task if key.startswith("ansible.")]
    assert len(modules) == 1
    assert modules[0].startswith("ansible.builtin.")
    if modules[0] == "ansible.builtin.command":
        assert "creates" in task[modules[0]] or "changed_when" in task
    if modules[0] == "ansible.builtin.shell":
        assert "changed_when" in task


def test_every_file_of_tasks_is_imported_and_every_notice_is_heard():
    imported = {task["ansible.builtin.import_tasks"] for task in ALL if "ansible.builtin.import_tasks" in task}
    plays = (FOLDER / "remove.yaml").read_text() + (FOLDER / "site.yaml").read_text()
    assert "tasks_from: remove" in plays
    assert {path.name for path in TASKS} == {*imported, "main.yaml", "remove.yaml"}
    assert {task["notify"] for task in ALL if "notify" in task} == {handler["name"] for handler in HANDLERS}


def test_what_an_inventory_says_wins_over_the_defaults():
    assert "vars" not in (FOLDER / "site.yaml").read_text()  # those would win over it


def test_every_variable_has_a_default_or_is_asked_for():
    texts = "".join(path.read_text() for path in [*TASKS, *FOLDER.glob("*.yaml"), *ROLE.glob("templates/*")])
    used = set(re.findall(r"\bsacristy_[a-z_]+\b", texts))
    known = yaml.safe_load((ROLE / "defaults" / "main.yaml").read_text()).keys() | {
        "sacristy_name",
        "sacristy_repository",
    }
    assert used <= known


def test_the_example_says_all_that_must_be_said():
    inventory = yaml.safe_load((FOLDER / "inventory.example.yaml").read_text())["all"]
    said = [inventory["vars"] | host for host in inventory["hosts"].values()]
    assert all({"ansible_host", "sacristy_name", "sacristy_repository"} <= each.keys() for each in said)
    assert len({each["sacristy_name"] for each in said}) == len(said) > 1


def test_images_are_built_anew_of_what_a_newer_checkout_says():
    (handler,) = (each for each in HANDLERS if each["name"] == "Bring the stack up to what is written")
    assert handler["ansible.builtin.command"]["argv"][-3:] == ["up", "--compose", "--build"]
    (setup,) = (task for task in ALL if task["name"] == "The stack's own environment")
    assert "creates" not in setup["ansible.builtin.command"]  # make knows whether the locks are newer


def test_a_play_that_ended_before_the_stack_was_brought_up_is_gone_on_with():
    up, noted = "Bring the stack up to what is written", "Note what was brought up"
    (asks,) = (task for task in ALL if task.get("notify") == up)  # not what changed in this play: that is said once
    handlers = {each["name"]: each for each in HANDLERS}
    assert asks["changed_when"] == "brought_up.rc != 0"
    assert handlers[up]["notify"] == noted
    assert list(handlers).index(up) < list(handlers).index(noted)
    written = handlers[noted]["ansible.builtin.copy"]
    assert asks["ansible.builtin.command"]["argv"][-2:] == [written["content"].strip(), written["dest"]]


def test_nobody_else_of_the_host_reads_backups():
    (folder,) = (task for task in ALL if "sacristy_backup_place" in str(task.get("ansible.builtin.file", "")))
    assert folder["ansible.builtin.file"]["mode"] == "0700"


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_not_roots(path):
    assert "User={{ sacristy_user }}" in path.read_text()
