"""Making a Jenkins equal to the repository: look, compare, change only what differs. Twice changes nothing.

`plan` is a pure difference between what is wanted and what was found; `apply` carries it out. Only jobs that carry our
mark are ever removed, and builds, learned parameters and whatever else a job has are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sacristy.automation import config
from sacristy.automation.client import Client, NoAnswer, job_path
from sacristy.automation.jobs import Job
from sacristy.errors import JenkinsItemMissing, JenkinsUnreachable, JobNotOurs

XML = "application/xml; charset=utf-8"
FOLDER_CLASS = "com.cloudbees.hudson.plugins.folder.Folder"
PIPELINE_CLASS = "org.jenkinsci.plugins.workflow.job.WorkflowJob"


class Verb(StrEnum):
    """What is to be done with a job."""

    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True)
class Found:
    """What a folder holds: each pipeline's config.xml by name, and the kind of everything that is no pipeline.

    `exists` is false where there is no folder yet.
    """

    exists: bool
    configs: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One thing to do. `lines` say what differs, old value first; `config` is what will be written."""

    verb: Verb
    name: str
    lines: tuple[str, ...] = ()
    config: str = ""


@dataclass(frozen=True)
class Plan:
    """All that is to be done in a folder; nothing if it is equal already."""

    folder: str
    make_folder: bool
    steps: tuple[Step, ...]

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing to do."""
        return not self.make_folder and not self.steps

    def removed(self) -> list[str]:
        """Return the names of jobs that would go, with their builds."""
        return [step.name for step in self.steps if step.verb is Verb.REMOVE]


def look(client: Client, folder: str) -> Found:
    """Return what a folder holds. Raises JobNotOurs if something else has its name."""
    try:
        listed = client.get_json(f"{job_path(folder)}/api/json?tree=_class,jobs[name,_class]", f"folder {folder}")
    except JenkinsItemMissing:
        return Found(exists=False)
    if listed.get("_class") != FOLDER_CLASS:
        raise JobNotOurs(name=folder, found=f"a {str(listed.get('_class')).rpartition('.')[2]}, no folder")
    kinds = {str(job["name"]): str(job["_class"]) for job in listed.get("jobs") or ()}
    pipelines = [name for name, kind in kinds.items() if kind == PIPELINE_CLASS]
    configs = {name: client.get_xml(f"{job_path(f'{folder}/{name}')}/config.xml", f"job {name}") for name in pipelines}
    others = {name: kind.rpartition(".")[2] for name, kind in kinds.items() if name not in configs}
    return Found(True, configs, others)


def plan(folder: str, wanted: Iterable[Job], found: Found, *, adopt: bool = False) -> Plan:
    """Return what makes a folder equal to what is wanted. Asks nothing.

    `adopt`: pipelines without our mark that have the name of one of ours become ours.
    Raises JobNotOurs or JenkinsFailed.
    """
    jobs = {job.name: job for job in wanted}
    steps = [step for job in jobs.values() if (step := _step(folder, job, found, adopt=adopt))]
    gone = [name for name in found.configs if name not in jobs and config.is_ours(found.configs[name], name)]
    steps += [Step(Verb.REMOVE, name, ("its model is gone; its builds go with it",)) for name in sorted(gone)]
    return Plan(folder, not found.exists, tuple(steps))


def apply(client: Client, wanted: Plan, progress: Callable[[str], None] = lambda _: None) -> None:
    """Carry a plan out. Raises JenkinsUnreachable where no answer came: planning anew shows what is left to do."""
    if wanted.make_folder:
        progress(f"create folder {wanted.folder}")
        form = {"name": wanted.folder, "mode": FOLDER_CLASS}  # a folder of XML alone would lack its views
        _post(client, f"createItem?name={wanted.folder}", f"making folder {wanted.folder}", form)
    for step in wanted.steps:
        job = f"{wanted.folder}/{step.name}"
        progress(f"{step.verb} {job}")
        if step.verb is Verb.CREATE:
            _post(
                client, f"{job_path(wanted.folder)}/createItem?name={step.name}", f"making {job}", step.config.encode()
            )
        elif step.verb is Verb.CHANGE:
            _post(client, f"{job_path(job)}/config.xml", f"changing {job}", step.config.encode())
        else:
            _remove(client, job)


def _step(folder: str, job: Job, found: Found, *, adopt: bool) -> Step | None:
    if job.name in found.others:
        raise JobNotOurs(name=f"{folder}/{job.name}", found=f"a {found.others[job.name]}, no pipeline")
    now = found.configs.get(job.name)
    if now is None:
        return Step(Verb.CREATE, job.name, tuple(differences({}, config.facts(job))), config.job_config(job))
    if not adopt and not config.is_ours(now, job.name):
        raise JobNotOurs(name=f"{folder}/{job.name}", found="a pipeline that somebody else made")
    is_now = config.read(now, job.name)
    would_be = config.job_config(job, now)
    lines = tuple(differences(is_now, config.read(would_be, job.name)))
    return Step(Verb.CHANGE, job.name, lines, would_be) if lines else None


def differences(first: config.Facts, second: config.Facts) -> list[str]:
    """Return a line for each fact that differs."""
    names = [name for name in dict.fromkeys([*second, *first]) if first.get(name) != second.get(name)]
    return [f"{name}: {_shown(first.get(name))} -> {_shown(second.get(name))}" for name in names]


def _shown(value: str | None) -> str:
    return "nothing" if value is None else " / ".join(value.splitlines()) or "empty"


def _post(client: Client, path: str, doing: str, content: bytes | Mapping[str, str]) -> None:
    try:
        client.post(path, doing, path.partition("?")[0], content, XML if isinstance(content, bytes) else "")
    except NoAnswer as error:
        raise JenkinsUnreachable(url=client.url, reason=f"{error} while {doing}; sync again") from None


def _remove(client: Client, job: str) -> None:
    try:
        client.post(f"{job_path(job)}/doDelete", f"removing {job}", f"job {job}", {})
    except JenkinsItemMissing:
        return  # somebody else removed it
    except NoAnswer as error:
        raise JenkinsUnreachable(url=client.url, reason=f"{error} while removing {job}; sync again") from None
