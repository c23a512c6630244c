"""One Settings object: where things are. Read once from the environment and `.sacristy/settings.toml`.

Every field can be set as `SACRISTY_<FIELD>` or in the file, whose unknown keys are refused. What the embedded stack
chose for itself (ports) and the secrets that `sacristy init` made are read from the home folder.
"""

from __future__ import annotations

import functools
import json
import os
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from sacristy.errors import InvalidSettings, JenkinsNotSet, NotInitialised, ProjectNotFound, StateDamaged

if TYPE_CHECKING:
    import ssl

DATABASE = "sacristy"
REPLICA_SET = "rs0"


class Role(StrEnum):
    """Who connects to MongoDB; each has a user of its own with the least it needs."""

    ADMIN = "admin"
    TRAINING = "training"
    SERVICE = "service"
    OMNIBOARD = "omniboard"
    GATEWAY = "gateway"


class Promotion(BaseModel):
    """The policy by which stages move: `[promotion]` in the file, SACRISTY_PROMOTION__KEEP and so on outside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    approvals: int = Field(default=0, ge=0, le=9, description="people other than the promoter who approve production")
    stages_moved_by_hand: Literal["refuse", "adopt"] = Field(
        default="refuse", description="what a tag is that no promotion put there: a fault, or the state to go on from"
    )
    keep: int = Field(
        default=5, ge=1, description="versions of a stage's history that images prune leaves; of a model, in an engine"
    )
    release_tags_by: list[str] = Field(
        default=[],
        description="whose runs a tag in Omniboard releases (the user that trained them); empty: everybody's",
    )


class Place(StrEnum):
    """Where a training runs."""

    HERE = "here"
    KUBERNETES = "kubernetes"


class TargetName(StrEnum):
    """Where an image can run."""

    PROCESS = "process"
    DOCKER = "docker"
    KUBERNETES = "kubernetes"


class Cluster(BaseModel):
    """The Kubernetes that the kubernetes target uses: `[cluster]` in the file, SACRISTY_CLUSTER__KUBECONFIG outside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kubeconfig: Path | None = Field(
        default=None, description="empty: the pod's own service account, else KUBECONFIG or ~/.kube/config"
    )
    context: str = Field(default="", description="a context of the kubeconfig; empty: its current one")
    namespace: str = Field(
        default="sacristy",
        pattern="^[a-z][a-z0-9-]{0,39}$",
        description="what namespaces begin with: NAME-staging, NAME-production and NAME-trials",
    )
    registry: str = Field(default="", description="host:port under which nodes reach the registry; empty: as we do")
    expose: Literal["ClusterIP", "NodePort"] = Field(
        default="ClusterIP", description="NodePort where gateway and commands are outside of the cluster"
    )
    node_address: str = Field(default="127.0.0.1", description="a node, as the gateway reaches it: for NodePort")
    routes: str = Field(
        default="",
        pattern="^([a-z][a-z0-9-]*/[a-z][a-z0-9-]*)?$",
        description="namespace/name of a ConfigMap in which the operator publishes the routes for gateways there",
    )
    in_flight: str = Field(
        default="",
        pattern="^[a-z_][a-z0-9_]*$|^$",
        description="the metric by which the cluster counts pods' requests in flight (Prometheus adapter); empty: none",
    )
    weights_cache: str = Field(
        default="",
        pattern="^(/[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$",
        description="a folder of each node that keeps fetched weights for its pods; empty: each pod fetches for itself",
    )
    weights_cache_gib: int = Field(default=200, ge=0, description="what is kept there at rest; 0: all")
    store_addresses: str = Field(
        default="",
        pattern="^([0-9a-fA-F.:]+/[0-9]{1,3})?$",
        description="where pods may fetch weights, such as 10.0.8.0/24; empty: as weights_endpoint says",
    )
    gpu_label: str = Field(
        default="pool=ml", pattern="^[^=]+=[^=]+$", description="the label of the nodes with graphics processors"
    )
    gpu_taint: str = Field(
        default="purpose=ml", pattern="^[^=]+=[^=]+$", description="the taint that keeps others away from them"
    )


