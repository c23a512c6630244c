"""The published table of routes: whoever begins to act takes it over, unless its own is the newer one."""

import json

import pytest

from sacristy.targets.kubernetes.publishing import KEY, Publisher

BEFORE, AFTER, THEIRS = (json.dumps({"models": {name: {}}}) for name in ("before", "after", "theirs"))


class Maps:
    """A cluster that has one ConfigMap."""

    text = ""

    def get(self, *_):
        return {"data": {KEY: self.text}} if self.text else None

    def apply(self, made):
        self.text = made["data"][KEY]


@pytest.fixture
def parts(tmp_path):
    cluster, file = Maps(), tmp_path / "routes.json"
    return Publisher(cluster, "sacristy/routes", file), cluster, file


def test_the_first_turn_takes_over_what_was_published_before(parts):
    publisher, cluster, file = parts
    file.write_text(BEFORE)
    cluster.text = THEIRS
    publisher.begin()
    publisher.publish()
    assert (file.read_text(), cluster.text) == (THEIRS, THEIRS)


def test_what_changed_here_before_a_lease_ran_out_is_not_undone_where_nobody_acted_meanwhile(parts):
    publisher, cluster, file = parts
    file.write_text(BEFORE)
    publisher.publish()
    file.write_text(AFTER)  # a canary was withdrawn, and before that was published the database was away
    publisher.begin()
    publisher.publish()
    assert (file.read_text(), cluster.text) == (AFTER, AFTER)


def test_what_somebody_else_published_meanwhile_is_taken_over(parts):
    publisher, cluster, file = parts
    file.write_text(BEFORE)
    publisher.publish()
    file.write_text(AFTER)
    cluster.text = THEIRS
    publisher.begin()
    assert file.read_text() == THEIRS
