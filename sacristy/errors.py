"""One class per failure: what happened, the value, and the next thing to try.

A class gives two templates, `what` and `next`, and is raised with their fields as keywords:
`raise UnknownModel(model="nwes", known="digits, news")`. The command line prints `what` and `next` in one
line and ends with `exit_code`; the web layer answers with `http_status`. All rooms raise only these.
"""

from __future__ import annotations

import string
from typing import Any, ClassVar

SHOWN_CHARACTERS = 200


class SacristyError(Exception):
    """The parent of every known failure. Fields are kept as attributes, and shortened where they are shown."""

    what: ClassVar[str] = "{reason}"
    next: ClassVar[str] = ""
    shown: ClassVar[int] = SHOWN_CHARACTERS  # of each field
    exit_code: int = 1
    http_status: ClassVar[int] = 500

    def __init__(self, **fields: Any) -> None:
        missing = sorted(placeholders(type(self)) - fields.keys())
        if missing:
            raise TypeError(f"{type(self).__name__} needs {', '.join(missing)}")
        self.fields = fields
        super().__init__(self.what.format_map(self._shortened()))

    @property
    def advice(self) -> str:
        """The next thing to try, or an empty string."""
        return self.next.format_map(self._shortened())

    @property
    def detail(self) -> str:
        """More lines to show above the error, such as the log of what failed; or an empty string."""
        return ""

    def _shortened(self) -> dict[str, str]:
        return {name: _shown(value, self.shown) for name, value in self.fields.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.fields)


def placeholders(error: type[SacristyError]) -> set[str]:
    """Return the names of the fields that the class's templates use."""
    texts = (error.what, error.next)
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}


def _rebuild(error: type[SacristyError], fields: dict[str, Any]) -> SacristyError:
    return error(**fields)


def _shown(value: Any, most: int) -> str:
    text = str(value)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= most else text[: most - 1] + "…"


# --- names, settings, project ---------------------------------------------------------------------------------


class InvalidName(SacristyError):
    """A word does not follow the grammar in names.py."""

    what = "{value!r} is not a valid {kind}"
    next = "a {kind} is {grammar}"
    exit_code = 2
    http_status = 400


class ProjectNotFound(SacristyError):
    """No folder above the current one holds models/ and a Pipfile."""

    what = "no Sacristy project at or above {folder}"
    next = "change to the project's folder, or set SACRISTY_PROJECT to it"


class UnknownModel(SacristyError):
    """No folder of that name under models/."""

    what = "there is no model {model!r}; there is {known}"
    next = "make models/{model}/ with a model.toml, or name one of those"
    http_status = 404


class InvalidModelFile(SacristyError):
    """A model.toml that does not follow its schema."""

    what = "{path}: {where}: {reason}"
    next = "mend {where} in {path}; docs/how-to/model-toml.md lists every key"


class InvalidSettings(SacristyError):
    """A setting from the environment or settings.toml is unknown or of the wrong type."""

    what = "setting {where}: {reason}"
    next = "mend it in .sacristy/settings.toml or in the environment (SACRISTY_...)"


class NotInitialised(SacristyError):
    """A secret is asked for before `sacristy init` made it."""

    what = "this project has no secrets yet: {path} is missing"
    next = "sacristy init"


class PathNotWritable(SacristyError):
    """A folder that Sacristy must write to refuses it."""

    what = "cannot write to {path}: {reason}"
    next = "give this user the right to write there, or set SACRISTY_HOME to another folder"


class DirtyTree(SacristyError):
    """A release of work that is in no commit was asked for."""

    what = "run {run} was made from a work tree with changes that are in no commit"
    next = "commit and train again, or pass --allow-dirty, which the baseline will say"


class CommitNotFound(SacristyError):
    """A commit is not in this repository."""

    what = "commit {commit!r} is not in this repository"
    next = "git fetch, or build where that commit is"


class CommandFailed(SacristyError):
    """A program that Sacristy ran ended with an error."""

    what = "{program} ended with code {code}: {last}"
    next = "run it yourself to see all it prints: {command}"


class ProgramMissing(SacristyError):
    """A program that Sacristy needs is not installed."""

    what = "{program} is not on this machine"
    next = "{mend}"


class EnvironmentNotLocked(SacristyError):
    """A model without a Pipfile and Pipfile.lock."""

    what = "{path} (or the Pipfile beside it) is missing, so the model has no environment"
    next = "make lock"


# --- targets --------------------------------------------------------------------------------------------------


class InstanceCrashed(SacristyError):
    """An instance of an image ended by itself before it was ready."""

    what = "{image} crashed while it started"
    next = "its last lines are above; mend the model, train and build again"
    http_status = 503

    @property
    def detail(self) -> str:
        """The last lines that the instance printed."""
        return str(self.fields["cause"])


class InstanceNotReady(InstanceCrashed):
    """An instance of an image is alive but was not ready in time."""

    what = "{image} was not ready after {limit} s: {reason}"
    next = "its last lines are above; mend the model, or raise gates.ready_s in its model.toml"


# --- supervision, stack ---------------------------------------------------------------------------------------


class SupervisorFailed(SacristyError):
    """The parent of all programs on this machine does not answer, or refuses."""

    what = "the supervisor of programs does not do as asked: {reason}"
    next = "sacristy up; its log is {log}"


