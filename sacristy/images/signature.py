"""Signatures as cosign makes and reads them, checked without any network.

Beside an image sha256:<hex> lies a manifest under the tag sha256-<hex>.sig. Each of its layers is a payload (simple
signing JSON that names the image's digest) with the signature of the payload's bytes as an annotation: ECDSA on
P-256 with SHA-256, DER, base64. `cosign verify --key cosign.pub --insecure-ignore-tlog` reads it: there is no
transparency log on a site of one's own.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sacristy.errors import BlobDamaged, BlobNotFound, ImageNotFound, NotInitialised, SignatureInvalid, Unsigned
from sacristy.images.manifest import (
    CONFIG,
    MANIFEST,
    MAX_DOCUMENT,
    Descriptor,
    Json,
    canonical,
    described,
    descriptor,
    read_document,
)
from sacristy.images.registry import Registry
from sacristy.weights.verified import read_whole

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
TYPE = "cosign container image signature"
NO_TIME = "0001-01-01T00:00:00Z"
PRIVATE, PUBLIC = "cosign.key", "cosign.pub"
MOST_SIGNATURES = 32
SIGNING = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)  # RFC 6979: the same image, the same signature
CHECKING = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True)
class Keys:
    """The files of the key pair. Where images are only started, the public one is enough."""

    private_file: Path
    public_file: Path

    def private(self) -> ec.EllipticCurvePrivateKey:
        """Return the signing key. Raises NotInitialised."""
        key = serialization.load_pem_private_key(_read(self.private_file), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - we made it
        return key

    def public(self) -> ec.EllipticCurvePublicKey:
        """Return the key that signatures are checked with. Raises NotInitialised."""
        key = serialization.load_pem_public_key(_read(self.public_file))
        assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101 - we made it
        return key


def keys_of(home: Path) -> Keys:
    """Return where a project's home folder has its key pair."""
    return Keys(home / "secrets" / PRIVATE, home / PUBLIC)


def new_private_key() -> str:
    """Return a new P-256 key as PEM (PKCS 8, not encrypted: its file's mode guards it)."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(encoding, form, serialization.NoEncryption()).decode()


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return the public half as PEM, as `cosign verify --key` takes it."""
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form).decode()


def signature_tag(digest: str) -> str:
    """Return the tag of an image's signatures."""
    return digest.replace(":", "-") + ".sig"


def payload(repository: str, digest: str) -> bytes:
    """Return what is signed: that this digest is an image of the repository. No host, so that copies stay signed."""
    critical = {"identity": {"docker-reference": repository}, "image": {"docker-manifest-digest": digest}, "type": TYPE}
    return canonical({"critical": critical, "optional": None})


def sign(content: bytes, key: ec.EllipticCurvePrivateKey) -> str:
    """Return the signature of a payload, base64."""
    return base64.b64encode(key.sign(content, SIGNING)).decode()


def attach(registry: Registry, repository: str, digest: str, keys: Keys) -> str:
    """Sign an image and put the signature beside it; return the signature manifest's digest. Twice changes nothing.

    Signatures that others put there stay. Where the private key is not kept, one by it that is there already is enough.
    Raises NotInitialised, or what the registry raises.
    """
    before, layers = _found(registry, repository, digest)
    if before and not keys.private_file.exists() and _is_ours(registry, repository, digest, keys):
        return before
    content = payload(repository, digest)
    blob = described(content, PAYLOAD)
    mine = Descriptor(PAYLOAD, blob.digest, blob.size, {SIGNATURE: sign(content, keys.private())})
    if before and mine.as_json() in layers:
        return before
    config = _config([*layers, mine.as_json()])
    registry.put_blob(repository, blob.digest, content)
    registry.put_blob(repository, described(config, CONFIG).digest, config)
    manifest = canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described(config, CONFIG).as_json(),
            "layers": [*layers, mine.as_json()],
        }
    )
    made = registry.put_manifest(repository, manifest)
    registry.tag(repository, signature_tag(digest), made, expected=before)
    return made


def verify(registry: Registry, repository: str, digest: str, keys: Keys) -> None:
    """Raise Unsigned or SignatureInvalid unless a signature by our key says that this very digest is ours."""
    image, public = f"{repository}@{digest}", keys.public()
    tag, layers = _found(registry, repository, digest)
    if tag is None:
        raise Unsigned(image=image)
    reasons = [_fault(registry, repository, digest, layer, public) for layer in layers[:MOST_SIGNATURES]]
    if "" not in reasons:
        raise SignatureInvalid(image=image, reason=reasons[-1] if reasons else "the signature manifest is empty")


def _is_ours(registry: Registry, repository: str, digest: str, keys: Keys) -> bool:
    try:
        verify(registry, repository, digest, keys)
    except (Unsigned, SignatureInvalid):
        return False
    return True


def _fault(registry: Registry, repository: str, digest: str, layer: Json, key: ec.EllipticCurvePublicKey) -> str:
    """Return why a signature does not count, or an empty string. The key is asked before the content is looked at."""
    try:
        content = _payload_of(registry, repository, layer)
        key.verify(base64.b64decode(layer["annotations"][SIGNATURE], validate=True), content, CHECKING)
        critical = read_document(content, repository)["critical"]
        named, kind = critical["image"]["docker-manifest-digest"], critical["type"]
    except InvalidSignature:
        return "it was not made with this project's key"
    except (KeyError, TypeError, ValueError, BlobNotFound, BlobDamaged) as error:
        return f"it cannot be read: {error or type(error).__name__}"
    if named != digest or kind != TYPE:
        return f"it is a signature of another image, {named}"
    return ""


def _payload_of(registry: Registry, repository: str, layer: Json) -> bytes:
    blob = descriptor(layer, repository)
    with registry.open_blob(repository, blob.digest) as source:
        return read_whole(source, MAX_DOCUMENT)


def _found(registry: Registry, repository: str, digest: str) -> tuple[str | None, list[Json]]:
    try:
        found = registry.resolve(repository, signature_tag(digest)).digest
        return found, list(registry.manifest(repository, found)["layers"])
    except ImageNotFound:
        return None, []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotInitialised(path=path) from None


def _config(layers: list[Json]) -> bytes:
    """Return the configuration that cosign writes for a signature."""
    diff_ids = [layer["digest"] for layer in layers]
    return canonical(
        {
            "architecture": "",
            "os": "",
            "created": NO_TIME,
            "history": [{"created": NO_TIME} for _ in layers],
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    )
