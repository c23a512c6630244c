"""What `init --compose` writes: certificates that hold, logins that match, files that nobody else reads."""

import base64
import hashlib
import json
import os
import shutil
import socket
import ssl
import tomllib
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from sacristy import __version__
from sacristy.errors import InvalidHostName, NotComposed
from sacristy.settings import Settings
from sacristy.stack.composed import certificates, doctor, running
from sacristy.stack.composed import init as beginning
from sacristy.stack.composed.place import ROLES, place_of, site_url
from sacristy.stack.status import ServiceState

ROOT = Path(__file__).parents[3]


@pytest.fixture
def handing_over():
    """Return what gives the secrets to their readers, which is left out otherwise."""
    return beginning._hand_over


@pytest.fixture
def settings(tmp_path, monkeypatch, handing_over):
    monkeypatch.setattr(beginning, "BCRYPT_ROUNDS", 16)  # the least there is: tests are many
    monkeypatch.setattr(beginning, "_hand_over", lambda place: None)
    (tmp_path / "compose").mkdir()
    shutil.copytree(ROOT / "ceph", tmp_path / "ceph")
    return Settings(project=tmp_path)


@pytest.fixture
def place(settings):
    beginning.init_composed(settings, "ml.example.org", 8443)
    return place_of(settings)


def test_only_this_user_reads_what_it_writes(place):
    files = [place.env, *place.secrets.iterdir(), *(path for path in place.clients.rglob("*") if path.is_file())]
    assert {path.stat().st_mode & 0o077 for path in files} == {0}
    assert place.secrets.stat().st_mode & 0o777 == 0o700


def test_jenkins_is_another_user_and_reads_its_secrets_where_init_is_not_roots(place, handing_over, monkeypatch):
    monkeypatch.setattr(beginning.os, "getuid", lambda: 998)
    handing_over(place)
    modes = {path.name: path.stat().st_mode & 0o777 for path in place.secrets.iterdir()}
    assert {mode for name, mode in modes.items() if name.startswith("jenkins-")} == {0o640}
    assert {mode for name, mode in modes.items() if not name.startswith("jenkins-")} == {0o600, 0o400}
    assert list(doctor.check_secrets(place)) == []
    (place.secrets / "jenkins-token").chmod(0o644)
    assert [finding.mend[:9] for finding in doctor.check_secrets(place)] == ["chmod 640"]


def test_the_second_time_nothing_changes_whatever_name_is_given(settings, place):
    before = {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()}
    assert beginning.init_composed(settings, "other.example.org").made == []
    assert {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()} == before


def test_what_a_newer_compose_file_asks_of_env_is_added_and_nothing_else_is_changed(settings, place):
    whole = place.env.read_text().replace("SACRISTY_BASE=", "SACRISTY_BASE=the-sites-own/")
    older = "".join(line for line in whole.splitlines(keepends=True) if "IMAGE_OPERATOR" not in line)
    place.env.write_text(older.rstrip("\n"))
    assert beginning.init_composed(settings, "other.example.org").made == ["compose/.env: SACRISTY_IMAGE_OPERATOR"]
    assert place.env.read_text() == older + f"SACRISTY_IMAGE_OPERATOR=sacristy/operator:{__version__}\n"
    assert place.env.stat().st_mode & 0o777 == 0o600


def test_an_upgrade_needs_no_name_where_the_hosts_own_is_no_good(settings, place):
    (place.secrets / "watcher-token").unlink()  # as if it were new
    assert beginning.init_composed(settings, "My_Host").made == ["secrets/watcher-token"]


@pytest.mark.parametrize("name", ["", "Ml", "ml_1", "-ml", "a..b", "a b", "http://a", "a" * 64 + ".org"])
def test_a_name_that_is_no_host_is_refused_before_anything_is_written(settings, name):
    with pytest.raises(InvalidHostName):
        beginning.init_composed(settings, name)
    assert list((settings.project / "compose").iterdir()) == []


@pytest.mark.parametrize("service", ["front", "mongodb", "registry", "store"])
def test_a_service_is_known_by_its_name_and_trusted_through_the_authority(place, service):
    path = place.secrets / f"{service}.pem"
    found = x509.load_pem_x509_certificate(path.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )
    assert ("*.ml.example.org" if service == "front" else f"{service}.ml.example.org") in names
    found.verify_directly_issued_by(x509.load_pem_x509_certificate((place.secrets / "ca.pem").read_bytes()))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)