class InvalidProgram(SacristyError):
    """A program that cannot be put under supervision as it is described."""

    what = "cannot supervise {name!r}: {reason}"
    next = "give it another name or folder"


# --- release --------------------------------------------------------------------------------------------------


class NoExamples(SacristyError):
    """A run without golden or held-out examples cannot be judged."""

    what = "run {run} has no {role} examples, so its image cannot be judged"
    next = "write golden.json and heldout.jsonl in train.py before weights.save, and train again"


class BadAnswer(SacristyError):
    """An instance under test did not answer a good question as it must."""

    what = "{reason}"
    http_status = 502


class NoEvidence(SacristyError):
    """Promotion of a digest that no acceptance test has judged."""

    what = "{image} ({digest}) has no acceptance test"
    next = "sacristy test {image}"
    http_status = 409


class NotAccepted(SacristyError):
    """Promotion of a digest whose newest acceptance test failed."""

    what = "{image} failed its acceptance test: {reason}"
    next = "mend it, train and build again; sacristy test {image} judges it anew"
    http_status = 409


class ReleaseLocked(SacristyError):
    """Somebody else is moving a stage of this model now."""

    what = "a {action} of {model} by {owner} is under way since {age_s} s"
    next = "wait for it and try again; a lock whose owner died is given up after {lease_s} s"
    http_status = 409


class StageMovedByHand(SacristyError):
    """A stage points at another digest than the last recorded promotion put there."""

    what = "{model}:{stage} points at {found}, but the last promotion put {recorded} there"
    next = "sacristy audit {model}; pass --adopt to accept what is there as the state to go on from"
    http_status = 409


class NothingToRollBack(SacristyError):
    """A stage has no earlier promotion to go back to."""

    what = "{model}:{stage} has no earlier version to go back to"
    next = "sacristy audit {model}"
    http_status = 409


class StageEmpty(SacristyError):
    """A stage of a model that nothing was promoted to."""

    what = "nothing was promoted to {model}:{stage} yet"
    next = "sacristy promote {model}:VERSION {stage}"
    http_status = 404


class WhyMissing(SacristyError):
    """A move of production without a reason."""

    what = "moving {model}:production needs a reason"
    next = "pass --why 'the reason', which the audit trail keeps"
    http_status = 400


class DeploymentFailed(SacristyError):
    """A new version did not come up; what ran before still runs."""

    what = "{image} was not deployed to {stage}: {reason}. {kept}"
    next = "its last lines are above; go back with: sacristy rollback {model} {stage} --why '...'"
    http_status = 503

    @property
    def detail(self) -> str:
        """The last lines that the new version printed."""
        return str(self.fields["cause"])


# --- serving --------------------------------------------------------------------------------------------------


class ModelNotLoadable(SacristyError):
    """The app folder of an image does not hold a model that can be served."""

    what = "{path}: {reason}"
    next = "mend it and build again; sacristy/serving/README.md says what an app folder holds"


class RequestRefused(SacristyError):
    """The parent of what is wrong with a request: `field` is where, `expected` is what belongs there."""

    what = "{field}: {reason}"
    next = "expected {expected}"
    http_status = 400


class NotJson(RequestRefused):
    """The body is empty, is not UTF-8, or is not JSON (RFC 8259: NaN and Infinity are no JSON)."""


class DuplicateKey(RequestRefused):
    """An object of the body names a key twice, so two readers could understand it differently."""


class BodyUnreadable(RequestRefused):
    """The body's framing is broken: a bad chunk, or an end before the announced length."""


class BodyTooSlow(RequestRefused):
    """The body did not arrive in time."""

    http_status = 408


class BodyTooLarge(RequestRefused):
    """The body is larger than the model's limit."""

    http_status = 413


class WrongContentType(RequestRefused):
    """The body is announced as something else than plain JSON."""

    http_status = 415


class InvalidInstance(RequestRefused):
    """The body is JSON but does not follow the model's schema."""

    http_status = 422


class NoSuchPage(RequestRefused):
    """The address or its method is not served, or another model is served here."""

    http_status = 404


class MethodNotAllowed(RequestRefused):
    """The address is served, but not with this method."""

    http_status = 405


class InstanceRefused(SacristyError):
    """Raised by a model's `decode` for an instance that fits the types but has no meaning."""

    what = "cannot be read: {expected} is expected"
    next = "send {expected}"
    http_status = 422


class ModelNotReady(SacristyError):
    """The warm-up prediction did not succeed."""

    what = "the model is not ready: {reason}"
    next = "look at the instance's log"
    http_status = 503


class ServerOverloaded(SacristyError):
    """The bounded queue before the model is full."""

    what = "{waiting} requests are waiting already"
    next = "try again in {retry_after_s} s"
    http_status = 503


class PredictionTimedOut(SacristyError):
    """A prediction ran longer than the model's timeout; its worker is replaced."""

    what = "the prediction took longer than {timeout_s} s"
    next = "send fewer instances; the stuck thread's stack is in the instance's log"
    http_status = 504


class PredictionFailed(SacristyError):
    """The model's own code raised, or returned what its schema does not allow."""

    what = "the model failed on this request"
    next = "look for {id} in the instance's log"


# --- command line ---------------------------------------------------------------------------------------------


class RunNotBuilt(SacristyError):
    """A version that was never built, or not here."""

    what = "there is no image {image}"
    next = "sacristy images {model} lists what there is; sacristy build {model} makes one"
    http_status = 404


