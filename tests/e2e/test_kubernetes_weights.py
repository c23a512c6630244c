"""On a real cluster, with a real Ceph: a model whose weights its image does not carry. Told last: its version stays."""

import copy
import gc
import json
import shutil
import subprocess
import warnings
from contextlib import closing

import pytest
import rig
from cluster_policy import breaches
from lampshop import number
from services.weights.conftest import ceph  # noqa: F401 - the fixture
from services.weights.faulty import FaultyGateway
from story import ROOT

from sacristy.images.manifest import PART

pytestmark = [pytest.mark.workloads, pytest.mark.timeout(600)]
TOML = "models/lamp/model.toml"
STAGING, PRODUCTION = ("--namespace", "sacristy-staging"), ("--namespace", "sacristy-production")
NOBODY = 65532
WRITES = """
for path in ("/app/weights/means.json", "/app/weights/more.json", "/cache/more", "/store/keys"):
    try:
        open(path, "a")
        print("written", path)
    except OSError as error:
        print(error.strerror)
"""


@pytest.fixture(scope="module")
def far(shop, ceph, tmp_path_factory):  # noqa: F811 - the fixture
    """The shop as somebody works in it whose pods reach Ceph by TLS, with a version in production."""
    with warnings.catch_warnings():  # of the clients with which Ceph was brought up
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    own, both = certificate(tmp_path_factory.mktemp("far"))
    gateway = FaultyGateway(ceph.s3_endpoint, ceph.s3_ca, rig.NODE, certificate=both)  # with no fault
    for user in ("training", "serving"):
        shutil.copy(ceph.home / "secrets" / f"ceph-{user}", shop.clone.home / "secrets" / f"ceph-{user}")
    there = copy.copy(shop)
    there.clone = copy.copy(shop.clone)
    there.clone.environment = shop.clone.environment | {
        "SACRISTY_WEIGHTS": "s3://weights",
        "SACRISTY_WEIGHTS_ENDPOINT": gateway.url,
        "SACRISTY_WEIGHTS_CA": str(own),
    }
    text = (shop.clone.folder / TOML).read_text()
    shop.clone.commit(TOML, f'weights = "ceph"\n{text}')
    try:
        there.name = there.judged(there.made("sharpness=2.0"))
        there.bring(there.name)
        yield there
    finally:
        shop.clone.commit(TOML, text)
        gateway.close()


def certificate(folder):
    """Make a certificate for this machine as pods see it; return its file, and one that has its key too."""
    own, both = folder / "ca.pem", folder / "gateway.pem"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", both, "-out", own]
    names = ["-subj", "/CN=gateway", "-addext", f"subjectAltName=IP:{rig.NODE}"]
    subprocess.run(["openssl", "req", "-x509", "-days", "2", *key, *names], check=True, capture_output=True)
    both.write_text(both.read_text() + own.read_text())
    return own, both


@pytest.fixture
def cached(far):
    """Staging points at the version and has no pod; nodes have a cache, which is empty."""
    folder = far.rig.folder / "weights-cache"
    folder.mkdir()
    shutil.chown(folder, NOBODY, NOBODY)
    kept = far.clone.environment
    far.clone.environment = kept | {"SACRISTY_CLUSTER__WEIGHTS_CACHE": str(folder)}
    far.rig.kubectl(*STAGING, "delete", "deployment", "lamp", "--ignore-not-found")
    if far.clone.json("status")["models"]["lamp"].get("staging", {}).get("version") != number(far.name):
        far.promote(far.name, "staging")
    yield folder
    far.clone.environment = kept
    shutil.rmtree(folder)


def said(far, place, pod):
    """Return what the container that fetches printed, and whether each file came from the store."""
    text = far.rig.kubectl(*place, "logs", pod["metadata"]["name"], "--container", "weights")
    return {line.rpartition(", ")[2] for line in text.splitlines()}


def test_it_serves_what_its_image_does_not_carry(far):
    assert far.answer()["version"] == number(far.name)
    with closing(far.server.registry()) as registry:
        manifest = registry.manifest("lamp", far.state()["digest"])
    assert "weights" not in {layer.get("annotations", {}).get(PART) for layer in manifest["layers"]}
    pods = far.staying()
    assert [said(far, PRODUCTION, pod) for pod in pods] == [{"from the store"}] * 2


def test_a_model_can_neither_write_its_weights_nor_read_the_stores_keys(far):
    pod = far.staying()[0]["metadata"]["name"]
    told = far.rig.kubectl(*PRODUCTION, "exec", pod, "--container", "model", "--", "python", "-c", WRITES)
    assert "written" not in told
    assert len(told.splitlines()) == 4


def test_what_is_printed_for_gitops_is_what_runs_without_the_keys(far):
    text = far.clone.run("manifests", "lamp", "--stage", "production")[0]
    assert far.rig.kubectl("diff", "--filename", "-", text_in=text.replace("policy/v1", "policy/v1beta1")) == ""
    secret = (far.clone.home / "secrets" / "ceph-serving").read_text().strip().partition(":")[2]
    assert secret not in text
    assert secret not in json.dumps(far.rig.get("--all-namespaces", "deployments,pods"))


def test_a_node_fetches_them_once(far, cached):
    far.deploy("staging")
    pods = far.staying("sacristy-staging")
    assert [said(far, STAGING, pod) for pod in pods] == [{"from the cache of this node"}] * 2  # one was asked before
    assert {path.stat().st_uid for path in cached.iterdir()} == {NOBODY}
    (deployment,) = far.rig.get(*STAGING, "deployments")["items"]
    assert breaches(deployment, node_cache=str(cached)) == []


def test_a_folder_of_somebody_else_is_told(far, cached):
    shutil.chown(cached, 0, 0)
    told = far.deploy("staging", code=1)[1].splitlines()[-1]
    assert "its weights cannot be fetched: cannot write to /cache/" in told
    assert "Permission denied" in told


def test_a_page_of_the_manual_names_each_setting():
    text = (ROOT / "docs" / "how-to" / "kubernetes.md").read_text()
    assert all(f"`{name}`" in text for name in ("weights_cache", "weights_cache_gib", "store_addresses"))
