"""What model.toml may say: its tables, keys, defaults and bounds. docs/how-to/model-toml.md is its page."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Metric = Literal["accuracy", "macro_f1", "mean_absolute_error"]
LOWER_IS_BETTER = frozenset({"mean_absolute_error"})
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
# Jenkins takes any text into a job, and a bad one shows only when nothing is built.
CRON = r"^(@(hourly|midnight|daily|weekly|monthly|yearly|annually)|[H0-9*/,()-]+( [H0-9*/,()-]+){4})?$"


class Section(BaseModel):
    """A table of model.toml: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Gates(Section):
    """What an image must reach in its acceptance test."""

    metric: Metric = Field(description="how answers are scored on the held-out examples")
    minimum: float = Field(description="the worst score that passes (for an error measure: the greatest)")
    margin: float = Field(default=0.0, ge=0, description="how much worse than production's version is allowed")
    golden_tolerance: float = Field(
        default=1e-4, ge=0, description="greatest difference of a number in a golden answer"
    )
    ready_s: Positive = Field(default=30.0, description="seconds from start to ready")
    latency_p95_ms: Positive = Field(
        default=100.0, description="95th percentile of one-instance requests, milliseconds"
    )
    memory_mib: Count = Field(default=1024, description="peak resident memory of all the image's processes, MiB")


class Serving(Section):
    """How the image serves."""

    workers: Count = Field(default=1, description="Gunicorn worker processes")
    threads: Count = Field(default=4, description="threads in each worker")
    max_instances: Count = Field(default=256, description="most instances in one request")
    max_body_kib: Count = Field(default=1024, description="largest request body, KiB")
    timeout_s: Count = Field(default=30, description="longest prediction before its worker is replaced, seconds")


class Training(Section):
    """How the model is trained."""

    workers: int = Field(
        default=1, ge=1, le=256, description="pods, or processes here, that train together by torch.distributed"
    )


class Resources(Section):
    """What an instance may use at most; the docker and kubernetes targets hold it to that."""

    cpu: Positive = Field(default=2.0, description="processor cores")
    memory_mib: Count = Field(default=2048, description="memory, MiB; an instance that takes more is ended")
    gpu: int = Field(default=0, ge=0, le=16, description="graphics processors of the cluster's pool, for each replica")
    cpu_fallback: bool = Field(default=False, description="whether it may run without them while that pool is full")


class Kubernetes(Section):
    """How many replicas the kubernetes target runs of a stage."""

    replicas: Count = Field(default=2, description="replicas of a stage at rest")
    max_replicas: int = Field(default=0, ge=0, description="replicas under load; 0: as many as at rest")
    cpu_percent: Count = Field(default=70, description="share of cpu_request in use, above which replicas are added")
    in_flight: float = Field(
        default=0.0,
        ge=0,
        description="requests in flight per replica above which some are added, where the cluster counts them; 0: any",
    )
    scale_down_s: int = Field(
        default=300, ge=0, le=3600, description="seconds of less load after which replicas are taken away"
    )
    cpu_request: Positive = Field(default=0.25, description="cores kept free for each replica; resources.cpu limits it")
    idle_s: float = Field(
        default=0.0, ge=0, description="seconds unasked after which a stage sleeps, without replicas; 0: never"
    )


class Jenkins(Section):
    """The model's job in Jenkins."""

    schedule: str = Field(
        default="",
        pattern=CRON,
        description="when to train anew, as Jenkins' cron, such as 'H 3 * * 1'; empty: never",
    )
    poll: str = Field(
        default="H/5 * * * *",
        pattern=CRON,
        description="when to look for commits, as Jenkins' cron; empty: only when told",
    )
    keep_builds: Count = Field(default=50, description="builds that are kept")
    keep_artifacts: Count = Field(default=20, description="builds whose artefacts are kept")


class Watch(Section):
    """What production's live answers must keep to after a release; a breach rolls it back."""

    error_rate: float = Field(
        default=0.01, ge=0, le=1, description="greatest share of answers with a status of 500 or more"
    )
    latency_p95_ms: Positive = Field(default=1000.0, description="95th percentile of the time to answer, milliseconds")
    min_requests: Count = Field(default=20, description="answers below which no rate is judged")
    silent_s: Count = Field(default=15, description="seconds for which its metrics may not be had")


