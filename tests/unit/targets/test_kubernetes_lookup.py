"""What the operator asks for all models over and over is asked of the registry once."""

import json

import pytest

from sacristy.errors import NotForPods, RegistryAway
from sacristy.images.manifest import WEIGHTS
from sacristy.names import Version
from sacristy.settings import Settings
from sacristy.targets.kubernetes.lookup import Lookup
from sacristy.targets.kubernetes.target import KubernetesTarget
from sacristy.targets.target import Image

DIGEST = "sha256:" + "ab" * 32
FILES = [{"name": "model.safetensors", "digest": DIGEST, "size": 5}]


class Registry:
    """Has one manifest, if any."""

    def __init__(self, annotations):
        self.annotations, self.asked = annotations, 0

    def manifest(self, model, digest):
        self.asked += 1
        if self.annotations is None:
            raise RegistryAway(location="registry:5000", reason=f"{model}@{digest} was asked for")
        return {"annotations": self.annotations}


@pytest.fixture
def look(tmp_path):
    def look(annotations, endpoint="https://store.example.org"):
        settings = Settings(project=tmp_path, weights="s3://weights", weights_endpoint=endpoint)
        return Lookup(settings, Registry(annotations))

    return look


IMAGE = Image("news", Version(42), 42, DIGEST)


def test_an_image_that_carries_its_weights_is_asked_for_once(look):
    there = look({})
    assert [there.fetching(IMAGE) for _ in range(3)] == [None] * 3
    assert there.registry.asked == 1


def test_one_that_does_not_is_given_them_by_name_and_digest(look):
    there = look({WEIGHTS: json.dumps(FILES)})
    found = there.fetching(IMAGE)
    assert [(file.name, file.digest) for file in found.fetched.files] == [("model.safetensors", DIGEST)]
    assert (found.location, found.endpoint) == ("s3://weights", "https://store.example.org")
    assert there.knows(IMAGE)


def test_what_cannot_be_said_of_one_image_holds_up_no_other(look):
    here = look({WEIGHTS: json.dumps(FILES)}, endpoint="https://127.0.0.1:1")
    with pytest.raises(NotForPods):
        here.fetching(IMAGE)
    assert [here.knows(IMAGE), look(None).knows(IMAGE)] == [False, False]


@pytest.mark.parametrize(
    ("expose", "port", "url"),
    [
        ("NodePort", {"port": 80, "nodePort": 31000}, "http://127.0.0.1:31000"),
        ("NodePort", {"port": 80}, "http://10.0.0.7:80"),  # exposed otherwise until the operator has looked
        ("ClusterIP", {"port": 80, "nodePort": 31000}, "http://10.0.0.7:80"),
    ],
)
def test_a_service_is_reached_as_it_can_be_now(tmp_path, expose, port, url):
    settings = Settings(project=tmp_path, cluster={"expose": expose, "node_address": "127.0.0.1"})
    target = KubernetesTarget(settings, Registry(None))
    assert target._url({"spec": {"clusterIP": "10.0.0.7", "ports": [port]}}) == url
