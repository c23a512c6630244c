"""What Jenkins is at: each of our jobs, its newest build, and what that waits for."""

from __future__ import annotations

from dataclasses import dataclass

from sacristy.automation.approvals import pending
from sacristy.automation.client import Client, Json, job_path, plain
from sacristy.errors import JenkinsFailed, JenkinsItemMissing

LAST = "lastBuild[number,result,building,timestamp,url,description,actions[parameters[name,value]]]"


@dataclass(frozen=True)
class JobState:
    """A job. `result` is empty while its newest build runs, and so is everything of a job without builds."""

    job: str
    build: int | None
    building: bool
    result: str
    run: str
    waits_for: str
    description: str
    url: str


def survey(client: Client, folder: str) -> list[JobState]:
    """Return the state of every pipeline of a folder, by name. Raises JenkinsItemMissing without the folder."""
    listed = client.get_json(f"{job_path(folder)}/api/json?tree=jobs[name,url,{LAST}]", f"folder {folder}")
    return [_state(client, folder, job) for job in sorted(listed.get("jobs") or (), key=lambda job: str(job["name"]))]


def running(client: Client, job: str) -> int:
    """Return the number of the newest build of a job that runs. Raises JenkinsItemMissing."""
    tree = "builds[number,building]{0,20}"
    builds = client.get_json(f"{job_path(job)}/api/json?tree={tree}", f"job {job}").get("builds") or ()
    found = next((int(build["number"]) for build in builds if build.get("building")), None)
    if found is None:
        raise JenkinsItemMissing(item=f"running build of {job}")
    return found


def _state(client: Client, folder: str, job: Json) -> JobState:
    name, last = str(job["name"]), job.get("lastBuild") or {}
    building = bool(last.get("building"))
    given = {
        pair.get("name"): str(pair.get("value"))
        for action in last.get("actions") or ()
        for pair in (action or {}).get("parameters") or ()
    }
    return JobState(
        job=name,
        build=last.get("number"),
        building=building,
        result=str(last.get("result") or ""),
        run=given.get("RUN", ""),
        waits_for=_waits_for(client, f"{folder}/{name}", last["number"]) if building else "",
        description=plain(str(last.get("description") or "")),
        url=str(last.get("url") or job.get("url") or ""),
    )


def _waits_for(client: Client, job: str, build: int) -> str:
    try:
        questions = [question.message for question in pending(client, job, build) if question.message]
    except (JenkinsItemMissing, JenkinsFailed):  # it ended meanwhile, or has only just begun
        return ""
    return "; ".join(question.splitlines()[0] for question in questions)