class Canary(Section):
    """What a canary must keep to; with a window, the operator promotes or withdraws it by itself."""

    window_s: int = Field(
        default=0,
        ge=0,
        le=72_000,  # a canary on a cluster is a pod that lives for a day
        description="seconds after which a canary that kept to all of it is promoted; 0: people decide",
    )
    min_requests: Count = Field(default=100, description="requests of it, below which nothing is decided")
    error_rate: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="greatest share of requests it fails at: by a 5xx, no answer, or refusing what the stage answers",
    )
    latency_p95_ms: Positive = Field(default=1000.0, description="95th percentile of its time to answer, milliseconds")
    agreement: float = Field(
        default=0.9, ge=0, le=1, description="least share of predictions that say what the stage's own version says"
    )


class Privacy(Section):
    """What may be kept of what users ask."""

    inputs: Literal["keep", "hash", "none"] = Field(
        default="keep", description="of a request's instances: themselves, their SHA-256, or nothing"
    )


class Knob(Section):
    """A configuration entry that a search varies: a range, of whole numbers if both ends are, or a choice."""

    low: int | float | None = Field(default=None, description="the least value")
    high: int | float | None = Field(default=None, description="the greatest value")
    log: bool = Field(default=False, description="whether each magnitude is equally likely, rather than each value")
    choice: list[bool | int | float | str] = Field(default=[], description="the values, where they are no range")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.choice:
            if (self.low, self.high, self.log) != (None, None, False):
                raise ValueError("a choice has neither low, high nor log")
        elif self.low is None or self.high is None:
            raise ValueError("it needs low and high, or choice")
        elif not self.low < self.high:
            raise ValueError("low must be less than high")
        elif self.log and self.low <= 0:
            raise ValueError("log needs a low above 0")
        return self

    def plain(self) -> dict[str, Any]:
        """Return it as JSON: {"low", "high", "log"} or {"choice"}."""
        return {"choice": self.choice} if self.choice else {"low": self.low, "high": self.high, "log": self.log}


class Search(Section):
    """How `sacristy search` looks for a better configuration."""

    metric: str = Field(default="", description="the logged metric that trials are judged by; empty: main_metric")
    mode: Literal["max", "min"] = Field(default="max", description="whether more or less of it is better")
    space: dict[str, Knob] = Field(default={}, description="what is varied: configuration entries, ranges and choices")
    grace: Count = Field(default=1, description="points that a trial may log before it can be stopped early")
    reduction: int = Field(default=3, ge=2, description="of so many trials that came equally far, one goes on")
    cpu: Positive = Field(default=1.0, description="processor cores of one trial")
    gpu: float = Field(default=0.0, ge=0, description="graphics processors of one trial")
    best: Count = Field(default=1, description="how many of the best runs are tagged `best`")


class ModelFile(Section):
    """The whole of model.toml."""

    title: Annotated[str, Field(min_length=1, max_length=120)] = Field(description="one line for people")
    main_metric: str = Field(default="", description="the metric that tables and sparklines show")
    reproduce_tolerance: float = Field(default=0.0, ge=0, description="relative difference that reproduce tolerates")
    weights: Literal["image", "ceph"] = Field(
        default="image", description="where an instance finds them: in its image, or by digest in the store at start"
    )
    gates: Gates
    training: Training = Training()
    serving: Serving = Serving()
    resources: Resources = Resources()
    kubernetes: Kubernetes = Kubernetes()
    jenkins: Jenkins = Jenkins()
    canary: Canary = Canary()
    watch: Watch = Watch()
    privacy: Privacy = Privacy()
    search: Search = Search()

    @property
    def processes(self) -> int:
        """How many processes each worker of a training is: one for every graphics processor, where there are several
        workers. A model that is trained by one worker has all of its processors in one process.
        """
        return max(1, self.resources.gpu) if self.training.workers > 1 else 1

    @property
    def ranks(self) -> int:
        """How many processes train together."""
        return self.training.workers * self.processes
