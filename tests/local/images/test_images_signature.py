"""Signatures: made as cosign reads them, and refused unless they say that this very digest is ours."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sacristy.errors import NotInitialised, SacristyError, SignatureInvalid, Unsigned
from sacristy.images import signature
from sacristy.images.signature import keys_of


def make_keys(home):
    keys = keys_of(home)
    keys.private_file.parent.mkdir(parents=True)
    keys.private_file.write_text(signature.new_private_key())
    keys.public_file.write_text(signature.public_pem(keys.private()))
    return keys


@pytest.fixture
def keys(tmp_path):
    return make_keys(tmp_path / "home")


def move(built, image, digest):
    """Give the signatures of an image to another digest, as somebody would who has no key."""
    built.tag("toy", signature.signature_tag(digest), built.tags("toy")[signature.signature_tag(image.digest)])


def test_what_was_signed_is_accepted(built, image, keys):
    signature.attach(built, "toy", image.digest, keys)
    signature.verify(built, "toy", image.digest, keys)


def test_it_is_what_cosign_documents(built, image, keys):
    signature.attach(built, "toy", image.digest, keys)
    folder = built.layout("toy").folder / "blobs" / "sha256"
    hexadecimal = built.tags("toy")[f"sha256-{image.digest[7:]}.sig"][7:]
    (layer,) = json.loads((folder / hexadecimal).read_text())["layers"]
    assert layer["mediaType"] == "application/vnd.dev.cosign.simplesigning.v1+json"
    content = (folder / layer["digest"][7:]).read_bytes()
    critical = json.loads(content)["critical"]
    assert critical["image"] == {"docker-manifest-digest": image.digest}
    assert critical["type"] == "cosign container image signature"
    public = serialization.load_pem_public_key(keys.public_file.read_bytes())
    assert public.curve.name == "secp256r1"
    given = base64.b64decode(layer["annotations"]["dev.cosignproject.cosign/signature"])
    public.verify(given, content, ec.ECDSA(hashes.SHA256()))  # raises if it is not


def test_the_configuration_lists_the_payload(built, image, keys):
    made = signature.attach(built, "toy", image.digest, keys)
    (layer,) = built.manifest("toy", made)["layers"]
    config = built.config("toy", made)
    assert config["rootfs"] == {"type": "layers", "diff_ids": [layer["digest"]]}


def test_signing_twice_changes_nothing(built, image, keys):
    assert signature.attach(built, "toy", image.digest, keys) == signature.attach(built, "toy", image.digest, keys)


def test_the_signature_of_another_stays_and_ours_is_found_among_them(built, image, keys, tmp_path):
    others = make_keys(tmp_path / "other")
    signature.attach(built, "toy", image.digest, others)
    signature.attach(built, "toy", image.digest, keys)
    for known in (keys, others):
        signature.verify(built, "toy", image.digest, known)


def test_unsigned_is_refused(built, image, keys):
    with pytest.raises(Unsigned, match="is not signed"):
        signature.verify(built, "toy", image.digest, keys)


def test_signed_with_another_key_is_refused(built, image, keys, tmp_path):
    signature.attach(built, "toy", image.digest, make_keys(tmp_path / "other"))
    with pytest.raises(SignatureInvalid, match="not made with this project's key"):
        signature.verify(built, "toy", image.digest, keys)


def test_a_right_signature_on_another_digest_is_refused(built, image, keys, settings, store, run_of):
    from sacristy.images.build import build

    other = build(settings, run_of(8), store=store)
    signature.attach(built, "toy", image.digest, keys)
    move(built, image, other.digest)
    with pytest.raises(SignatureInvalid, match="a signature of another image"):
        signature.verify(built, "toy", other.digest, keys)


@pytest.mark.parametrize("given", ["", "!", "é", "AAAA", "QUFB" * 40, None, 7])
def test_a_signature_that_is_none_is_refused(built, image, keys, given):
    made = signature.attach(built, "toy", image.digest, keys)
    manifest = built.manifest("toy", made)
    manifest["layers"][0]["annotations"] = {} if given is None else {signature.SIGNATURE: given}
    forged = built.put_manifest("toy", json.dumps(manifest).encode())
    built.tag("toy", signature.signature_tag(image.digest), forged)
    with pytest.raises(SignatureInvalid):
        signature.verify(built, "toy", image.digest, keys)


def test_a_payload_with_a_byte_flipped_is_refused(built, image, keys):
    made = signature.attach(built, "toy", image.digest, keys)
    (layer,) = built.manifest("toy", made)["layers"]
    path = built.layout("toy").store.path(layer["digest"])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    with pytest.raises(SacristyError):
        signature.verify(built, "toy", image.digest, keys)


def test_an_empty_signature_manifest_is_refused(built, image, keys):
    made = signature.attach(built, "toy", image.digest, keys)
    empty = built.put_manifest("toy", json.dumps(built.manifest("toy", made) | {"layers": []}).encode())
    built.tag("toy", signature.signature_tag(image.digest), empty)
    with pytest.raises(SignatureInvalid, match="empty"):
        signature.verify(built, "toy", image.digest, keys)


def test_without_keys_the_next_command_is_told(built, image, tmp_path):
    with pytest.raises(NotInitialised):
        signature.attach(built, "toy", image.digest, keys_of(tmp_path / "nothing"))


def test_where_the_private_key_is_not_kept_what_is_signed_stays_so_and_no_more(built, image, keys):
    made = signature.attach(built, "toy", image.digest, keys)
    keys.private_file.unlink()
    assert signature.attach(built, "toy", image.digest, keys) == made
    empty = built.put_manifest("toy", json.dumps(built.manifest("toy", made) | {"layers": []}).encode())
    built.tag("toy", signature.signature_tag(image.digest), empty)
    with pytest.raises(NotInitialised):
        signature.attach(built, "toy", image.digest, keys)


def test_signatures_are_no_versions_and_no_stages(built, image, keys):
    before = built.versions("toy"), built.stages("toy"), built.repositories()
    signature.attach(built, "toy", image.digest, keys)
    assert (built.versions("toy"), built.stages("toy"), built.repositories()) == before
    assert hashlib.sha256(built.read_manifest("toy", image.digest)).hexdigest() == image.digest[7:]
