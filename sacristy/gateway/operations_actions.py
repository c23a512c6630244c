"""What ops can order on a page: each action's words, the order that it is, and the commands that do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from sacristy.errors import ApprovalWithoutReason, InvalidInstance, WhyMissing
from sacristy.gateway.errands import spoken
from sacristy.gateway.orders import Approval, Canary, Order, Promotion, Rollback, Words, parse_order
from sacristy.names import Stage, parse_stage, parse_version

PERCENT = "10"


@dataclass(frozen=True)
class Action:
    """`verb`: on the button; `title`: with model, version and stage; `moves`: whether it moves the stage."""

    verb: str
    title: str
    moves: bool
    grave: bool = False


APPROVE, TAKE_OVER, DROP = "approve", "take-over", "drop"
BESIDE = (TAKE_OVER, DROP)  # they concern whatever is beside the stage
ACTIONS = {
    APPROVE: Action("Approve", "Approve {model}:{version} for {stage}", moves=False),
    "promote": Action("Promote", "Promote {model}:{version} to {stage}", moves=True),
    "rollback": Action("Roll back", "Roll {model}:{stage} back", moves=True, grave=True),
    "try": Action("Start", "Try {model}:{version} beside {stage}", moves=False),
    TAKE_OVER: Action("Promote", "Let what is beside {model}:{stage} take over", moves=True),
    DROP: Action("Drop", "Drop what is beside {model}:{stage}", moves=False, grave=True),
}


@dataclass(frozen=True)
class Plan:
    """An action with all that it needs."""

    name: str
    action: Action
    model: str
    stage: Stage
    version: str
    percent: str
    kind: str
    why: str
    order: Order

    @property
    def title(self) -> str:
        """The plan in a line."""
        return self.action.title.format(model=self.model, version=self.version, stage=self.stage)

    @property
    def commands(self) -> list[Words]:
        """The commands that do it."""
        return spoken(self.order)

    @property
    def needs_why(self) -> bool:
        """Whether the commands refuse it without a reason."""
        return self.name == APPROVE or (self.action.moves and self.stage is Stage.PRODUCTION)

    def require_why(self) -> None:
        """Raise WhyMissing or ApprovalWithoutReason where a reason is needed and none was given."""
        if not self.needs_why or self.why.strip():
            return
        if self.name == APPROVE:
            raise ApprovalWithoutReason(image=f"{self.model}:{self.version}", stage=self.stage)
        raise WhyMissing(model=self.model)


def plan(model: str, name: str, values: Mapping[str, Any]) -> Plan:
    """Return what a form or a link orders of a model. Raises InvalidName or InvalidInstance."""
    stage = parse_stage(values.get("stage", Stage.PRODUCTION))
    version = str(parse_version(values["version"])) if values.get("version") else ""
    given = {key: str(values.get(key, "")).strip() for key in ("why", "percent", "kind")}
    percent, kind = given["percent"] or PERCENT, given["kind"] or "canary"
    if name in ("promote", "try", APPROVE) and not version:
        raise InvalidInstance(field="version", reason="is missing", expected="a version of this model")
    order = _order(name, model, stage, version, percent, kind, given["why"])
    return Plan(name, ACTIONS[name], model, stage, version, percent, kind, given["why"], order)


def _order(name: str, model: str, stage: Stage, version: str, percent: str, kind: str, why: str) -> Order:
    if name == "promote":
        return _parsed(Promotion, image=f"{model}:{version}", stage=stage, why=why)
    if name == APPROVE:
        return _parsed(Approval, image=f"{model}:{version}", stage=stage, why=why)
    if name == "rollback":
        return _parsed(Rollback, model=model, stage=stage, why=why)
    if name == "try":
        share = {"percent": _number(percent), "kind": kind, "version": version}
        return _parsed(Canary, model=model, stage=stage, action="start", why=why, **share)
    return _parsed(Canary, model=model, stage=stage, action={TAKE_OVER: "promote", DROP: "drop"}[name], why=why)


def _parsed(of: type[Order], **values: Any) -> Order:
    return parse_order(of, orjson.dumps(values))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        expected = "a number above 0 and at most 100"
        raise InvalidInstance(field="percent", reason=f"{text!r} is no number", expected=expected) from None