class StackDown(SacristyError):
    """A command needs the services, and they are not running."""

    what = "the stack is not running"
    next = "sacristy up"
    http_status = 503


class GatewayAway(SacristyError):
    """The gateway does not answer."""

    what = "the gateway does not answer at {url}: {reason}"
    next = "sacristy up; sacristy status shows what runs"
    http_status = 503


class PredictionRefused(SacristyError):
    """The model or the gateway answered a request with an error."""

    what = "{model} answered {status}: {reason}"
    next = "mend the request; the schema is at /models/{model}/openapi.json of the gateway"


class NotDeployed(SacristyError):
    """Nothing answers for a model's stage."""

    what = "nothing answers for {model}:{stage}"
    next = "sacristy deploy {model} {stage}; where nothing was promoted yet: sacristy release {model}"
    http_status = 503


class NotPushed(SacristyError):
    """Promotion of an image that the registry does not have."""

    what = "{image} is built here but not in the registry"
    next = "sacristy push {image}"
    http_status = 409


class ServiceNotReady(SacristyError):
    """A service of the stack did not become ready."""

    what = "{service} did not become ready: {reason}"
    next = "sacristy doctor; its log is {log}"

    @property
    def detail(self) -> str:
        """The last lines that the service printed."""
        return str(self.fields["cause"])


class OtherSecrets(SacristyError):
    """The database's folder and the secrets folder do not belong together."""

    what = "the database in {folder} does not know the password in {secret}"
    next = "put back the secrets it was made with; or, to begin anew without its runs, remove {folder}"


class DownloadCorrupt(SacristyError):
    """What came from a package registry is not what was asked for."""

    what = "{name} came with other content than it should: expected {expected}, found {found}"
    next = "sacristy up once more; if it stays so, do not trust that registry"


# --- tracking -------------------------------------------------------------------------------------------------


class DatabaseNotProvisioned(SacristyError):
    """A MongoDB of somebody's own that could not be made ready."""

    what = "MongoDB at {address} was not made ready: {reason}"
    next = "sacristy database provision --admin FILE, with the address of a user who may make users in a replica set"
    http_status = 502


class DatabaseUnreachable(SacristyError):
    """MongoDB does not answer, or refuses the user."""

    what = "MongoDB at {address} does not answer: {reason}"
    next = "sacristy up, or sacristy status to see what is wrong"
    http_status = 503


class UnknownRun(SacristyError):
    """No run of that number in the database."""

    what = "there is no run {run}"
    next = "sacristy runs"
    http_status = 404


class IncompleteRun(SacristyError):
    """A run of which not everything that was logged is in the database."""

    what = "run {run} is not complete: {reason}"
    next = "sacristy resync on the machine where it was trained, or train again"
    http_status = 409


class JournalNotWritable(SacristyError):
    """The folder where a run is recorded refuses what is written to it."""

    what = "cannot record the run in {path}: {reason}"
    next = "make room or give this user the right to write there, or set SACRISTY_HOME to another folder"


class RunNumberChosen(SacristyError):
    """A run number was asked for on the command line."""

    what = "run {value!r} was asked for, but the database numbers the runs"
    next = "leave --id out; sacristy train --resume {value} continues a run"


class NoCheckpoint(SacristyError):
    """A run to be resumed left no checkpoint that is still on this machine."""

    what = "run {run} has no checkpoint on this machine ({reason})"
    next = "train anew, or resume on {host}"


class NotPlain(SacristyError):
    """A note that is not made of plain JSON values."""

    what = "the note {key!r} is not plain JSON: {reason}"
    next = "pass numbers, texts, lists and dictionaries only"


class NoteReserved(SacristyError):
    """A note under a name that Sacristy itself keeps of a run, or under none."""

    what = "a note cannot be called {key!r}: that is kept of every run"
    next = "choose another name"


class NotReproducible(SacristyError):
    """A run lacks what repeating it needs."""

    what = "run {run} cannot be repeated: {reason}"
    next = "sacristy show {run}"


# --- weights --------------------------------------------------------------------------------------------------


class InvalidLocation(SacristyError):
    """A store or registry address that cannot be understood."""

    what = "{location!r} is no place for weights or images: {reason}"
    next = "give a folder; see SACRISTY_WEIGHTS and SACRISTY_REGISTRY in sacristy/settings.py"


class WeightsRefused(SacristyError):
    """A file that is not in one of the safe formats, judged by its content."""

    what = "{path} is refused as weights: {reason}"
    next = "write tensors as safetensors or npy, models as onnx or ubj, and the rest as json, jsonl or txt"
    http_status = 400


class NoWeights(SacristyError):
    """A folder offered as weights holds no file that a model could load."""

    what = "{folder} holds no weights"
    next = "write the model's files there (safetensors, npy, json, txt) before weights.save"


class BlobNotFound(SacristyError):
    """A blob that something refers to is not in the store."""

    what = "{key} is not in {location}"
    next = "check SACRISTY_WEIGHTS, restore a backup, or train again"
    http_status = 404


class BlobDamaged(SacristyError):
    """Bytes that do not have the digest they are stored or sent under."""

    what = "{key} in {location} is damaged: expected {expected}, found {found}"
    next = "restore it from a backup, or train and build again; nothing was made from it"


# --- images ---------------------------------------------------------------------------------------------------


