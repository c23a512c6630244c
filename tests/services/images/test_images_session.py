"""The session against a server that answers as a script says: faults and tokens that a good registry never gives."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sacristy.errors import BlobDamaged, RegistryAway, RegistryRefused
from sacristy.images import session
from sacristy.images.http import HttpRegistry
from sacristy.images.manifest import digest_of
from sacristy.images.registry import Access
from sacristy.images.session import wait_s


class Script(ThreadingHTTPServer):
    """Answers in order: (status, headers, body). The last one is repeated. `seen` keeps the requests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.seen = [], []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def next(self, request):
        self.seen.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        status, headers, body = self.server.next((self.command, self.path, self.headers.get("Authorization")))
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

    def log_message(self, *_arguments):
        """Say nothing."""


@pytest.fixture
def script(monkeypatch):
    monkeypatch.setattr(session, "FIRST_WAIT_S", 0.001)
    with Script() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def registry(script):
    registry = HttpRegistry(script.url, Access("ci", "secret"))
    yield registry
    registry.close()


EMPTY = (200, {}, b'{"tags": []}')


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_fault_that_passes_is_waited_out(script, registry, status):
    script.answers = [(status, {"Retry-After": "0"}, b""), (status, {}, b""), EMPTY]
    assert registry.tags("toy") == {}
    assert len(script.seen) == 3


def test_a_fault_that_stays_is_one_error(script, registry):
    script.answers = [(503, {}, b"")]
    with pytest.raises(RegistryAway, match="503"):
        registry.tags("toy")
    assert len(script.seen) == session.ATTEMPTS


def test_a_refusal_is_not_repeated_and_gives_its_reason(script, registry):
    script.answers = [(403, {}, json.dumps({"errors": [{"code": "DENIED", "message": "not yours"}]}).encode())]
    with pytest.raises(RegistryRefused, match="403: DENIED: not yours"):
        registry.tags("toy")
    assert len(script.seen) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"tags": 3}'])
def test_garbage_is_one_error(script, registry, body):
    script.answers = [(200, {}, body)]
    with pytest.raises(RegistryRefused, match="no list"):
        registry.tags("toy")


@pytest.mark.parametrize("missing", ["Content-Type", "Docker-Content-Digest"])
def test_an_answer_that_says_nothing_of_a_manifest_is_one_error(script, registry, missing):
    said = {"Content-Type": "text/html", "Docker-Content-Digest": digest_of(b"abc")}
    del said[missing]
    script.answers = [(200, said, b"<html>")]
    with pytest.raises(RegistryRefused, match=f"gives no {missing}"):
        registry.stages("toy")


@pytest.mark.parametrize("where", ["/v2/toy/tags/list", "https://hub.example.org/v2/toy/tags/list", ""])
def test_a_list_in_pages_is_read_to_its_end_however_the_next_one_is_named(script, registry, where):
    said = {"Content-Type": "json", "Docker-Content-Digest": digest_of(b"abc")}
    first = (200, {"Link": f'<{where}?last=7&n=1>; rel="next"'}, b'{"tags": ["7"]}')
    script.answers = [first, (200, {}, b'{"tags": ["8"]}'), (200, said, b"")]
    assert list(registry.tags("toy")) == ["7", "8"]
    assert script.seen[1][1] == "/v2/toy/tags/list?last=7&n=1"


def test_a_list_that_goes_on_elsewhere_is_refused_and_not_cut_off(script, registry):
    script.answers = [(200, {"Link": '</other?last=7>; rel="next"'}, b'{"tags": ["7"]}')]
    with pytest.raises(RegistryRefused, match="goes on at /other"):
        registry.tags("toy")


def test_a_token_is_fetched_once_with_the_password_and_used(script, registry):
    demand = {"WWW-Authenticate": f'Bearer realm="{script.url}/token",service="r",scope="repository:toy:pull"'}
    script.answers = [(401, demand, b""), (200, {}, b'{"token": "t1"}'), EMPTY]
    registry.tags("toy")
    registry.tags("toy")
    paths = [(path.split("?")[0], auth.split()[0] if auth else None) for _, path, auth in script.seen]
    listing = "/v2/toy/tags/list"
    assert paths == [(listing, None), ("/token", "Basic"), (listing, "Bearer"), (listing, "Bearer")]
    assert "scope=repository%3Atoy%3Apull" in script.seen[1][1]


@pytest.mark.parametrize("realm", ["http://169.254.169.254/latest", "file:///etc/passwd", ""])
def test_the_password_is_not_sent_where_a_registry_likes(script, registry, realm):
    script.answers = [(401, {"WWW-Authenticate": f'Bearer realm="{realm}"'}, b"")]
    with pytest.raises(RegistryRefused, match="for a token"):
        registry.tags("toy")


def test_uploads_are_not_sent_to_another_host(script, registry):
    script.answers = [(404, {}, b""), (202, {"Location": "http://169.254.169.254/upload"}, b"")]
    with pytest.raises(RegistryRefused, match="sends uploads to"):
        registry.put_blob("toy", digest_of(b"abc"), b"abc")


LOST = [(404, {}, b""), (202, {"Location": "/v2/toy/blobs/uploads/1"}, b""), (502, {}, b""), (404, {}, b"")]


def test_a_blob_whose_last_answer_was_lost_has_arrived(script, registry):
    script.answers = [*LOST, (200, {}, b"")]
    assert registry.put_blob("toy", digest_of(b""), b"")
    assert [method for method, _, _ in script.seen] == ["HEAD", "POST", "PUT", "PUT", "HEAD"]


def test_an_upload_that_is_not_known_and_left_nothing_is_refused(script, registry):
    script.answers = [*LOST, (404, {}, b"")]
    with pytest.raises(RegistryRefused, match="404"):
        registry.put_blob("toy", digest_of(b""), b"")


def test_other_bytes_than_the_digest_says_are_refused(script, registry):
    script.answers = [(200, {}, b"abd")]
    with registry.open_blob("toy", digest_of(b"abc")) as source, pytest.raises(BlobDamaged):
        source.read()
    with pytest.raises(BlobDamaged):
        registry.read_manifest("toy", digest_of(b"abc"))


def test_a_blob_that_lies_elsewhere_is_found_and_read_there_without_our_password(script, registry):
    basic = (401, {"WWW-Authenticate": "Basic realm=r"}, b"")
    away = (307, {"Location": script.url.replace("127.0.0.1", "localhost") + "/bucket/key"}, b"")
    script.answers = [basic, away, (200, {}, b"abc"), away, (200, {}, b"abc"), away, (200, {}, b"abc")]
    assert registry.has_blob("toy", digest_of(b"abc"))
    with registry.open_blob("toy", digest_of(b"abc")) as source:
        assert source.read() == b"abc"
    assert {sent for _, path, sent in script.seen if path == "/bucket/key"} == {None}


def test_waits_grow_and_are_bounded():
    assert all(wait_s(attempt) <= session.LONGEST_WAIT_S for attempt in range(20))
    assert wait_s(0) < wait_s(5)
    assert wait_s(0, "3") == 3
    assert wait_s(0, "100000") == session.LONGEST_WAIT_S
