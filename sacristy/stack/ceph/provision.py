"""Users, buckets and rights from ceph/store.toml onto a cluster: ours, or a real one given its endpoint and admin keys.

Each step reads what is there and changes only what differs, so that doing it again changes nothing.
"""

from __future__ import annotations

import json
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sacristy.errors import InvalidModelFile, StoreAway, StoreRefused
from sacristy.s3 import StoreKeys
from sacristy.settings import Settings
from sacristy.stack.ceph.s3 import AdminApi, open_client

OPS = "ops"
WEIGHTS = "weights"
ABSENT = ("NoSuchBucketPolicy", "NoSuchLifecycleConfiguration", "ObjectLockConfigurationNotFoundError", "404")


class Part(BaseModel):
    """A table of store.toml: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class User(Part):
    """Who may come. `operations`: the only kinds of request that the gateway takes from this user at all."""

    title: str
    operations: str = "*"


class Grant(Part):
    """What users (one, or several with commas) may do: on the keys, or without keys on the bucket itself."""

    user: str
    actions: list[str]
    keys: str = ""


class Bucket(Part):
    """How a bucket is kept."""

    versioned: bool = False
    lock_days: int = 0
    abort_uploads_days: int = 7
    expire_days: dict[str, int] = Field(default_factory=dict)
    expire_old_versions_days: int = 0
    grants: list[Grant] = Field(default_factory=list)


class StorePlan(Part):
    """The whole of store.toml."""

    users: dict[str, User]
    buckets: dict[str, Bucket]


def read_plan(path: Path) -> StorePlan:
    """Read ceph/store.toml, or raise InvalidModelFile with the place of the first fault."""
    try:
        return StorePlan.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidModelFile(path=path, where="file", reason=error) from None
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidModelFile(path=path, where=".".join(map(str, first["loc"])), reason=first["msg"]) from None


def policy(name: str, bucket: Bucket) -> dict[str, Any]:
    """Return the bucket's policy: its grants, and nothing for anybody else."""
    statements = [
        {
            "Effect": "Allow",
            "Principal": {"AWS": [f"arn:aws:iam:::user/{user.strip()}" for user in grant.user.split(",")]},
            "Action": grant.actions,
            "Resource": [f"arn:aws:s3:::{name}" + (f"/{grant.keys}" if grant.keys else "")],
        }
        for grant in bucket.grants
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def lifecycle(bucket: Bucket) -> list[dict[str, Any]]:
    """Return the bucket's lifecycle rules."""
    rules: list[dict[str, Any]] = [
        {
            "ID": "unfinished uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": bucket.abort_uploads_days},
        }
    ]
    for prefix, days in bucket.expire_days.items():
        rules.append(
            {
                "ID": f"expire {prefix}",
                "Status": "Enabled",
                "Filter": {"Prefix": prefix},
                "Expiration": {"Days": days},
            }
        )
    if bucket.expire_old_versions_days:
        old = {"NoncurrentDays": bucket.expire_old_versions_days}
        rules[0] = rules[0] | {"NoncurrentVersionExpiration": old}
    return rules


def provision(settings: Settings, plan: StorePlan, endpoint: str, ca: Path | None, quota_bytes: int = 0) -> list[str]:
    """Make users and buckets as the secrets' owner of all, `ops`; return what was changed, in words.

    Raises StoreAway or StoreRefused. `quota_bytes`: what the buckets may hold together, 0 for no limit.
    """
    keys = {name: StoreKeys.parse(settings.secret(f"ceph-{name}")) for name in plan.users}
    return apply(plan, endpoint, ca, admin=keys[OPS], keys=keys, quota_bytes=quota_bytes)


def apply(
    plan: StorePlan,
    endpoint: str,
    ca: Path | None,
    *,
    admin: StoreKeys,
    keys: dict[str, StoreKeys],
    quota_bytes: int = 0,
) -> list[str]:
    """Make users as the administrator and buckets as `ops`; return what was changed, in words."""
    with closing(AdminApi(endpoint, ca, admin)) as api:
        changed = [text for name, user in plan.users.items() for text in _user(api, name, user, keys[name])]
        changed += _quota(api, OPS, quota_bytes)
    try:
        with closing(open_client(endpoint, ca, keys[OPS])) as client:
            for name, bucket in plan.buckets.items():
                changed += _bucket(client, name, bucket)
    except ClientError as error:
        facts = error.response["Error"]
        raise StoreRefused(location=endpoint, code=facts["Code"], reason=facts.get("Message") or error) from None
    except BotoCoreError as error:
        raise StoreAway(location=endpoint, reason=error) from None
    return changed