class RunNotCompleted(SacristyError):
    """An image of a run that did not end well was asked for."""

    what = "run {run} is {status}, not COMPLETED"
    next = "sacristy show {run}; build a completed run"
    http_status = 409


class RunIncomplete(SacristyError):
    """A run whose events are not all in MongoDB yet."""

    what = "run {run} is not complete: {reason}"
    next = "sacristy resync, on the machine where it trained"
    http_status = 409


class RunWithoutWeights(SacristyError):
    """A run that saved no weights cannot serve."""

    what = "run {run} saved no weights"
    next = "end train.py with weights.save(_run, folder), and train again"
    http_status = 409


class SourcesChanged(SacristyError):
    """The code at hand is not the code that a run was made from."""

    what = "the work tree is not what run {run} was made from: its fingerprint is {found}, the run's is {expected}"
    next = "bring the files back as they were, or train again"
    http_status = 409


class VersionTaken(SacristyError):
    """A run gives another image than the one already built from it."""

    what = "{image} exists as {found}, and building run {run} now gives {built}"
    next = "pass --rebuild to make the next version of this run"
    http_status = 409


class ImageNotFound(SacristyError):
    """No such image in a registry."""

    what = "there is no image {reference} in {location}"
    next = "sacristy images {repository} lists what there is"
    http_status = 404


class InvalidImage(SacristyError):
    """An image that breaks the OCI format or would write outside of its own folder."""

    what = "image {reference} is refused: {reason}"
    next = "build it again from its run"


class MissingBlob(SacristyError):
    """A manifest that refers to a blob the registry does not have."""

    what = "{reference} needs {digest}, which is not in {location}"
    next = "push it again"


class TagMoved(SacristyError):
    """A tag no longer points where the one who moves it thought."""

    what = "{reference} points at {found}, not at {expected}: somebody moved it"
    next = "sacristy status, then decide anew"
    http_status = 409


class RegistryAway(SacristyError):
    """A registry does not answer, or not now."""

    what = "the registry at {location} does not answer: {reason}"
    next = "check SACRISTY_REGISTRY and that the registry runs"
    http_status = 503


class RegistryRefused(SacristyError):
    """A registry answered with a refusal."""

    what = "the registry at {location} refuses with {status}: {reason}"
    next = "check the user, the password and what that user may do there"
    http_status = 502


class RegistryBusy(SacristyError):
    """Another process holds a registry's lock for too long."""

    what = "{location} is locked by another process since {waited_s} s"
    next = "try again when it is done"
    http_status = 503


# --- gateway --------------------------------------------------------------------------------------------------


class ModelNotServed(SacristyError):
    """A request for a model that this project does not have."""

    what = "there is no model {model!r} here; there is {known}"
    next = "GET /models lists what answers"
    http_status = 404


class NothingDeployed(SacristyError):
    """A request for a model's stage at which no instance answers."""

    what = "nothing is deployed at {model}:{stage}"
    next = "try again in {retry_after_s} s, or: sacristy deploy {model} {stage}"
    http_status = 503


class InstanceUnreachable(SacristyError):
    """The model server that the routes name could not be asked, several times over."""

    what = "{model}:{stage} does not answer: {reason}"
    next = "try again in {retry_after_s} s; sacristy status"
    http_status = 503


class InstanceTooSlow(SacristyError):
    """The model server took the request and did not answer in time."""

    what = "{model}:{stage} did not answer within {timeout_s} s"
    next = "send fewer instances"
    http_status = 504


class TrainingFailed(SacristyError):
    """A training script ended with an error; its exit code is ours."""

    what = "training {model} ended with code {code} (run {run})"
    next = "its output is above; sacristy show RUN shows what was kept, sacristy resync sends what is not there yet"

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.exit_code = fields["code"] if fields["code"] in range(1, 256) else 1


class RunNotArrived(SacristyError):
    """A training ended well, and its run is not in the database yet."""

    what = "training {model} ended well, but its run is not in MongoDB yet"
    next = "its journal is kept; sacristy up, then: sacristy resync"
    http_status = 503


class ExamplesUnreadable(SacristyError):
    """Golden or held-out examples that are not what they should be."""

    what = "the {role} examples of run {run} cannot be read: {reason}"
    next = "write them in train.py as models/digits does, and train again"


class StateDamaged(SacristyError):
    """A file of the home folder that Sacristy wrote itself cannot be read."""

    what = "{path} is damaged: {reason}"
    next = "{mend}"


class ModelTestsFailed(SacristyError):
    """A model's own tests failed."""

    what = "the tests of {model} ended with code {code}"
    next = "their output is above; run them alone with: sacristy env test {model}"


class NoRun(SacristyError):
    """A model without a completed run has nothing to build."""

    what = "{model} has no completed run"
    next = "sacristy train {model}"
    http_status = 404


# --- data of models -------------------------------------------------------------------------------------------


class DataMissing(SacristyError):
    """A model's data set is not on this machine."""

    what = "the data of {name} is not at {path}: {reason}"
    next = "put a copy there ({source}), or set SACRISTY_DATA to the folder that holds one"


class DataChanged(SacristyError):
    """A model's data set is not the file that its split and its score are stated for."""

    what = "{path} is not the file that {name} was made for: its SHA-256 is {found}, not {expected}"
    next = "copy it anew; if the new data is meant, change SHA256 in the model's data.py and state its score anew"


