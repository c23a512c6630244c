"""Which versions a registry keeps, and which may go: nothing that a stage is at, could go back to, or may move to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sacristy.images import garbage
from sacristy.images.garbage import GRACE_S, Garbage
from sacristy.images.sbom import sbom_tag
from sacristy.images.signature import signature_tag
from sacristy.names import Stage, Version
from sacristy.release import moves
from sacristy.release.desk import Desk
from sacristy.release.lock import release_lock


@dataclass(frozen=True)
class Choice:
    """One version and why it stays; `why` is empty for one that may go. `size` in bytes, shared layers included."""

    model: str
    version: Version
    digest: str
    size: int
    why: str

    @property
    def goes(self) -> bool:
        """Say whether it may go."""
        return not self.why


@dataclass
class Pruned:
    """What was removed of a model."""

    model: str
    versions: list[Version] = field(default_factory=list)
    garbage: Garbage = field(default_factory=lambda: Garbage(True))


def choose(desk: Desk, model: str, running: Iterable[str] = ()) -> list[Choice]:
    """Return every version of a model in the registry, newest first, and why it stays. `running`: digests that answer.

    Stays: what a stage points at, the last `promotion.keep` versions of each stage's history, what is being moved,
    what answers now, and what is newer than everything that was ever promoted: that waits to be.
    """
    versions = desk.registry.versions(model)
    reasons = _reasons(desk, model) + [("it answers now", digest) for digest in running]
    promoted = {digest for _, digest in reasons} | {move["to"] for move in moves.events(desk.database, model)}
    newest = max((version for version, digest in versions.items() if digest in promoted), default=None)
    choices = []
    for version, digest in sorted(versions.items(), reverse=True):
        why = [reason for reason, wanted in reasons if wanted == digest]
        if newest is None or version > newest:
            why.append("not promoted yet")
        size = desk.registry.size(model, digest)
        choices.append(Choice(model, version, digest, size, ", ".join(dict.fromkeys(why))))
    return choices


def prune(
    desk: Desk, model: str, agreed: Iterable[str], running: Iterable[str] = (), grace_s: float = GRACE_S
) -> Pruned:
    """Remove those of the agreed digests that still may go, their signatures and documents, then unused blobs.

    Raises ReleaseLocked while somebody moves a stage of the model.
    """
    report = Pruned(model)
    with release_lock(desk.database, model, "pruning", desk.user):
        going = [choice for choice in choose(desk, model, running) if choice.goes and choice.digest in set(agreed)]
        tags = desk.registry.tags(model)
        gone: dict[str, int] = {}
        for choice in going:
            beside = [tags.get(tag) for tag in (signature_tag(choice.digest), sbom_tag(choice.digest))]
            for digest in [*(digest for digest in beside if digest), choice.digest]:
                gone |= garbage.sizes(desk.registry, model, {digest})
                desk.registry.delete_manifest(model, digest)
            report.versions.append(choice.version)
        report.garbage = garbage.collect(desk.registry, model, gone, grace_s)
    return report


def _reasons(desk: Desk, model: str) -> list[tuple[str, str]]:
    reasons = [(f"{stage} is there", digest) for stage, digest in desk.registry.stages(model).items()]
    for stage in Stage:
        past = moves.history(moves.events(desk.database, model, stage))
        reasons += [(f"{stage} can go back to it", digest) for digest in past[-desk.policy.keep :]]
        for event in moves.interrupted(desk.database, model, stage):
            reasons += [(f"{stage} is being moved", digest) for digest in (event["from"], event["to"]) if digest]
    return reasons
