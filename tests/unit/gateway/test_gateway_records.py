"""What a run card leads to, for those who may look into runs."""

import pytest

from sacristy.gateway.app import create_app
from sacristy.gateway.rights import TokenRole
from sacristy.gateway.tokens import add_token
from sacristy.settings import Settings
from sacristy.tracking.links import image_link, weights_link
from sacristy.weights.folder import FolderStore

MISSING = "sha256:" + "0" * 64


@pytest.fixture
def settings(tmp_path):
    return Settings(project=tmp_path, home=tmp_path / "home", registry=str(tmp_path / "registry"))


@pytest.fixture
def client(settings):
    def as_role(role=TokenRole.SCIENTIST):
        client = create_app(settings).test_client()
        if role:
            token = add_token(settings.tokens_file, f"a-{role}", role, "tests")
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client

    return as_role


@pytest.fixture
def digest(settings, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"weights" * 100_000)
    return FolderStore(settings.home / "weights").put(tmp_path / "model.bin")[0]


def test_a_file_of_the_weights_comes_whole_and_under_its_name(client, digest):
    answer = client().get(weights_link("http://localhost", digest, "model.bin"))
    assert (answer.status_code, answer.data) == (200, b"weights" * 100_000)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="model.bin"'


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/weights/{MISSING}", 404),
        ("/weights/sha256:x", 400),
        (f"/weights/{MISSING}?name=../x", 400),
        (f"/images/digits/{MISSING}", 404),
        (f"/images/DIGITS/{MISSING}", 400),
    ],
)
def test_what_is_not_there_or_no_name_is_told(client, path, status):
    assert client().get(path).status_code == status


@pytest.mark.parametrize(("role", "status"), [(TokenRole.APPLICATION, 403), (None, 303)])  # 303: to the login
def test_others_may_not(client, role, status):
    asks = client(role)
    for address in (weights_link("http://localhost", MISSING, "a"), image_link("http://localhost", "digits", MISSING)):
        assert asks.get(address).status_code == status