# --- invalid requests -----------------------------------------------------------------------------------------


class InvalidRequestCase(SacristyError):
    """A file of tests/requests/invalid does not follow its schema."""

    what = "{path}: {reason}"
    next = "mend it; tests/requests/README.md describes the files"


# --- the store in Ceph ----------------------------------------------------------------------------------------


class StoreAway(SacristyError):
    """The S3 gateway does not answer, or not any more."""

    what = "the store at {location} does not answer: {reason}"
    next = "sacristy status; or check SACRISTY_WEIGHTS_ENDPOINT and that the gateway runs"
    http_status = 503


class StoreRefused(SacristyError):
    """The S3 gateway answered with a refusal."""

    what = "the store at {location} refuses: {code}: {reason}"
    next = "check the keys (.sacristy/secrets/ceph-* or AWS_ACCESS_KEY_ID), the bucket, and ceph/store.toml"
    http_status = 502


class StoreFull(SacristyError):
    """The store's quota or disk is used up."""

    what = "the store at {location} is full: {reason}"
    next = "sacristy weights gc, or raise the quota (ceph/README.md)"
    http_status = 507


class KeysUnusable(SacristyError):
    """A file of a gateway's keys that was named, and has none."""

    what = "{path} holds no keys: {reason}"
    next = "write the access key and the secret key into it as one line: access:secret"


class RunsUnsent(SacristyError):
    """Journals that could not be sent; they are kept."""

    what = "{count} journals were not sent: {reason}"
    next = "they are kept; sacristy status shows whether MongoDB answers, then again: sacristy resync"
    http_status = 503


# --- containers -----------------------------------------------------------------------------------------------


class ImageNotInEngine(SacristyError):
    """The Docker engine does not have an image of that name."""

    what = "the Docker engine has no image {reference}"
    next = "docker pull {reference}, or make one (deploy/images/serving/README.md)"


class LocalWheelMissing(SacristyError):
    """The CPU build of a package is not at hand."""

    what = "there is no CPU build of {package}{version} with a hash of the lock"
    next = "set PIP_FIND_LINKS to a folder with its wheel, or build with --variant cuda"


class BaseNotFound(SacristyError):
    """The environment image that a model's image is to lie on is nowhere."""

    what = "there is no environment image {reference}, neither here nor in the registry"
    next = "sacristy env build {model}, or sacristy build {model} --no-base"
    http_status = 404


class ImageWithoutBase(SacristyError):
    """An image without a base has no Python in it, so it cannot be a container."""

    what = "{image} was built without an environment image, and cannot run as a container"
    next = "sacristy env build {model}, then sacristy build {model} --run {run} --rebuild"


class WeightsDamaged(SacristyError):
    """Blobs that something refers to are missing or not what they should be."""

    what = "{count} blobs in {location} are missing or damaged"
    next = "sacristy weights mend PLACE brings them from a backup; or train and build again"


class BackupUnusable(SacristyError):
    """A place does not hold a backup that was finished, or one that can be read."""

    what = "{location} holds no backup to restore: {reason}"
    next = "sacristy backup makes one; name another with --name"


class StackNotEmpty(SacristyError):
    """A restore onto a stack that has records of its own."""

    what = "the database has {collection} that are not in the backup {name}, such as {id}"
    next = "restore onto an empty stack: SACRISTY_HOME=another-folder sacristy up"
    http_status = 409


# --- release: approvals, signatures, retention ----------------------------------------------------------------


class ApprovalMissing(SacristyError):
    """Promotion to production without the approvals that the policy asks for."""

    what = "{image} needs {wanted} approvals by others than {user} to go to {stage}, and has {found}"
    next = "it is asked for now (sacristy approvals); somebody else says: sacristy approve {image} {stage} --why '...'"
    http_status = 409


class OwnRequest(SacristyError):
    """An approval by the one person who asked for it."""

    what = "{user} asked for {image} to go to {stage}, and cannot approve it too"
    next = "somebody else says: sacristy approve {image} {stage} --why '...'"
    http_status = 409


class ApprovalWithoutReason(SacristyError):
    """An approval that does not say why."""

    what = "the approval of {image} for {stage} needs a reason"
    next = "pass --why 'what was looked at', which the audit trail keeps"
    http_status = 400


class Unsigned(SacristyError):
    """An image that no promotion of this project signed."""

    what = "{image} is not signed"
    next = "promote it to sign it: sacristy promote {image} STAGE --why '...'"
    http_status = 409


class SignatureInvalid(SacristyError):
    """An image with a signature that does not count: by another key, or of another image."""

    what = "the signature of {image} does not count: {reason}"
    next = "find out who put it there; sacristy promote {image} STAGE --why '...' signs what passed its test"
    http_status = 409


# --- data under DVC -------------------------------------------------------------------------------------------


class InvalidDataFile(SacristyError):
    """A data.dvc that does not name one plain file."""

    what = "{path}: {reason}"
    next = "write it with: dvc add"


class DataFileMissing(SacristyError):
    """The file that a model's data.dvc names is not on this machine."""

    what = "the data of {model} is missing: {path} (nor is it at {places})"
    next = "sacristy data pull {model}"


class DataFileChanged(SacristyError):
    """A model's data is not the file that its data.dvc names."""

    what = "the data of {model} has changed: {path} has the MD5 {found}, not {expected}"
    next = "remove that file and run: sacristy data pull {model}; if the new data is meant: dvc add it, and commit"


