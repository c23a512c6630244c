"""What was asked and answered well, and then cannot be put in its place: it is the one to go, if it serves nobody."""

from types import SimpleNamespace

import pytest

from sacristy.errors import ClusterRefused
from sacristy.names import Stage, Version
from sacristy.operator.bringup import Clock
from sacristy.operator.deployment import Deployment, _settle
from sacristy.targets.routes import Route
from sacristy.targets.target import Image

IMAGE = Image("news", Version(42), 42, "sha256:" + "a" * 64)
ASKED = Route("http://x", "42", IMAGE.digest, 42, "kubernetes", "news-production-1f.0123abcd")


@pytest.mark.parametrize(("in_use", "stopped"), [(False, [ASKED.instance]), (True, [])])
def test_where_the_cluster_refuses_the_pod_that_was_asked_goes_unless_users_are_sent_to_it(in_use, stopped):
    gone = []

    def settle(*_, **__):
        raise ClusterRefused(server="there", status=403, reason="no")

    yard = SimpleNamespace(target=SimpleNamespace(settle=settle, stop=gone.append))
    deployment = Deployment(IMAGE, Stage.PRODUCTION, changed=True, url="")
    with pytest.raises(ClusterRefused):
        _settle(yard, deployment, ASKED, None, Clock({}), in_use=in_use)
    assert gone == stopped
