"""Answering a build that waits for a person: pipeline-rest-api's pages, which take an input's parameters as they are.

The plain `proceedEmpty` leaves parameters null even where they have a default. An input's id is capitalised in its
addresses (`approve` is at /input/Approve/), so ids are taken from Jenkins' own list and never made here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from sacristy.automation.client import Client, NoAnswer, job_path
from sacristy.errors import JenkinsUnreachable, NothingToApprove


@dataclass(frozen=True)
class Question:
    """What a build waits for; `parameters` are the names that it asks for."""

    job: str
    build: int
    id: str
    message: str
    parameters: tuple[str, ...]


def pending(client: Client, job: str, build: int) -> list[Question]:
    """Return what a build waits for. Raises JenkinsItemMissing."""
    path = f"{job_path(job)}/{build}/wfapi/pendingInputActions"
    found = client.get_json(path, f"build {job} #{build}")
    return [
        Question(
            job, build, each["id"], each.get("message") or "", tuple(one["name"] for one in each.get("inputs") or ())
        )
        for each in found
    ]


def waiting(client: Client, job: str) -> list[Question]:
    """Return what the unfinished builds of a job wait for, the newest build first."""
    tree = "builds[number,building]{0,20}"
    builds = client.get_json(f"{job_path(job)}/api/json?tree={tree}", f"job {job}").get("builds") or ()
    return [each for build in builds if build.get("building") for each in pending(client, job, build["number"])]


def choose(client: Client, job: str, build: int | None = None) -> Question:
    """Return the one question of a build, or of the newest build that waits. Raises NothingToApprove."""
    found = waiting(client, job) if build is None else pending(client, job, build)
    if not found:
        raise NothingToApprove(job=job if build is None else f"{job} #{build}", model=job.rpartition("/")[2])
    return found[0]


def submission(question: Question, answers: Mapping[str, str]) -> dict[str, str]:
    """Return the form that answers a question: every parameter it asks for, those that are not given empty."""
    parameters = [{"name": name, "value": answers.get(name, "")} for name in question.parameters]
    return {"json": json.dumps({"parameter": parameters})}


def approve(client: Client, question: Question, answers: Mapping[str, str]) -> None:
    """Let a build go on. Raises JenkinsForbidden or JenkinsFailed (400: the input names others as its submitters)."""
    path = f"{job_path(question.job)}/{question.build}/wfapi/inputSubmit?inputId={quote(question.id, safe='')}"
    _answer(client, path, f"approving {question.job} #{question.build}", question, submission(question, answers))


def refuse(client: Client, question: Question) -> None:
    """Do not let a build go on: it ends as ABORTED."""
    path = f"{job_path(question.job)}/{question.build}/input/{quote(question.id, safe='')}/abort"
    _answer(client, path, f"refusing {question.job} #{question.build}", question, {})


def abort(client: Client, job: str, build: int) -> None:
    """Stop a build. Doing it twice does no harm."""
    try:
        client.post(f"{job_path(job)}/{build}/stop", f"aborting {job} #{build}", f"build {job} #{build}", {})
    except NoAnswer as error:
        raise JenkinsUnreachable(url=client.url, reason=error) from None


def _answer(client: Client, path: str, doing: str, question: Question, form: Mapping[str, str]) -> None:
    try:
        client.post(path, doing, f"input {question.id} of {question.job} #{question.build}", form)
    except NoAnswer as error:
        # It may have been taken: then the question is gone, which is what was wanted.
        still = any(each.id == question.id for each in pending(client, question.job, question.build))
        if still or not error.sent:
            raise JenkinsUnreachable(url=client.url, reason=error) from None