class NoDataFile(SacristyError):
    """A model without a data.dvc."""

    what = "{model} has no data.dvc"
    next = "in models/{model}: dvc add dataset/FILE --file data.dvc"
    http_status = 404


class OtherModelsName(SacristyError):
    """A training script under models/ that records its runs under another model's name."""

    what = "models/{folder} records its runs as {name!r}"
    next = "write sacristy.experiment({folder!r}) in models/{folder}/train.py"


class RunOfAnotherModel(SacristyError):
    """A run was named together with a model that it is not of."""

    what = "run {run} is one of {found}, not of {model}"
    next = "sacristy runs --model {model}"
    http_status = 409


# --- the cluster ----------------------------------------------------------------------------------------------


class ClusterAway(SacristyError):
    """The API of the Kubernetes cluster cannot be reached, or the way in is not known."""

    what = "the Kubernetes API at {server} does not answer: {reason}"
    next = "check SACRISTY_CLUSTER__KUBECONFIG (or KUBECONFIG), and: kubectl cluster-info"
    http_status = 503


class ClusterRefused(SacristyError):
    """The Kubernetes API answered with a refusal."""

    what = "the Kubernetes API at {server} refuses with {status}: {reason}"
    next = "check what this user may do there: kubectl auth can-i --list"
    http_status = 502


class NamespaceMissing(ClusterRefused):
    """A stage's namespace is not there; it is for the cluster's administrators to make."""

    what = "the cluster at {server} has no namespace {namespace}"
    next = "kubectl apply -k deploy/kubernetes/base, or: kubectl create namespace {namespace}"


class QuotaReached(ClusterRefused):
    """The namespace may not have more."""

    what = "the quota of the namespace is used up: {reason}"
    next = "ask for more, or lower resources and kubernetes.replicas in model.toml"


class RegistryUnknownToCluster(SacristyError):
    """Nodes pull over the network, and the registry is a folder."""

    what = "nodes of a cluster cannot pull from {location}"
    next = "set SACRISTY_REGISTRY to a registry at https://host:port"


class PodNotStarted(SacristyError):
    """A pod whose container never began: no room, no image, or not allowed."""

    what = "{image} was not started on the cluster: {reason}"
    shown = 600  # what a container said last may hold two digests and a place
    next = "{mend}"
    http_status = 503


class RolloutFailed(InstanceCrashed):
    """A version that answered well on its own did not come up in the place of the old one."""

    what = "the rollout of {image} did not finish within {limit} s: {reason}"
    shown = 600
    next = "the earlier version was put back; kubectl -n {namespace} get events shows more"


class UncommittedCode(SacristyError):
    """A Job trains what is committed, and the work tree is something else."""

    what = "what {model} is trained from differs from the last commit ({commit})"
    next = "git commit it, or train here: sacristy train {model}"
    http_status = 409


class NotForPods(SacristyError):
    """A Job needs a service that only this machine can reach."""

    what = "a pod cannot reach {service} at {address}"
    next = "set {variable} to an address on the network; docs/how-to/kubernetes.md tells what a Job needs"


class NoTrainingImage(SacristyError):
    """The environment image in which a model is trained is not in the registry."""

    what = "there is no environment image for training, {reference}, in the registry"
    next = "sacristy env build {model} --train"
    http_status = 404


class JobEnded(SacristyError):
    """A training's Job came to an end that was not the training's own."""

    what = "the Job {job} is over without its training: {reason}"
    next = "sacristy runs shows what it left; sacristy train --on kubernetes --resume RUN goes on from its checkpoint"


class RunLostWithPod(SacristyError):
    """A training ended well, and MongoDB did not take its run before its pod had to end."""

    what = "training {model} ended well, but MongoDB was away for too long: its run went with its pod"
    next = "see that MongoDB can be reached from pods, and train again"
    exit_code = 75


class WorkersMissing(SacristyError):
    """Not all workers of a training came to be, so that none of them has begun."""

    what = "{missing} did not come within {waited_s} s; nothing was trained"
    next = "see what hinders their pods: kubectl describe pods; fewer training.workers of model.toml need less room"


class NoChief(SacristyError):
    """Worker 0 of a training was not to be had, so that another worker has nobody to begin with."""

    what = "worker 0 did not answer at {address} within {waited_s} s; nothing was trained"
    next = "see what hinders its pod: kubectl describe pods; the pods of one Job must be able to talk to each other"


# --- gateway: canaries, tokens, feedback ----------------------------------------------------------------------


class StillAsleep(SacristyError):
    """A request was held for a stage that sleeps, which was not awake in time."""

    what = "{model}:{stage} sleeps, and was not awake within {held_s} s"
    next = "try again in {retry_after_s} s; sacristy status says what hinders it"
    http_status = 503


class NoRoomToWait(SacristyError):
    """A request for a stage that sleeps, while as many wait as may."""

    what = "{model}:{stage} sleeps, and {held} requests wait already"
    next = "it is being woken: try again in {retry_after_s} s"
    http_status = 503


class SameVersion(SacristyError):
    """A canary of the version that the stage has already."""

    what = "{image} is what {stage} answers with already"
    next = "name another with --version, or release one: sacristy release MODEL"
    http_status = 409


