import json

import pytest

from sacristy import settings as settings_module
from sacristy.errors import InvalidSettings, NotInitialised, ProjectNotFound
from sacristy.settings import Role, Settings


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("SACRISTY_HOME", "SACRISTY_PROJECT", "SACRISTY_MONGODB_URL", "SACRISTY_DATA"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "models").mkdir()
    (tmp_path / "Pipfile").touch()
    monkeypatch.chdir(tmp_path)
    settings_module.load.cache_clear()
    yield tmp_path
    settings_module.load.cache_clear()


def test_the_project_is_found_from_below(home, monkeypatch):
    monkeypatch.chdir(home / "models")
    assert settings_module.load().project == home
    assert settings_module.load().home == home / ".sacristy"


def test_outside_of_a_project_the_error_says_so(tmp_path_factory, home, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(ProjectNotFound):
        settings_module.load()


def test_the_environment_wins_over_the_file(home, monkeypatch):
    (home / ".sacristy").mkdir()
    (home / ".sacristy" / "settings.toml").write_text("registry = '/file'\nweights = '/file'\n")
    monkeypatch.setenv("SACRISTY_REGISTRY", "/environment")
    assert settings_module.load().registry_location == "/environment"
    assert settings_module.load().weights_location == "/file"


def test_an_unknown_setting_is_named(home):
    (home / ".sacristy").mkdir()
    (home / ".sacristy" / "settings.toml").write_text("registri = 'x'\n")
    with pytest.raises(InvalidSettings, match="registri"):
        settings_module.load()


def test_before_init_the_next_command_is_told(home):
    with pytest.raises(NotInitialised) as fault:
        Settings().database_url(Role.TRAINING)
    assert fault.value.advice == "sacristy init"


def test_a_password_is_escaped_in_the_address(home):
    (home / ".sacristy" / "secrets").mkdir(parents=True)
    (home / ".sacristy" / "secrets" / "mongodb-training").write_text("a/b@c\n")
    (home / ".sacristy" / "ports.json").write_text(json.dumps({"mongodb": 27117}))
    url = Settings().database_url(Role.TRAINING)
    assert url.startswith("mongodb://training:a%2Fb%40c@127.0.0.1:27117/sacristy?")
    assert "w=majority&journal=true" in url


def test_a_database_address_from_the_environment_is_never_shown(home, monkeypatch):
    monkeypatch.setenv("SACRISTY_MONGODB_URL", "mongodb://u:hunter2@db/x")
    assert "hunter2" not in repr(Settings())
    assert Settings().database_url(Role.SERVICE) == "mongodb://u:hunter2@db/x"


def test_the_registrys_password_is_a_secret_of_the_home_or_given(home, monkeypatch):
    assert Settings().registry_login == ("", "")
    monkeypatch.setenv("SACRISTY_REGISTRY_USER", "ci")
    with pytest.raises(NotInitialised):
        _ = Settings().registry_login
    (home / ".sacristy" / "secrets").mkdir(parents=True)
    (home / ".sacristy" / "secrets" / "registry-password").write_text("kept\n")
    assert Settings().registry_login == ("ci", "kept")
    monkeypatch.setenv("SACRISTY_REGISTRY_PASSWORD", "given")
    assert Settings().registry_login == ("ci", "given")
    assert "given" not in repr(Settings())


def test_a_policy_is_set_in_the_file_and_outside(home, monkeypatch):
    (home / ".sacristy").mkdir()
    (home / ".sacristy" / "settings.toml").write_text("[promotion]\nkeep = 9\n")
    monkeypatch.setenv("SACRISTY_PROMOTION__APPROVALS", "2")
    policy = settings_module.load().promotion
    assert (policy.keep, policy.approvals, policy.stages_moved_by_hand) == (9, 2, "refuse")


@pytest.mark.parametrize("text", ["kep = 9", "keep = 0", "stages_moved_by_hand = 'maybe'", "approvals = -1"])
def test_a_fault_in_the_policy_is_named(home, text):
    (home / ".sacristy").mkdir()
    (home / ".sacristy" / "settings.toml").write_text(f"[promotion]\n{text}\n")
    with pytest.raises(InvalidSettings, match=f"promotion.{text.split()[0]}"):
        settings_module.load()


def test_a_database_named_without_a_user_is_asked_as_each_role(home):
    (home / ".sacristy" / "secrets").mkdir(parents=True)
    (home / ".sacristy" / "secrets" / "mongodb-service").write_text("pw")
    given = {"mongodb_url": "mongodb://db.example.org:443/sacristy?directConnection=true", "mongodb_ca": "ca.pem"}
    url = Settings(**given).database_url(Role.SERVICE)
    assert url.startswith("mongodb://service:pw@db.example.org:443/sacristy?directConnection=true&authSource=sacristy")
    assert url.endswith("&tls=true&tlsCAFile=" + str(home / ".sacristy" / "ca.pem").replace("/", "%2F"))


def test_a_database_named_with_a_user_is_asked_as_that_user(home):
    assert Settings(mongodb_url="mongodb://me:pw@db/x").database_url(Role.SERVICE) == "mongodb://me:pw@db/x"