def test_the_authoritys_key_is_in_no_file_that_leaves_this_place(place):
    key = (place.secrets / "authority.pem").read_text().partition("-----BEGIN PRIVATE KEY-----")[2]
    others = [path for path in place.folder.rglob("*") if path.is_file() and path.name != "authority.pem"]
    assert [path for path in others if key in path.read_text()] == []


def test_the_logins_are_hashes_of_the_passwords(place):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import crypt
    lines = dict(line.split(":", 1) for line in (place.secrets / "htpasswd").read_text().splitlines())
    assert lines.keys() == {"scientist", "ops", "operator"}
    for who, hashed in lines.items():
        assert hashed.startswith("$2b$")
        assert crypt.crypt((place.secrets / f"login-{who}").read_text(), hashed) == hashed


@pytest.mark.parametrize("role", ROLES)
def test_a_persons_settings_are_settings_and_lead_to_this_stack(place, role, tmp_path):
    values = tomllib.loads((place.clients / role / "settings.toml").read_text())
    client = Settings(project=tmp_path, home=place.clients / role, **values)
    assert client.registry == "https://registry.ml.example.org:8443"
    assert client.registry_login == (role, (place.secrets / f"login-{role}").read_text())
    assert client.registry_ca == place.clients / role / "ca.pem"
    assert ":8443/sacristy?directConnection=true" in client.database_url("training")


def test_a_scientist_gets_no_key_that_signs_and_none_that_removes(place):
    given = {path.name for path in (place.clients / "scientist" / "secrets").iterdir()}
    assert given.isdisjoint({"cosign.key", "ceph-ops", "mongodb-admin", "gateway-ops"})


def test_the_doctor_tells_a_missing_secret_an_open_one_and_an_old_certificate(place, monkeypatch):
    (place.secrets / "ceph-ops").unlink()
    (place.secrets / "htpasswd").chmod(0o640)
    (place.secrets / "mongodb-admin").unlink()
    told = {finding.what for finding in doctor.check_secrets(place)}
    assert told == {
        f"the secret {place.secrets / 'ceph-ops'} is missing",
        f"the secret {place.secrets / 'mongodb-admin'} is missing",
        f"other users can read {place.secrets / 'htpasswd'}",
    }
    assert list(doctor.check_certificates(place)) == []
    monkeypatch.setattr(doctor, "days_left", lambda path: 12 if path.name == "front.pem" else 800)
    assert [finding.what for finding in doctor.check_certificates(place)] == [
        f"the certificate {place.secrets / 'front.pem'} ends in 12 days"
    ]


def test_a_certificates_days_are_counted_from_now(tmp_path):
    authority = certificates.new_authority("x")
    (tmp_path / "a.pem").write_text(certificates.new_certificate(["a.b"], authority).certificate)
    assert certificates.days_left(tmp_path / "a.pem", datetime.now(UTC) + timedelta(days=800)) == 24


def test_a_clock_that_is_behind_is_told(place, monkeypatch):
    monkeypatch.setattr(doctor, "is_early", lambda path: path.name == "store.pem")
    assert [finding.mend for finding in doctor.check_certificates(place)] == ["set the clock (NTP)"]
    early = datetime.now(UTC) - timedelta(days=1)
    assert certificates.is_early(place.secrets / "front.pem", early)


def test_before_init_the_next_command_is_told(tmp_path):
    with pytest.raises(NotComposed) as fault:
        place_of(Settings(project=tmp_path)).values()
    assert "sacristy init --compose" in fault.value.advice


def test_the_usual_port_is_not_in_addresses():
    assert site_url("a.b", 443, "store") == "https://store.a.b"
    assert site_url("a.b", 444) == "https://a.b:444"


def test_the_doctor_tells_a_service_of_the_sites_profiles_that_was_never_started(settings, place):
    shutil.copy(ROOT / "compose" / "compose.yaml", place.folder)
    place.env.write_text(place.env.read_text().replace("COMPOSE_PROFILES=core", "COMPOSE_PROFILES=core,monitoring"))
    there = dict.fromkeys(running.services_of(place, ["core"]), ServiceState(True, ""))
    assert [finding.what.partition(",")[0] for finding in doctor.check_profiles(place, there)] == [
        "prometheus was never started"
    ]
    assert list(doctor.check_profiles(place, there | {"prometheus": ServiceState(True, "")})) == []


def test_rabbitmqs_accounts_are_two_hashed_and_no_guest(place):
    text = (place.secrets / "rabbitmq-definitions").read_text()
    users = {user["name"]: user for user in json.loads(text)["users"]}
    assert users.keys() == {"sacristy", "ops"}
    for name, secret in (("sacristy", "rabbitmq-password"), ("ops", "login-ops")):
        password = (place.secrets / secret).read_text()
        found = base64.b64decode(users[name]["password_hash"])
        assert found[4:] == hashlib.sha256(found[:4] + password.encode()).digest()
        assert password not in text