def _user(api: AdminApi, name: str, user: User, keys: StoreKeys) -> list[str]:
    found = api.ask("GET", "user", uid=name)
    given = {"access-key": keys.access_key, "secret-key": keys.secret_key, "key-type": "s3"}
    if found is None:
        limits = {} if name == OPS else {"max-buckets": "-1"}
        made = {"display-name": user.title, "op-mask": user.operations, **given, **limits}
        api.ask("PUT", "user", uid=name, **made)
        return [f"user {name} made"]
    changed = []
    if keys.access_key not in [key["access_key"] for key in found["keys"]]:
        api.ask("PUT", "user?key", uid=name, **given, **{"generate-key": "false"})
        changed.append(f"key of {name} added")
    if _operations(found.get("op_mask", "")) != _operations(user.operations):
        api.ask("POST", "user", uid=name, **{"op-mask": user.operations})
        changed.append(f"operations of {name} set")
    return changed


def _operations(mask: str) -> set[str]:
    return {"read", "write", "delete"} if mask in ("*", "") else {word.strip() for word in mask.split(",")}


def _quota(api: AdminApi, name: str, limit: int) -> list[str]:
    wanted = {"enabled": limit > 0, "max_size": limit // 1024 * 1024 or -1}
    found = api.ask("GET", "user?quota", uid=name, **{"quota-type": "user"}) or {}
    if not limit and not found.get("enabled"):
        return []
    if all(found.get(key) == value for key, value in wanted.items()):
        return []
    options = {"enabled": str(limit > 0).lower(), "max-size-kb": str(limit // 1024 or -1), "max-objects": "-1"}
    api.ask("PUT", "user?quota", uid=name, **{"quota-type": "user", **options})
    return [f"quota of {name} set"]


def _bucket(client: Any, name: str, bucket: Bucket) -> list[str]:
    changed = []
    if not _exists(client, name):
        client.create_bucket(Bucket=name, **({"ObjectLockEnabledForBucket": True} if bucket.lock_days else {}))
        changed.append(f"bucket {name} made")
    if bucket.versioned and client.get_bucket_versioning(Bucket=name).get("Status") != "Enabled":
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        changed.append(f"versions of {name} kept")
    changed += _lock(client, name, bucket.lock_days)
    changed += _lifecycle(client, name, lifecycle(bucket))
    wanted = policy(name, bucket)
    found = _found(lambda: json.loads(client.get_bucket_policy(Bucket=name)["Policy"]))
    if wanted["Statement"] and found != wanted:
        client.put_bucket_policy(Bucket=name, Policy=json.dumps(wanted))
        changed.append(f"rights on {name} set")
    elif found and not wanted["Statement"]:
        client.delete_bucket_policy(Bucket=name)
        changed.append(f"rights on {name} removed")
    return changed


def _exists(client: Any, name: str) -> bool:
    try:
        client.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True


def _lock(client: Any, name: str, days: int) -> list[str]:
    if not days:
        return []
    wanted = {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": days}},
    }
    found = _found(lambda: client.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"])
    if found and found.get("Rule", {}).get("DefaultRetention", {}).get("Days") == days:
        return []
    client.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=wanted)
    return [f"backups in {name} locked for {days} days"]


def _lifecycle(client: Any, name: str, wanted: list[dict[str, Any]]) -> list[str]:
    found = _found(lambda: client.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]) or []
    if sorted(map(_rule, found)) == sorted(map(_rule, wanted)):
        return []
    client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": wanted})
    return [f"lifecycle of {name} set"]


def _rule(rule: dict[str, Any]) -> str:
    """Return a rule in one form: gateways answer an empty prefix in several."""
    prefix = rule.get("Filter", {}).get("Prefix") or rule.get("Prefix") or ""
    rest = {key: value for key, value in rule.items() if key not in ("Filter", "Prefix")}
    return json.dumps({"prefix": prefix, **rest}, sort_keys=True)


def _found(ask: Any) -> Any:
    """Return the answer, or None where nothing is set."""
    try:
        return ask()
    except ClientError as error:
        if error.response["Error"]["Code"] in ABSENT:
            return None
        raise
