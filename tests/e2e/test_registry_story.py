"""The demo's way with a real registry over HTTPS: Debian's docker-registry, an htpasswd, a CA of its own."""

import shutil

import pytest
from story import Clone

pytestmark = pytest.mark.registry


@pytest.fixture(scope="module")
def far(clone, one_server, tmp_path_factory):
    """The clone with a stack of its own, whose images are pushed to the registry."""
    made = Clone(clone.folder, tmp_path_factory.mktemp("far") / "home")
    made.environment |= {
        "SACRISTY_REGISTRY": one_server.url,
        "SACRISTY_REGISTRY_USER": "ci",
        "SACRISTY_REGISTRY_CA": str(one_server.ca),
        "XDG_CACHE_HOME": str(made.home.parent / "cache"),
    }
    made.run("init")
    secret = made.home / "secrets" / "registry-password"
    secret.write_text(one_server.password)
    secret.chmod(0o600)
    yield made, one_server
    made.run("down")
    shutil.rmtree(made.home)


@pytest.fixture(scope="module")
def demos(far):
    clone, _ = far
    return [clone.json("demo"), clone.json("demo")]


def test_a_model_goes_the_whole_way_through_the_registry(far, demos):
    _, server = far
    first, second = demos
    assert first["answer"]["predictions"][0]["label"] == first["expected"]["label"]
    assert second["asked_while_switching"]["failed"] == 0
    with_server = server.registry()
    assert with_server.stages("digits")["production"] == second["answer"]["digest"]
    with_server.close()


def test_its_images_and_stages_are_listed(far, demos):
    clone, _ = far
    newest, first = clone.json("images", "digits")
    assert newest["pushed"]
    assert newest["stages"] == ["production", "staging"]
    assert first["pushed"]
    assert clone.json("status")["models"]["digits"]["production"]["ready"]
    assert [finding for finding in clone.json("doctor") if finding["level"] == "error"] == []


def test_pushed_again_nothing_is_sent(far, demos):
    clone, _ = far
    report = clone.json("push", f"digits:{demos[1]['answer']['version']}")
    assert report["bytes_sent"] == 0


def test_another_machine_deploys_what_it_never_built(far, demos):
    clone, _ = far
    shutil.rmtree(clone.home / "images")
    shutil.rmtree(clone.home / "instances")
    first = demos[0]["answer"]["digest"]
    clone.run("rollback", "digits", "production", "--why", "the image comes from the registry")
    running = clone.json("status")["models"]["digits"]["production"]
    assert (running["digest"], running["ready"]) == (first, True)


def test_a_wrong_password_is_one_line_without_it(far, demos):
    clone, _ = far
    here = clone.environment
    clone.environment = here | {"SACRISTY_REGISTRY_PASSWORD": "not-it-at-all"}
    try:
        _, said = clone.run("push", "digits:1", code=1)
    finally:
        clone.environment = here
    assert "401" in said
    assert "not-it-at-all" not in said
    assert "Traceback" not in said
