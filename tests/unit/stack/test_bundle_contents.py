"""What belongs into a bundle, and that a site which has one asks nobody else."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sacristy.cli.main import app
from sacristy.errors import ImageNotBrought, PackageNotBrought
from sacristy.packages import npm_folder, pip_environment
from sacristy.settings import Settings
from sacristy.stack import omniboard
from sacristy.stack.bundle import debian, loading, making, packages
from sacristy.stack.composed import running
from sacristy.stack.composed.place import PROFILES, Place

ROOT = Path(__file__).parents[3]


@pytest.fixture
def settings(tmp_path):
    return Settings(project=ROOT, home=tmp_path / "home")


@pytest.fixture
def place(tmp_path):
    """A composed stack's folder whose .env names images."""
    shutil.copy(ROOT / "compose" / "compose.yaml", tmp_path)
    names = ("NGINX", "MONGODB", "STACK", "OMNIBOARD", "STORE", "REGISTRY", "OPERATOR", "RABBITMQ", "PROMETHEUS")
    lines = [f"SACRISTY_IMAGE_{name}=sacristy/{name.lower()}:1" for name in (*names, "JENKINS", "GRAFANA")]
    (tmp_path / ".env").write_text("\n".join([*lines, "SACRISTY_BASE=debian:12", "COMPOSE_PROFILES=core"]))
    return Place(tmp_path)


def test_the_images_are_those_of_the_profiles_and_their_base(place):
    core = making.images_of(place, ())
    assert {"debian:12", "sacristy/stack:1", "sacristy/store:1"} <= set(core)
    assert not {"sacristy/rabbitmq:1", "sacristy/prometheus:1"} & set(core)
    more = set(making.images_of(place, ("batch", "monitoring"))) - set(core)
    assert more == {"sacristy/rabbitmq:1", "sacristy/prometheus:1"}
    assert len(making.images_of(place, PROFILES)) == 12


def test_every_package_is_asked_for_by_hash(settings):
    sets = packages.requirement_sets(settings, ["digits"])
    assert sets.keys() == {"stack", "pip", "model-digits", "data"}
    for text in sets.values():
        wanted = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert all("==" in line and "--hash=sha256:" in line for line in wanted)


def test_a_models_packages_have_cudas_libraries_only_without_a_cpu_build(settings, monkeypatch):
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert "triton==" in packages.requirement_sets(settings, ["digits"])["model-digits"]
    monkeypatch.setattr(packages, "categories", lambda lock, wheels: "packages train")
    found = packages.requirement_sets(settings, ["digits"])["model-digits"]
    assert "triton==" not in found
    assert "sacred==" in found


def test_what_moves_data_goes_with_models_that_have_some_and_rays_when_asked(settings, monkeypatch):
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert "dvc-s3==" in packages.requirement_sets(settings, ["digits"])["data"]
    assert packages.requirement_sets(settings, []).keys() == {"stack", "pip"}
    assert "\nray[" in packages.requirement_sets(settings, [], search=True)["search"]


def test_npms_packages_are_omniboard_and_what_its_lock_names(settings):
    found = packages.npm_packages(settings)
    assert found["omniboard@2.16.1"].startswith("sha512-")
    assert len(found) > 100
    assert all(integrity.startswith("sha512-") for integrity in found.values())


def test_a_tarball_is_named_as_npm_names_it():
    assert omniboard.tarball_name("@types/bson@4.0.5") == "types-bson-4.0.5.tgz"
    assert omniboard.tarball_name("yargs@13.3.2") == "yargs-13.3.2.tgz"


def test_with_packages_that_were_brought_nobody_else_is_asked(settings):
    assert "PIP_NO_INDEX" not in pip_environment(settings)
    assert npm_folder(settings) is None
    wheels, npm = settings.home / "bundle" / "wheels", settings.home / "bundle" / "npm"
    wheels.mkdir(parents=True)
    npm.mkdir()
    given = pip_environment(settings)
    assert (given["PIP_NO_INDEX"], given["PIP_FIND_LINKS"]) == ("1", str(wheels))
    assert npm_folder(settings) == npm


def test_omniboard_is_installed_from_files_alone(settings, tmp_path):
    new, brought = tmp_path / "new", tmp_path / "npm"
    for folder in (new, brought):
        folder.mkdir()
    shutil.copy(omniboard.sources(settings) / "package-lock.json", new)
    names = {omniboard.tarball_name(name) for name in packages.npm_packages(settings)}
    for name in names:
        (brought / name).touch()
    omniboard._take_brought(new, brought, new / "omniboard-2.16.1.tgz")
    lock = json.loads((new / "package-lock.json").read_text())["packages"]
    places = [entry["resolved"] for place, entry in lock.items() if place]
    assert all(place.startswith(f"file:{brought}/") for place in places)


def test_where_packages_were_brought_no_image_is_built_unasked(settings, tmp_path, monkeypatch):
    (settings.home / "bundle").mkdir(parents=True)
    monkeypatch.setattr(running, "find_program", lambda: ("docker-compose",))
    monkeypatch.setattr(running, "profiles_of", lambda *_: ["core"])
    monkeypatch.setattr(running, "place_of", lambda _: Place(tmp_path))
    monkeypatch.setattr(running, "check_secrets_of", lambda *_: None)
    monkeypatch.setattr(running, "_not_built", lambda *_: ["sacristy/store:1"])
    with pytest.raises(ImageNotBrought, match="no sacristy/store:1, and with packages from a bundle"):
        running.up(settings, running.How())


def test_a_package_that_was_not_brought_is_named(settings, tmp_path):
    with pytest.raises(PackageNotBrought, match=r"omniboard-2\.16\.1\.tgz"):
        omniboard._take_brought(tmp_path, tmp_path, tmp_path / "omniboard-2.16.1.tgz")


def test_of_what_apt_lists_only_packages_are_taken():
    text = "hello\n  Depends: libc6\n |Depends: debconf\n<debconf-2.0>\n  cdebconf\nlibc6\nlibgcc-s1\n"
    assert debian.packages_in(text) == ["hello", "libc6", "libgcc-s1"]


@pytest.mark.parametrize("name", ["-o", "a b", "../x", "Docker.io", ""])
def test_what_is_no_name_of_a_package_is_wrong_usage(name):
    assert CliRunner().invoke(app, ["bundle", "make", "there", "--debian", name]).exit_code == 2


def test_what_a_killed_load_left_is_gone_after_the_next(tmp_path):
    for name in ("wheels", "npm"):
        (tmp_path / "carried" / name).mkdir(parents=True)
    (tmp_path / "home" / ".bundle-abc" / "old").mkdir(parents=True)
    loading._bring(tmp_path / "carried", tmp_path / "home" / "bundle")
    assert {path.name for path in (tmp_path / "home").iterdir()} - {"bundle.lock"} == {"bundle"}
