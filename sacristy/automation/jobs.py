"""Jobs as data: what each model's job is to be, from its model.toml and the settings. Pure; config.py makes it XML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sacristy.automation.triggering import KEY
from sacristy.errors import JobNotOurs, RepositoryNotSet
from sacristy.project import Model, load_model, model_names
from sacristy.settings import Settings

PROMOTE = "promote"
MARK = "Kept by 'sacristy jenkins sync': change it in the repository."
ROOT_SCRIPT = "Jenkinsfile"
PROMOTE_SCRIPT = "jenkins/promote.Jenkinsfile"
PROMOTE_KEEPS = 200
ALLOW_LOCAL = "-Dhudson.plugins.git.GitSCM.ALLOW_LOCAL_CHECKOUT=true"


@dataclass(frozen=True)
class Parameter:
    """A text that a build is given."""

    name: str
    default: str
    description: str


@dataclass(frozen=True)
class Source:
    """Where a job's code is."""

    repository: str
    branch: str
    credentials: str


@dataclass(frozen=True)
class Job:
    """A pipeline job. `schedule` and `poll` are Jenkins' cron, empty for never."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    source: Source
    script: str
    keep_builds: int
    keep_artifacts: int
    schedule: str = ""
    poll: str = ""


# As the Jenkinsfiles declare them: what differs would be changed back and forth by every build and every sync.
MODEL = Parameter("MODEL", "", "a folder under models/; empty: as the job is called")
WHY = Parameter("WHY", "", "the reason, kept in the audit trail")
RUN = Parameter("RUN", "", "the run to release; empty: train a new one")


def model_job(settings: Settings, model: Model) -> Job:
    """Return the job of a model: its own Jenkinsfile where the folder has one, the root's otherwise."""
    own = f"models/{model.name}/{ROOT_SCRIPT}"
    wanted = model.file.jenkins
    return Job(
        name=model.name,
        description=f"{model.file.title}\n{MARK}",
        parameters=(MODEL, RUN, WHY, *_placement(settings), _KEY),
        source=source_of(settings),
        script=own if (settings.project / own).is_file() else ROOT_SCRIPT,
        keep_builds=wanted.keep_builds,
        keep_artifacts=wanted.keep_artifacts,
        schedule=wanted.schedule,
        poll=wanted.poll,
    )


def promote_job(settings: Settings) -> Job:
    """Return the job that moves a stage to any version that passed its test, with an approval for production."""
    own = (
        Parameter("IMAGE", "", "what is promoted: model:version or model@digest"),
        Parameter("STAGE", "staging", "staging or production"),
        WHY,
    )
    return Job(
        name=PROMOTE,
        description=f"Moves a stage to a version that passed its test, and deploys it\n{MARK}",
        parameters=(*own, *_placement(settings)[:1], _KEY),
        source=source_of(settings),
        script=PROMOTE_SCRIPT,
        keep_builds=PROMOTE_KEEPS,
        keep_artifacts=PROMOTE_KEEPS,
    )


def wanted_jobs(settings: Settings, names: Sequence[str] | None = None) -> list[Job]:
    """Return all jobs that the project is to have. Raises RepositoryNotSet, InvalidModelFile or JobNotOurs."""
    if not settings.repository:
        raise RepositoryNotSet
    models = list(model_names(settings.project) if names is None else names)
    if PROMOTE in models:
        raise JobNotOurs(name=f"{settings.jenkins_folder}/{PROMOTE}", found="the job that promotes, not a model's")
    return [*(model_job(settings, load_model(settings.project, name)) for name in models), promote_job(settings)]


def source_of(settings: Settings) -> Source:
    """Return where the project's code is."""
    return Source(settings.repository, settings.branch, settings.repository_credentials)


def is_local(repository: str) -> bool:
    """Say whether a repository is a folder, which Jenkins refuses to check out unless ALLOW_LOCAL is set."""
    return repository.startswith(("file:", "/", ".", "~"))


def full_name(settings: Settings, job: str) -> str:
    """Return a job's name with its folder."""
    return f"{settings.jenkins_folder}/{job}"


def _placement(settings: Settings) -> tuple[Parameter, ...]:
    """Return on which agents a build runs. Only the XML declares these: their defaults are this installation's."""
    return (
        Parameter("AGENT", settings.jenkins_agent, "the label of the agent that releases"),
        Parameter("TRAINER", settings.jenkins_trainer or settings.jenkins_agent, "the label of the agent that trains"),
        Parameter(
            "IMAGE_BUILDER", settings.jenkins_image_builder, "the label of an agent with a Docker engine; empty: none"
        ),
    )


_KEY = Parameter(KEY, "", "set by Sacristy, so that a build is started once; leave it empty")
