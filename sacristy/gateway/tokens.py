"""Bearer tokens: only their hashes are stored. A token has 256 random bits, so a plain SHA-256 of it tells nothing.

{"tokens": [{"name": "shop", "role": "application", "sha256": "...", "per_second": 500.0, "by": "ana", "at": "..."}]}
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from sacristy.errors import InvalidName, StateDamaged, TokenTaken, UnknownToken
from sacristy.gateway.rights import RIGHTS, Right, TokenRole
from sacristy.private import write_private

log = logging.getLogger(__name__)

NAME = re.compile(r"[a-z][a-z0-9._-]{0,39}")
NAME_GRAMMAR = "a lower-case letter, then up to 39 of a-z, 0-9, '.', '_' and '-', such as 'web-shop'"
PER_SECOND = 2000.0  # requests, of a token that names no limit of its own


@dataclass(frozen=True)
class Token:
    """What is known of a token. `per_second`: requests that it may send; `by`, `at`: who made it, when."""

    name: str
    role: TokenRole
    sha256: str
    per_second: float = PER_SECOND
    by: str = ""
    at: str = ""

    def may(self, right: Right) -> bool:
        """Say whether its role has a right."""
        return right in RIGHTS[self.role]


class Tokens:
    """The tokens as the gateway sees them: always the newest good file, which costs one stat for each request."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._by_hash: dict[str, Token] = {}

    def find(self, secret: str) -> Token | None:
        """Return the token that somebody shows; None if there is none. What its time tells is at most of a hash."""
        shown = digest(secret)
        token = self._known().get(shown)
        return token if token and hmac.compare_digest(token.sha256, shown) else None

    def named(self, name: str, stamp: str) -> Token | None:
        """Return the token of a session: the one of that name, if it is still the same one."""
        for token in self._known().values():
            if token.name == name and hmac.compare_digest(stamp_of(token), stamp):
                return token
        return None

    def _known(self) -> dict[str, Token]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return {}
        state = (found.st_mtime_ns, found.st_size, found.st_ino)
        if state != self._seen:
            try:
                self._by_hash = {token.sha256: token for token in read_tokens(self._path)}
            except (OSError, StateDamaged) as error:
                log.error("%s is not understood (%s); the tokens stay as they were", self._path, error)
            self._seen = state
        return self._by_hash


def digest(secret: str) -> str:
    """Return what is stored of a token: 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def stamp_of(token: Token) -> str:
    """Return what a session keeps to know its token again."""
    return hashlib.sha256(token.sha256.encode()).hexdigest()[:32]


def new_secret() -> str:
    """Return a new token, 256 random bits."""
    return f"sac_{secrets.token_urlsafe(32)}"


def read_tokens(path: Path) -> list[Token]:
    """Return all tokens; none before the first. Raises StateDamaged."""
    try:
        found = json.loads(path.read_text())["tokens"]
        return [Token(**{**each, "role": TokenRole(each["role"])}) for each in found]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise StateDamaged(path=path, reason=error, mend=f"rm {path}, then: sacristy init") from None


def add_token(path: Path, name: str, role: TokenRole, by: str, per_second: float = PER_SECOND) -> str:
    """Make a token and return it: it is shown this once. Raises InvalidName, TokenTaken or StateDamaged."""
    secret = new_secret()

    def change(tokens: list[Token]) -> list[Token]:
        if any(token.name == name for token in tokens):
            raise TokenTaken(name=name)
        return [*tokens, _token(name, role, secret, by, per_second)]

    _change(path, change)
    return secret


def admit(path: Path, name: str, role: TokenRole, secret: str) -> bool:
    """Let a token in that was made elsewhere, in place of an earlier one of that name; say whether it was new."""
    if any((token.name, token.sha256) == (name, digest(secret)) for token in read_tokens(path)):
        return False
    made = _token(name, role, secret, "sacristy init", PER_SECOND)
    _change(path, lambda tokens: [*(token for token in tokens if token.name != name), made])
    return True


def remove_token(path: Path, name: str) -> None:
    """Make a token worthless from now on, and its sessions. Raises UnknownToken or StateDamaged."""

    def change(tokens: list[Token]) -> list[Token]:
        left = [token for token in tokens if token.name != name]
        if len(left) == len(tokens):
            raise UnknownToken(name=name, known=", ".join(sorted(token.name for token in tokens)) or "none")
        return left

    _change(path, change)


def _token(name: str, role: TokenRole, secret: str, by: str, per_second: float) -> Token:
    if not NAME.fullmatch(name):
        raise InvalidName(kind="name of a token", value=name, grammar=NAME_GRAMMAR)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Token(name, role, digest(secret), per_second, by, at)


def _change(path: Path, change: Callable[[list[Token]], list[Token]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = Path(f"{path}.lock")
    with FileLock(lock, mode=0o600):
        tokens = change(read_tokens(path))
        write_private(path, json.dumps({"tokens": [asdict(token) for token in tokens]}, indent=1) + "\n")
        os.utime(path)
