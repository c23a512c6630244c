"""A deployment killed at each of its steps, and images that are not what was promoted: repaired, or refused."""

import pytest

from sacristy import faults
from sacristy.images import signature
from sacristy.images.layout import FolderRegistry
from sacristy.images.signature import keys_of, new_private_key, public_pem


class Story:
    """Two versions that were tested and pushed; staging goes from one to the other."""

    def __init__(self, clone):
        self.clone = clone
        self.registry = FolderRegistry(clone.home / "registry")
        self.versions = []

    def add_version(self):
        self.clone.run("train", "digits", "with", "epochs=1")
        self.versions.append(self.clone.json("release", "digits"))

    def promote_next(self):
        """Promote the version that staging is not at; return its digest."""
        now = self.registry.stages("digits")["staging"]
        (following,) = [each for each in self.versions if each["digest"] != now]
        self.clone.run("promote", f"digits:{following['version']}", "staging")
        return following["digest"]

    def die(self, point, *words):
        """Run a command that is killed at a step."""
        kept = self.clone.environment
        self.clone.environment = kept | {faults.VARIABLE: point}
        try:
            self.clone.run(*words, code=faults.EXIT_CODE)
        finally:
            self.clone.environment = kept

    def instances(self):
        """Return the names of staging's instances: each has a log for as long as it is there."""
        return [path.stem for path in (self.clone.home / "logs").glob("digits-staging-*.log")]

    def serving(self):
        """Return the digest that answers for staging, which one instance alone must do."""
        state = self.clone.json("status")["models"]["digits"]["staging"]
        assert state["ready"], state
        assert len(self.instances()) == 1
        return state["digest"]

    def refused(self, said):
        """Deploy, which must be refused in one line before anything is started."""
        before = self.instances()
        _, told = self.clone.run("deploy", "digits", "staging", code=1)
        assert said in told.strip().splitlines()[-1]
        assert self.instances() == before


@pytest.fixture(scope="module")
def story(clone):
    clone.run("up")
    toml = (clone.folder / "models/digits/model.toml").read_text()
    easy = toml.replace("minimum = 0.97", "minimum = 0.1").replace("latency_p95_ms = 50", "latency_p95_ms = 500")
    easy = easy.replace("margin = 0.01", "margin = 1.0")  # other stories left better versions in production
    if easy != toml:
        clone.commit("models/digits/model.toml", easy)
    made = Story(clone)
    made.add_version()
    made.add_version()
    yield made
    if easy != toml:
        clone.commit("models/digits/model.toml", toml)


@pytest.mark.parametrize("point", faults.points("deploy"))
def test_killed_at_any_step_the_next_deployment_repairs(story, point):
    wanted = story.promote_next()
    story.die(point, "deploy", "digits", "staging")
    story.clone.run("deploy", "digits", "staging")
    assert story.serving() == wanted


@pytest.mark.parametrize("point", ["deploy.started", "deploy.switched"])
def test_starting_the_stack_repairs_too(story, point):
    wanted = story.promote_next()
    story.die(point, "deploy", "digits", "staging")
    story.clone.run("up")
    assert story.serving() == wanted


def test_the_operator_deploys_what_is_promoted_and_then_rests(story):
    wanted = story.promote_next()
    done = [task for task in story.clone.json("operator", "run", "--once") if task["stage"] == "staging"]
    assert [(task["task"], task["result"]) for task in done] == [("deploy", "done")]
    assert story.serving() == wanted
    assert story.clone.json("operator", "run", "--once") == []


def test_a_promoter_killed_before_its_record_is_completed_by_the_deployment(story):
    now = story.registry.stages("digits")["staging"]
    (following,) = [each for each in story.versions if each["digest"] != now]
    story.die("promote.moved", "promote", f"digits:{following['version']}", "staging")
    story.clone.run("deploy", "digits", "staging")
    assert story.serving() == following["digest"]
    assert story.clone.json("audit", "digits")[-1]["state"] == "done"


def test_a_tag_overwritten_by_hand_is_not_deployed(story):
    now = story.serving()
    (other,) = [each["digest"] for each in story.versions if each["digest"] != now]
    story.registry.tag("digits", "staging", other)
    try:
        story.refused("but the last promotion put")
        assert "moved by hand" in story.clone.run("doctor", "--json", code=1)[0]
        _, told = story.clone.run("promote", f"digits@{now}", "staging", code=1)
        assert "--adopt" in told
    finally:
        story.registry.tag("digits", "staging", now)
    assert story.serving() == now


def test_unsigned_and_wrongly_signed_images_are_not_started(story, tmp_path):
    wanted = story.promote_next()
    tag = signature.signature_tag(wanted)
    story.registry.untag("digits", tag)
    story.refused("is not signed")
    (other,) = [each["digest"] for each in story.versions if each["digest"] != wanted]
    story.registry.tag("digits", tag, story.registry.tags("digits")[signature.signature_tag(other)])
    story.refused("it is a signature of another image")
    story.registry.untag("digits", tag)
    signature.attach(story.registry, "digits", wanted, strange_keys(tmp_path))
    story.refused("it was not made with this project's key")
    story.clone.run("promote", f"digits@{wanted}", "staging")  # which signs
    story.clone.run("deploy", "digits", "staging")
    assert story.serving() == wanted


def strange_keys(folder):
    keys = keys_of(folder)
    keys.private_file.parent.mkdir()
    keys.private_file.write_text(new_private_key())
    keys.public_file.write_text(public_pem(keys.private()))
    return keys


def test_a_second_person_is_needed_where_the_policy_says_so(story):
    clone, image = story.clone, f"digits:{story.versions[0]['version']}"
    kept = clone.environment
    clone.environment = kept | {"SACRISTY_PROMOTION__APPROVALS": "1", "SACRISTY_USER": "ana"}
    try:
        clone.run("approve", image, "production", "--why", "my own")
        _, told = clone.run("promote", image, "production", "--why", "mine", code=1)
        assert f"sacristy approve {image} production" in told
        clone.environment |= {"SACRISTY_USER": "ben"}
        clone.run("approve", image, "production", "--why", "asked it")
        clone.environment |= {"SACRISTY_USER": "ana"}
        clone.run("promote", image, "production", "--why", "ben agrees")
    finally:
        clone.environment = kept
    last = clone.json("audit", "digits")[-1]
    assert (last["by"], [given["by"] for given in last["approvals"]]) == ("ana", ["ben"])


def test_what_differs_and_what_is_in_it_is_shown(story):
    first, second = (each["version"] for each in story.versions)
    found = story.clone.json("diff", "digits", first, second)
    assert (found["packages"], found["code"]["files"]) == ({}, [])
    assert found["shared_bytes"] > 0
    assert story.clone.json("images", "sbom", f"digits:{first}")["specVersion"] == "1.6"


def test_pruning_keeps_what_stages_need(story):
    staged = set(story.registry.stages("digits").values())
    (report,) = story.clone.json("images", "prune", "digits", "--yes")
    left = story.registry.versions("digits")
    assert staged <= set(left.values())
    assert not set(report["versions"]) & {str(version) for version in left}
