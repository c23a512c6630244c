from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials

from sacristy.connections import Connections
from sacristy.s3 import Signer
from sacristy.weights.s3_direct import Direct
from sacristy.weights.s3_upload import AT_ONCE, ROOM, at_once

NOW = datetime(2026, 11, 21, 12, 30, 1, tzinfo=UTC)
HOST = "127.0.0.1:7480"


@pytest.mark.parametrize("token", [None, "temporary"])
@pytest.mark.parametrize("target", ["/weights/blobs/sha256/ab", "/weights/a%20b?partNumber=3&uploadId=2~x%2F"])
def test_a_signature_is_botocores(monkeypatch, token, target):
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)
    keys = ReadOnlyCredentials("ACCESS", "secret", token)
    theirs = AWSRequest("PUT", f"https://{HOST}{target}", data=b"content")
    S3SigV4Auth(keys, "s3", "default").add_auth(theirs)
    digest = theirs.headers["X-Amz-Content-SHA256"]
    ours = Signer("default", HOST).headers(keys, NOW, "PUT", target, digest)
    assert ours["authorization"] == theirs.headers["Authorization"]


def test_a_new_day_and_a_new_secret_are_signed_with_a_new_key():
    signer = Signer("default", HOST)
    keys, others = (ReadOnlyCredentials("ACCESS", secret, None) for secret in ("one", "two"))
    tomorrow = NOW.replace(day=22)
    asked = [(keys, NOW), (others, NOW), (keys, tomorrow), (keys, NOW)]
    first, *_, last = found = [signer.headers(who, at, "GET", "/")["authorization"] for who, at in asked]
    assert first == last
    assert len(set(found)) == 3


@pytest.fixture
def direct(told, monkeypatch):
    """Return a function that gives the direct way to a bucket where every request is answered so."""

    def direct(*answers, proxy=None):
        waiting = iter(answers)
        monkeypatch.setattr(Connections, "_open", lambda _: told(next(waiting))._socket)
        session = SimpleNamespace(_proxy_config=SimpleNamespace(proxy_url_for=lambda _: proxy), _verify=True)
        keys = Credentials("ACCESS", "secret")
        return Direct(
            SimpleNamespace(
                meta=SimpleNamespace(endpoint_url=f"http://{HOST}", region_name="default", config=Config()),
                _endpoint=SimpleNamespace(http_session=session),
                _request_signer=SimpleNamespace(_credentials=keys),
            ),
            "weights",
        )

    return direct


def test_a_range_comes_with_the_size_of_all(direct):
    answer = b"HTTP/1.1 206 P\r\nContent-Length: 3\r\nContent-Range: bytes 4-6/9\r\n\r\nabc"
    view, total = direct(answer).get_range("key", 4, 3, None)
    assert (bytes(view), total) == (b"abc", 9)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 206 P\r\nContent-Length: 3\r\nContent-Range: bytes 0-2/9\r\n\r\nabc",
        b"HTTP/1.1 206 P\r\nContent-Length: 4\r\nContent-Range: bytes 4-7/9\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n",
        b"",
    ],
    ids=["another place", "too much", "no range", "busy", "broken off"],
)
def test_what_is_not_the_range_is_left_to_boto3(direct, answer):
    assert direct(answer).get_range("key", 4, 3, None) is None


def test_a_connection_that_ended_while_it_was_idle_is_not_used_again(direct):
    stored = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    way = direct(stored, stored)
    assert [way.put("key", b"a", "0" * 64) for _ in range(2)] == [True, True]


def test_a_part_without_a_tag_is_left_to_boto3(direct):
    assert direct(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").put_part("k", "u", 1, memoryview(b"a")) is None


def test_where_a_proxy_is_set_boto3_is_left_to_it(direct):
    assert direct(proxy="http://proxy:3128").get("key") is None


@pytest.mark.parametrize(("mib", "parts"), [(8, AT_ONCE), (16, 6), (32, 2), (56, 1), (500, 1)])
def test_fewer_parts_travel_where_they_are_larger(mib, parts):
    assert at_once(mib << 20) == parts
    assert mib > 56 or (parts + 1) * (mib << 20) <= ROOM