class NothingBeside(SacristyError):
    """Nothing was put beside a stage's own version."""

    what = "{model}:{stage} has neither a canary nor a mirror"
    next = "sacristy deploy {model} --canary 10 starts the version in staging beside it"
    http_status = 404


class CanaryEnded(NothingBeside):
    """Nothing is beside a stage's own version any more."""

    what = "{model}:{stage} has neither a canary nor a mirror; version {version} was {ended}{reason}"


class ShareTooLarge(SacristyError):
    """A share of the requests that is none."""

    what = "{percent} % is no share of the requests"
    next = "give a number above 0 and at most 100"
    exit_code = 2
    http_status = 400


# --- Jenkins --------------------------------------------------------------------------------------------------


class JenkinsNotSet(SacristyError):
    """A setting without which Jenkins cannot be asked."""

    what = "{name} is not set, so there is no Jenkins to ask"
    next = "set it in .sacristy/settings.toml, or as {variable}"


class JenkinsUnreachable(SacristyError):
    """Nothing answers at Jenkins' address, or not in time."""

    what = "Jenkins at {url} does not answer: {reason}"
    next = "see whether it is starting ({url}/login), and whether jenkins_url is right"
    http_status = 503


class JenkinsRefused(SacristyError):
    """Jenkins does not know the user, or its token."""

    what = "Jenkins at {url} does not accept the token of {user}"
    next = "make one at {url}/me/security and put it into .sacristy/secrets/jenkins-token"
    http_status = 401


class JenkinsForbidden(SacristyError):
    """The user may not do that."""

    what = "{user} may not do that in Jenkins: {doing}"
    next = "ask who runs it for the permission (jenkins/README.md lists the roles)"
    http_status = 403


class JenkinsFailed(SacristyError):
    """Jenkins answered, but not as it should."""

    what = "Jenkins failed at {doing} with status {status}: {reason}"
    next = "its log says more; a parameter that the job does not declare ends so too: sacristy jenkins sync"
    http_status = 502


class JenkinsItemMissing(SacristyError):
    """A job, build or queue item that is not there, or that the user may not see."""

    what = "Jenkins has no {item}"
    next = "sacristy jenkins sync makes jobs; sacristy jenkins status lists them and their builds"
    http_status = 404


class JenkinsUnsure(SacristyError):
    """A build was asked for, and it cannot be known yet whether it was taken."""

    what = "whether Jenkins took the build of {job} is not known: {reason}"
    next = "ask again with the same key, which cannot start it twice: --key {key}"
    http_status = 503


class JenkinsParametersTooLong(SacristyError):
    """More text than a build's parameters are meant to hold."""

    what = "the parameters of {job} are {size} bytes, more than {most}"
    next = "shorten --why; put long texts where a link can name them"
    http_status = 413


class JenkinsParametersUndeclared(SacristyError):
    """Parameters that a job does not declare; Jenkins would take the build without them."""

    what = "{job} does not declare {names}, which Jenkins would drop in silence"
    next = "sacristy jenkins sync puts it right"
    http_status = 409


class BuildCancelled(SacristyError):
    """A build that was taken out of the queue before it began."""

    what = "the build of {job} was cancelled in the queue"
    next = "start it again; sacristy jenkins status {model} shows what the job did last"
    http_status = 409


class NothingToApprove(SacristyError):
    """No build of the job waits for a word."""

    what = "no build of {job} waits for an approval"
    next = "sacristy jenkins status {model}"
    http_status = 409


class RepositoryNotSet(SacristyError):
    """Jobs need to know where their code is."""

    what = "the setting repository is empty, so jobs would not know where their code is"
    next = "set SACRISTY_REPOSITORY to what git clone takes, as Jenkins reaches it (file:// is refused there)"


class JobNotOurs(SacristyError):
    """Something of another kind, or not made by sync, has the name that one of our jobs is to have."""

    what = "{name} is already there in Jenkins, and is {found}"
    next = "look at it; then sacristy jenkins sync --adopt, or rename it, or set SACRISTY_JENKINS_FOLDER"
    http_status = 409


class LimitBreached(SacristyError):
    """Production did not keep to its limits after a release."""

    what = "{image} in production broke its limits: {reason}; {done}"
    next = "sacristy audit {model} shows what was done; sacristy logs {model}"


class NotificationFailed(SacristyError):
    """The web hook did not take the news."""

    what = "nobody was told: {reason}"
    next = "look at the setting notify_url"
    http_status = 502


class CheckFailed(SacristyError):
    """A check of the code did not pass."""

    what = "{name} did not pass (code {code})"
    next = "see what it printed above"


class StillTaken(SacristyError):
    """Another process has been at the same work for too long."""

    what = "another process has been at {work} for {waited_s} s"
    next = "see who: fuser -v {lock}; then try again"
    http_status = 409


class NotAuthenticated(SacristyError):
    """A request without a token, or with one that is not known."""

    what = "this needs a token: {reason}"
    next = "send 'Authorization: Bearer TOKEN'; sacristy tokens add NAME makes one"
    http_status = 401


class NotAllowed(SacristyError):
    """A token whose role does not have the right."""

    what = "the token {name} ({role}) has no right to {right}"
    next = "use a token of another role: sacristy tokens add NAME --role ROLE"
    http_status = 403


class CsrfMissing(SacristyError):
    """A request of a browser's session that does not show that its own page sent it."""

    what = "the request did not come from a page of this session"
    next = "load the page again, then try again"
    http_status = 403