class Settings(BaseSettings):
    """Where the project, its home folder and its services are."""

    model_config = SettingsConfigDict(
        env_prefix="SACRISTY_", extra="forbid", env_ignore_empty=True, env_nested_delimiter="__"
    )

    project: Path = Field(default_factory=lambda: find_project(Path.cwd()), description="the checkout")
    home: Path = Field(default=Path(".sacristy"), description="state of the embedded stack; relative to the project")
    data: Path | None = Field(default=None, description="a folder with local copies of the public data sets")
    environments: Path | None = Field(default=None, description="environments for models; empty: home/environments")
    mongodb_url: SecretStr | None = Field(
        default=None,
        description="a MongoDB that is not the embedded one; without a user: each role's, from the secrets",
    )
    mongodb_ca: Path | None = Field(default=None, description="the certificate that MongoDB's is checked with")
    weights: str = Field(
        default="", description="a folder, or s3://bucket; empty: the stack's Ceph if it has one, else home/weights"
    )
    weights_endpoint: str = Field(default="", description="an S3 gateway that is not the embedded one")
    weights_ca: Path | None = Field(default=None, description="the certificate that the S3 gateway's is checked with")
    ceph_size_gib: int = Field(default=20, ge=3, description="the disk of the embedded Ceph, a sparse file")
    data_remote: str = Field(
        default="", description="where DVC keeps data: a folder or s3://bucket; empty: the stack's Ceph, else home/data"
    )
    registry: str = Field(default="", description="https://host:port, or a folder of layouts; empty: home/registry")
    registry_user: str = Field(default="", description="who logs in to the registry; empty: nobody")
    registry_password: SecretStr | None = Field(default=None, description="empty: secrets/registry-password")
    registry_ca: Path | None = Field(default=None, description="the certificate that the registry's is checked with")
    serving_base: str = Field(
        default="python:3.11-slim-bookworm", description="what environment images are built on; best by digest"
    )
    serving_variant: Literal["cpu", "cuda"] = Field(default="cpu", description="which environment images lie on")
    target: TargetName = Field(default=TargetName.PROCESS, description="where images are tested and deployed")
    train_on: Place = Field(
        default=Place.HERE, description="where `sacristy train` trains unless --on says it, agents' trainings too"
    )
    docker_network: str = Field(
        default="", description="the engine's network where stages answer by name; empty: on this host's loopback"
    )
    promotion: Promotion = Field(default=Promotion(), description="the policy by which stages move")
    cluster: Cluster = Field(default=Cluster(), description="the Kubernetes of the kubernetes target")
    jenkins_url: str = Field(default="", description="the Jenkins that builds, such as https://jenkins.example.org")
    jenkins_user: str = Field(default="", description="who Sacristy is in Jenkins")
    jenkins_token: SecretStr | None = Field(default=None, description="that user's token; empty: secrets/jenkins-token")
    jenkins_folder: str = Field(
        default="sacristy", pattern="^[A-Za-z0-9_][A-Za-z0-9_-]{0,59}$", description="the folder of our jobs in Jenkins"
    )
    jenkins_agent: str = Field(default="sacristy", min_length=1, description="the label of the agents that release")
    jenkins_trainer: str = Field(default="", description="the label of the agents that train; empty: jenkins_agent")
    jenkins_image_builder: str = Field(
        default="", description="the label of agents with a Docker engine of their own; empty: no environment images"
    )
    repository: str = Field(default="", description="where Jenkins finds this project, as git clone takes it")
    branch: str = Field(
        default="main", pattern=r"^[^\s~^:?*\[\\-][^\s~^:?*\[\\]*$", description="which branch Jenkins builds"
    )
    repository_credentials: str = Field(default="", description="the id of Jenkins' credentials for the repository")
    notify_url: SecretStr | None = Field(
        default=None, description="a web hook that is told how releases end; empty: secrets/notify-url, else nobody"
    )
    gateway_url: str = Field(default="", description="a gateway that is not the embedded one")
    gateway_ca: Path | None = Field(default=None, description="the certificate to check the gateway's and Omniboard's")
    prediction_log: bool = Field(default=True, description="whether the gateway keeps predictions and counts them")
    prediction_days: int = Field(default=30, ge=1, description="how long predictions are kept, in days")
    held_requests: int = Field(
        default=16, ge=0, le=31, description="requests for stages that sleep which a process of the gateway holds"
    )
    held_s: float = Field(default=60.0, gt=0, description="for how long they are held at most, in seconds")
    gateway_token: SecretStr | None = Field(
        default=None, description="what commands show the gateway; empty: secrets/gateway-ops, or gateway-scientist"
    )
    omniboard_url: str = Field(default="", description="an Omniboard that is not the embedded one")
    user: str = Field(default_factory=lambda: _user(), description="who acts, for the audit trail")

    def model_post_init(self, _context: Any) -> None:
        """Make the home folder absolute, and certificates relative to it."""
        self.home = (self.project / self.home).resolve()
        for name in ("mongodb_ca", "weights_ca", "registry_ca", "gateway_ca"):
            if path := getattr(self, name):
                setattr(self, name, self.home / path)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _settings_file())

    @property
    def environments_folder(self) -> Path:
        """The environments for models: one for each lock."""
        return self.environments or self.home / "environments"

    @property
    def weights_location(self) -> str:
        """The folder or s3:// address of the weights."""
        return self.weights or ("s3://weights" if self.has_ceph else str(self.home / "weights"))

    @property
    def data_location(self) -> str:
        """The folder or s3:// address of the data that DVC keeps."""
        return self.data_remote or ("s3://data" if self.has_ceph else str(self.home / "data"))

    @property
    def has_ceph(self) -> bool:
        """Whether the stack was once brought up with a Ceph of its own, which is then its store."""
        return (self.home / "ceph" / "ready").is_file()

    @property
    def s3_endpoint(self) -> str:
        """The address of the S3 gateway: the one that is set, else the embedded one, else empty for AWS's own rules."""
        port = self.port("ceph")
        return self.weights_endpoint or (f"https://127.0.0.1:{port}" if port else "")

    @property
    def s3_ca(self) -> Path | None:
        """The certificate to check the gateway's with; None for those that the system trusts."""
        if self.weights_ca or self.weights_endpoint:
            return self.weights_ca
        return self.home / "secrets" / "ceph-certificate.pem" if self.port("ceph") else None

    @property
    def cache_folder(self) -> Path:
        """Blobs that were downloaded, for all processes of this node."""
        return self.home / "cache"

    @property
    def registry_location(self) -> str:
        """The folder or https:// address of the pushed images."""
        return self.registry or str(self.home / "registry")

    @property
    def registry_login(self) -> tuple[str, str]:
        """The registry's user and password, both empty without a user. Raises NotInitialised without a password."""
        if not self.registry_user:
            return "", ""
        given = self.registry_password
        return self.registry_user, given.get_secret_value() if given else self.secret("registry-password")

    @property
    def jenkins_login(self) -> tuple[str, str, str]:
        """Jenkins' address, our user there and its token. Raises JenkinsNotSet or NotInitialised (no token)."""
        missing = [name for name in ("jenkins_url", "jenkins_user") if not getattr(self, name)]
        if missing:
            raise JenkinsNotSet(name=missing[0], variable=f"SACRISTY_{missing[0].upper()}")
        given = self.jenkins_token
        return self.jenkins_url, self.jenkins_user, given.get_secret_value() if given else self.secret("jenkins-token")

    @property
    def has_jenkins(self) -> bool:
        """Whether there is a Jenkins to release by: the stack then watches for runs that are tagged."""
        return bool(self.jenkins_url and self.jenkins_user)

    @property
    def images_folder(self) -> Path:
        """Images built here and not pushed yet: one OCI layout for each model."""
        return self.home / "images"

    @property
    def journals(self) -> Path:
        """The journals of runs whose events are not all in MongoDB yet."""
        return self.home / "journals"

    @property
    def routes_file(self) -> Path:
        """What the gateway reads to know which instance answers for a model's stage."""
        return self.home / "gateway" / "routes.json"

    @property
    def tokens_file(self) -> Path:
        """The hashes of the tokens that the gateway knows."""
        return self.home / "gateway" / "tokens.json"

    @property
    def own_token(self) -> str:
        """What commands show the gateway: ops' token, else a scientist's. Raises NotInitialised."""
        if self.gateway_token:
            return self.gateway_token.get_secret_value()
        try:
            return self.secret("gateway-ops")
        except NotInitialised:
            if not (self.home / "secrets" / "gateway-scientist").is_file():
                raise
            return self.secret("gateway-scientist")

    @property
    def gateway_trust(self) -> ssl.SSLContext | bool:
        """What the gateway's certificate is checked with: the one that is set, else what the system trusts."""
        import ssl

        return ssl.create_default_context(cafile=self.gateway_ca) if self.gateway_ca else True

    def port(self, service: str) -> int | None:
        """Return the port the embedded stack gave to a service, or None before the first `sacristy up`."""
        return self.ports().get(service)

    def ports(self) -> dict[str, int]:
        """Return the ports of the embedded stack's services by name."""
        try:
            return dict(json.loads((self.home / "ports.json").read_text()))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            path = self.home / "ports.json"
            raise StateDamaged(path=path, reason=error, mend=f"rm {path}, then: sacristy up") from None

    def service_url(self, service: str) -> str:
        """Return the http address of `gateway` or `omniboard`, or an empty string if it has none."""
        given = {"gateway": self.gateway_url, "omniboard": self.omniboard_url}[service]
        port = self.port(service)
        return given or (f"http://127.0.0.1:{port}" if port else "")

    def secret(self, name: str) -> str:
        """Return a secret that `sacristy init` made, or raise NotInitialised."""
        path = self.home / "secrets" / name
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            raise NotInitialised(path=path) from None

    def database_url(self, role: Role, timeout_ms: int = 5000) -> str:
        """Return the MongoDB address for a role, password included: never print it.

        Raises NotInitialised before `sacristy init`, or before the first `sacristy up`.
        """
        given = self.mongodb_url.get_secret_value() if self.mongodb_url else ""
        if "@" in given:
            return given
        port = self.port("mongodb")
        if not given and port is None:
            raise NotInitialised(path=self.home / "ports.json")
        address, _, options = (given or f"mongodb://127.0.0.1:{port}?replicaSet={REPLICA_SET}").partition("?")
        hosts = address.removeprefix("mongodb://").partition("/")[0]
        password = quote(self.secret(f"mongodb-{role}"), safe="")
        source = "admin" if role is Role.ADMIN else DATABASE
        asked = [options] if options else []
        asked += [f"authSource={source}", "w=majority", "journal=true", f"serverSelectionTimeoutMS={timeout_ms}"]
        asked += [f"tls=true&tlsCAFile={quote(str(self.mongodb_ca), safe='')}"] if self.mongodb_ca else []
        return f"mongodb://{role}:{password}@{hosts}/{DATABASE}?{'&'.join(asked)}"


@functools.cache
def load() -> Settings:
    """Return the one Settings of this process, or raise InvalidSettings or ProjectNotFound."""
    try:
        return Settings()
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings(where="settings.toml", reason=error) from None
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidSettings(where=".".join(map(str, first["loc"])), reason=first["msg"]) from None


def find_project(start: Path) -> Path:
    """Return the nearest folder at or above `start` with models/ and a Pipfile, or raise ProjectNotFound."""
    named = os.environ.get("SACRISTY_PROJECT")
    if named:
        return Path(named).resolve()
    for folder in (start, *start.parents):
        if (folder / "models").is_dir() and (folder / "Pipfile").is_file():
            return folder
    raise ProjectNotFound(folder=start)


def _settings_file() -> Path | None:
    try:
        path = find_project(Path.cwd()) / ".sacristy" / "settings.toml"
    except ProjectNotFound:
        return None
    return path if path.is_file() else None


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