def test_a_new_stack_has_no_copy_that_is_behind(place):
    assert list(doctor.check_copies(place)) == []


@pytest.mark.parametrize(
    ("changed", "behind"),
    [
        ("login-ops", {"htpasswd", "rabbitmq-definitions", "ops/secrets/registry-password"}),
        ("jenkins-token", {"watcher-token"}),
        ("gateway-scientist", {"scientist/secrets/gateway-scientist", "ops/secrets/gateway-scientist"}),
    ],
)
def test_what_repeats_a_secret_that_was_made_anew_is_told_until_it_is_made_anew_too(settings, place, changed, behind):
    (place.secrets / changed).unlink()
    beginning.init_composed(settings, "ml.example.org")
    found = list(doctor.check_copies(place))
    paths = {Path(finding.mend.split(";")[0].removeprefix("rm ")) for finding in found}
    assert paths == {(place.clients if "/" in name else place.secrets) / name for name in behind}
    for path in paths:
        path.unlink()
    beginning.init_composed(settings, "ml.example.org")
    assert list(doctor.check_copies(place)) == []


def test_an_authority_that_was_made_anew_leaves_no_certificate_of_the_former_one_untold(settings, place):
    for name in ("authority.pem", "ca.pem"):
        (place.secrets / name).unlink()
    beginning.init_composed(settings, "ml.example.org")
    behind = {
        finding.what.partition(" is not")[0].removeprefix(f"{place.folder}/") for finding in doctor.check_copies(place)
    }
    services = {f"secrets/{service}.pem" for service in beginning.TLS_SERVICES}
    assert behind == services | {f"clients/{role}/ca.pem" for role in ROLES}


def test_another_port_is_not_yet_what_people_have_and_what_a_site_added_may_stay(place):
    for name, more in (("ca.pem", "an authority of the site's own"), ("settings.toml", 'user = "ana"')):
        path = place.clients / "ops" / name
        path.write_text(f"{path.read_text()}{more}\n")
    assert list(doctor.check_copies(place)) == []
    place.env.write_text(place.env.read_text().replace("SACRISTY_PORT=8443", "SACRISTY_PORT=9443"))
    assert [finding.what.partition(" says")[0][-4:] for finding in doctor.check_copies(place)] == [".env", ".env"]


def test_an_authority_near_its_end_is_made_anew_from_its_key_on(place, monkeypatch):
    monkeypatch.setattr(doctor, "days_left", lambda path: 12 if path.name == "ca.pem" else 800)
    (found,) = doctor.check_certificates(place)
    assert found.mend.startswith(f"rm {place.secrets / 'ca.pem'} {place.secrets / 'authority.pem'}; ")


def test_a_folder_in_a_secrets_place_is_told_since_init_keeps_it(settings, place):
    (place.secrets / "login-ops").unlink()
    (place.secrets / "login-ops").mkdir()
    (found,) = doctor.check_secrets(place)
    assert f"rmdir {place.secrets / 'login-ops'}" in found.mend


def test_a_port_below_1024_that_another_has_is_told_to_who_may_not_bind_it(place, monkeypatch):
    with socket.socket() as another:
        another.bind(("127.0.0.1", 0))
        another.listen()
        port = another.getsockname()[1]
        place.env.write_text(place.env.read_text().replace("SACRISTY_PORT=8443", f"SACRISTY_PORT={port}"))
        monkeypatch.setattr(doctor.socket.socket, "bind", refuse)
        (found,) = doctor.check_port(place)
        assert found.what == f"port {port} cannot be had: another program has it"
    assert list(doctor.check_port(place)) == []


def refuse(*_):
    raise PermissionError


def test_a_socket_of_another_group_than_the_guards_is_told(place, tmp_path):
    (tmp_path / "docker.sock").touch()
    lines = [line for line in place.env.read_text().splitlines() if "DOCKER" not in line]
    there = [*lines, f"SACRISTY_DOCKER_SOCKET={tmp_path / 'docker.sock'}"]
    for group, told in ((os.getgid(), []), (os.getgid() + 1, [f"SACRISTY_DOCKER_GID={os.getgid()} in {place.env}"])):
        place.env.write_text("\n".join([*there, f"SACRISTY_DOCKER_GID={group}"]))
        assert [finding.mend.split(";")[0] for finding in doctor.check_group(place)] == told
