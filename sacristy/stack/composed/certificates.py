"""The stack's own authority and the certificates that it signs: ECDSA on P-256, PEM."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
DAYS = 825  # the most that browsers take
RENEW_BEFORE_DAYS = 30


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both as PEM."""

    certificate: str
    key: str


def new_authority(name: str) -> Pair:
    """Return a new authority that signs for one stack."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, AUTHORITY_DAYS).issuer_name(_name(name)).public_key(key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(authority=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return _pair(builder.sign(key, hashes.SHA256()), key)


def new_certificate(names: Sequence[str], authority: Pair) -> Pair:
    """Return a certificate for host names and addresses, signed by an authority; the authority's own follows it."""
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    signer = serialization.load_pem_private_key(authority.key.encode(), password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)  # noqa: S101 - we made it
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(names[0], DAYS).public_key(key.public_key()).issuer_name(issuer.subject)
    known = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    for extension, critical in (
        (x509.SubjectAlternativeName([_place(name) for name in names]), False),
        (usage, False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(authority=False), True),
        (known, False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    made = _pair(builder.sign(signer, hashes.SHA256()), key)
    return Pair(made.certificate + authority.certificate, made.key)


def days_left(certificate: Path, now: datetime | None = None) -> int:
    """Return for how many days a certificate is still good; negative once it is not. Raises OSError, ValueError."""
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    return (found.not_valid_after_utc - (now or datetime.now(UTC))).days


def is_early(certificate: Path, now: datetime | None = None) -> bool:
    """Say whether a certificate is not good yet, which means a clock that is behind. Raises OSError, ValueError."""
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    return found.not_valid_before_utc > (now or datetime.now(UTC))


def is_signed_by(certificate: Path, authorities: Path) -> bool:
    """Say whether one of the authorities in a file signed a certificate. Raises OSError; what cannot be read is not."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        known = x509.load_pem_x509_certificates(authorities.read_bytes())
    except ValueError:
        return False
    return any(_signed(found, authority) for authority in known)


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _builder(name: str, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # clocks differ
        .not_valid_after(now + timedelta(days=days))
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _place(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    text = key.private_bytes(encoding, form, serialization.NoEncryption()).decode()
    return Pair(certificate.public_bytes(encoding).decode(), text)