class TooManyRequests(SacristyError):
    """More requests than a token or address may send."""

    what = "too many requests"
    next = "try again in {retry_after_s} s"
    http_status = 429


class RunWithoutPage(SacristyError):
    """A run's page was asked for, and no Omniboard shows runs here."""

    what = "run {run} has no page here: there is no Omniboard"
    next = "sacristy show {run}"
    http_status = 404


class TokenTaken(SacristyError):
    """A token of that name is there."""

    what = "there is a token {name!r} already"
    next = "choose another name, or remove it first: sacristy tokens rm {name}"
    http_status = 409


class UnknownToken(SacristyError):
    """No token of that name."""

    what = "there is no token {name!r}; there is {known}"
    next = "sacristy tokens ls"
    http_status = 404


# --- stack: composed ------------------------------------------------------------------------------------------


class InvalidHostName(SacristyError):
    """A name under which a stack cannot be reached."""

    what = "a stack cannot be reached as {name!r}"
    next = "give a DNS name whose subdomains lead to this host, such as: sacristy init --compose --name ml.example.org"
    exit_code = 2


class NotComposed(SacristyError):
    """The composed stack has no settings or secrets yet."""

    what = "{path} is missing: the composed stack was not initialised here"
    next = "sacristy init --compose --name NAME"


class ServiceUnhealthy(SacristyError):
    """A container of the composed stack did not become healthy."""

    what = "{service} is not healthy: {reason}"
    next = "look into its log: {command}; then: sacristy up --compose"

    @property
    def detail(self) -> str:
        """The last lines that it printed."""
        return str(self.fields.get("cause", ""))


class UnknownPrediction(SacristyError):
    """Feedback on a prediction that was not made here, or that is no longer kept."""

    what = "there is no prediction {prediction!r}"
    next = "send the prediction_id of an answer of this gateway, while the prediction is kept"
    http_status = 404


class FeedbackGiven(SacristyError):
    """A second and different opinion of one user on one prediction."""

    what = "{user} has said something else about the prediction {prediction} already"
    next = "each user has one say; name another with 'user'"
    http_status = 409


class CannotListen(SacristyError):
    """An address at which a service is to answer is none, or taken."""

    what = "cannot listen at {address!r}: {reason}"
    next = "pass HOST:PORT with a free port, such as 127.0.0.1:8700"


class OrderFailed(SacristyError):
    """A command that was ordered over HTTP ended with an error."""

    what = "{command}: {reason}"
    next = "what answered before goes on answering"
    http_status = 409


class UnknownErrand(SacristyError):
    """Commands ordered on a page of which nothing is known any more."""

    what = "there is no errand {id}; the newest 100 are kept"
    next = "sacristy audit shows what was done"
    http_status = 404


class GatewayRefused(SacristyError):
    """The gateway or a model answered a client with an error; `fields` has its status and code."""

    what = "the gateway answered {status}: {reason}"
    next = "mend the request; docs/how-to/gateway.md shows what each address takes"


# --- search ---------------------------------------------------------------------------------------------------


class InvalidSearch(SacristyError):
    """A search that cannot be begun as it was asked for."""

    what = "{where}: {reason}"
    next = "see docs/how-to/search.md, or: sacristy search --help"
    exit_code = 2


class NoSearch(SacristyError):
    """A run that is no search, where one is to go on."""

    what = "run {run} is no search of {model}"
    next = "sacristy runs --model {model}; name the run with which the search began"
    http_status = 404


class SearchRunning(SacristyError):
    """A search is to go on that another process is at."""

    what = "search {run} is still running: runs {runs} were heard of less than a minute ago"
    next = "wait for it, or end it with Ctrl-C where it was started"
    http_status = 409


class SearchFailed(SacristyError):
    """A search that came to no end; its trials are kept."""

    what = "search {run} did not come to its end: {reason}"
    next = "mend the cause, then: sacristy search {model} --resume {run}"

    @property
    def detail(self) -> str:
        """The last lines that Ray printed."""
        return str(self.fields.get("cause", ""))


class AnotherActs(SacristyError):
    """An operator holds the lease, and this one was to act once."""

    what = "another operator acts; after {waited_s} s it still did"
    next = "it does what is due; sacristy status shows what runs"
    http_status = 409


# --- stack: bundles -------------------------------------------------------------------------------------------


class PackageNotBrought(SacristyError):
    """A site without a network lacks a package that its bundle should have had."""

    what = "{name} is not among the packages that were brought here ({folder})"
    next = "make a bundle of this very commit: sacristy bundle make; or remove that folder where there is a network"


class ImageNotBrought(SacristyError):
    """A site without a network lacks images that its bundle should have had."""

    what = "the engine has no {names}, and with packages from a bundle ({folder}) nothing is built unasked"
    next = "sacristy bundle load DIR, of a bundle made with their profile; to build here: sacristy up --compose --build"


class NoBundle(SacristyError):
    """A folder that is no bundle, or one whose making was interrupted."""

    what = "{folder} is no whole bundle: {reason}"
    next = "sacristy bundle make {folder}, where there is a network"


class BundleDamaged(SacristyError):
    """A bundle that is not what its manifest says, or whose manifest is not the one that was meant."""

    what = "{path}: {reason}; nothing was loaded"
    next = "copy the bundle once more; it goes on where files are sound"
