"""A server that behaves as a real controller (LTS 2.479) was seen to behave: shared/facts/jenkins.md, line by line.

It keeps jobs, a queue and builds, and takes faults from a list. A build writes its log as `lines` says and ends with
`result`; a line that is a Question waits for an answer.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
import urllib.parse
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree import ElementTree

USER, TOKEN, PASSWORD = "sacristy", "11" + "ab" * 16, "a password"
LONGEST_ADDRESS = 8192
FOLDER = "com.cloudbees.hudson.plugins.folder.Folder"
PIPELINE = "org.jenkinsci.plugins.workflow.job.WorkflowJob"
DISABLED = "org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty"
STRING = "hudson.model.StringParameterDefinition"


@dataclass
class Question:
    """An input. Jenkins capitalises its id in addresses."""

    id: str
    message: str
    parameters: tuple[str, ...] = ()
    submitters: tuple[str, ...] = ()


@dataclass
class Build:
    number: int
    queue: int
    parameters: dict[str, str]
    log: bytes = b""
    result: str | None = None
    question: Question | None = None
    answers: dict[str, str] | None = None
    aborted: bool = False


@dataclass
class Item:
    """A job or a folder."""

    kind: str
    config: str = ""
    builds: list[Build] = field(default_factory=list)

    def parameters(self):
        root = ElementTree.fromstring(re.sub(r"^<\?xml[^>]*\?>", "", self.config))
        return {each.findtext("name"): each.findtext("defaultValue") or "" for each in root.iter(STRING)}


@dataclass
class Queued:
    id: int
    job: str
    parameters: dict[str, str]
    at: float
    build: int | None = None
    cancelled: bool = False
    forgotten: bool = False


class Recorded:
    """The controller's state. `faults` are taken one for each request that matches: (method, part of path, what)."""

    def __init__(self):
        self.items: dict[str, Item] = {}
        self.queue: dict[int, Queued] = {}
        self.faults: list[tuple[str, str, object]] = []
        self.requests: list[tuple[str, str, str]] = []
        self.crumb = "crumb-1"
        self.quiet_s = 0.05
        self.whys = ["In the quiet period. Expires in 4.9 sec"]  # each is told once, the last one from then on
        self.forget = False  # queue items vanish at once when their build begins
        self.lines: list[str | Question] = ["checking", "done"]
        self.result = "SUCCESS"
        self.description = None  # of each build
        self.most_log = 1 << 30  # bytes of a log in one answer
        self.lock = threading.RLock()
        self._next = 24

    def restart(self):
        """The session's crumbs are void; what was in the queue and the builds are still there."""
        self.crumb += "+"

    def fault(self, method, path):
        with self.lock:
            for index, (wanted, part, what) in enumerate(self.faults):
                if wanted == method and part in path:
                    del self.faults[index]
                    return what
        return None

    def trigger(self, job, parameters):
        """Return (queue item, whether it is new): equal parameters in the queue are one item, as with Jenkins."""
        with self.lock:
            self.advance()
            for item in self.queue.values():
                if item.job == job and item.parameters == parameters and item.build is None and not item.cancelled:
                    return item, False
            self._next += 1
            item = self.queue[self._next] = Queued(self._next, job, parameters, time.monotonic())
            return item, True

    def advance(self):
        with self.lock:
            for item in self.queue.values():
                due = time.monotonic() - item.at > self.quiet_s
                if item.build is None and not item.cancelled and due and item.job in self.items:
                    builds = self.items[item.job].builds
                    item.build, item.forgotten = len(builds) + 1, self.forget
                    builds.append(Build(item.build, item.id, item.parameters))
                    threading.Thread(target=self._run, args=(builds[-1],), daemon=True).start()

    def _run(self, build):
        for line in self.lines:
            if isinstance(line, Question):
                build.question = line
                build.log += f"{line.message}\nProceed or Abort\n".encode()
                while build.question and not build.aborted:
                    time.sleep(0.01)
            else:
                build.log += f"{line}\n".encode()
            time.sleep(0.02)
            if build.aborted:
                break
        build.log += f"Finished: {'ABORTED' if build.aborted else self.result}\n".encode()
        build.result = "ABORTED" if build.aborted else self.result


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.server.connections.append(self.connection)

    @property
    def state(self) -> Recorded:
        return self.server.state

    def do_GET(self):
        self.handle_one("GET")

    def do_POST(self):
        self.handle_one("POST")

    def handle_one(self, method):
        size = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(size)
        path = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(path.query, keep_blank_values=True))
        self.form = dict(urllib.parse.parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))
        self.state.requests.append((method, self.path, self.body.decode("utf-8", "replace")))
        what = self.state.fault(method, self.path)
        if what == "cut before":
            return self.cut()
        if isinstance(what, float):
            time.sleep(what)
        elif isinstance(what, int):
            return self.answer(what, f"<html><body><h1>Oops {what}</h1></body></html>")
        elif isinstance(what, tuple):
            return self.answer(what[0], "", {"Location": what[1]})
        elif what == "not json":
            return self.answer(200, "<html>Please wait while Jenkins is getting ready to work</html>")
        with self.state.lock:
            self.state.advance()
            status, body, headers = self.route(method, urllib.parse.unquote(path.path).strip("/"))
        if what == "cut after":
            return self.cut()
        self.answer(status, body, headers)
        return None

    def cut(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, status, body, headers=()):
        content = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def route(self, method, path):
        if len(self.path) > LONGEST_ADDRESS:
            return 400, "Bad Message 400: URI is too long", {}
        kind = self.login()
        if kind is None:
            return 401, "<html>Invalid password/token for user</html>", {}
        if path == "crumbIssuer/api/json":
            return 200, {"crumb": self.state.crumb, "crumbRequestField": "Jenkins-Crumb"}, {}
        if method == "POST" and kind == "password" and self.headers.get("Jenkins-Crumb") != self.state.crumb:
            return 403, "<html>No valid crumb was included in the request</html>", {}
        for pattern, handle in ROUTES:
            found = re.fullmatch(pattern, path)
            if found:
                return handle(self, method, *found.groups())
        return 404, "<html>Not Found</html>", {}

    def login(self):
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        user, _, secret = base64.b64decode(given or "Og==").decode().partition(":")
        return {(USER, TOKEN): "token", (USER, PASSWORD): "password"}.get((user, secret))

    def me(self, method):
        return 200, {"id": USER}, {}

    def queue(self, method):
        waiting = [self.queued(item) for item in self.state.queue.values() if item.build is None and not item.cancelled]
        return 200, {"items": waiting}, {}

    def queue_item(self, method, number):
        item = self.state.queue.get(int(number))
        if item is None or item.forgotten:
            return 404, "<html>Not Found</html>", {}
        return 200, self.queued(item), {}

    def queued(self, item):
        why = self.state.whys.pop(0) if len(self.state.whys) > 1 else self.state.whys[0]
        facts = {"id": item.id, "why": why, "actions": actions(item.parameters)}
        if item.cancelled:
            return facts | {"cancelled": True, "why": None}
        return facts | ({"why": None, "executable": {"number": item.build}} if item.build else {})

    def create(self, method, above):
        folder = name_of(above)
        if folder and folder not in self.state.items:
            return 404, "no such folder", {}
        name = "/".join(filter(None, [folder, self.query["name"]]))
        if name in self.state.items:
            return 400, f"A job already exists with the name {name}", {"X-Error": "exists"}
        # A bogus definition class is taken silently.
        kind = FOLDER if self.form.get("mode") == FOLDER else PIPELINE
        self.state.items[name] = Item(kind, "" if kind == FOLDER else self.body.decode())
        return (302, "", {"Location": f"/job/{name}/configure"}) if kind == FOLDER else (200, "", {})

    def config(self, method, job):
        item = self.state.items.get(name_of(job))
        if item is None:
            return 404, "no such job", {}
        if method == "POST":
            item.config = self.body.decode()
        return 200, item.config.replace("version='1.0'", "version='1.1'"), {"Content-Type": "application/xml"}

    def delete(self, method, job):
        gone = self.state.items.pop(name_of(job), None)
        above = "".join(f"{each}/" for each in job.split("/")[:-2])
        return (302, "", {"Location": f"/{above}"}) if gone else (404, "", {})

    def start(self, method, job):
        name, item = name_of(job), self.state.items.get(name_of(job))
        if item is None:
            return 404, "no such job", {}
        declared = item.parameters()
        if not declared:
            return 500, "<html>java.lang.IllegalStateException: This build is not parameterized!</html>", {}
        given = {**self.query, **self.form}
        queued, made = self.state.trigger(name, {key: given.get(key, default) for key, default in declared.items()})
        # An item has no page of its own: whoever follows the 303 gets a 404.
        return 201 if made else 303, "", {"Location": f"http://{self.headers['Host']}/queue/item/{queued.id}/"}

    def info(self, method, job):
        item = self.state.items.get(name_of(job))
        if item is None:
            return 404, "no such job", {}
        inside = [name for name in self.state.items if name.rpartition("/")[0] == name_of(job)]
        jobs = [self.job_facts(name, self.state.items[name]) for name in inside]
        builds = [build_facts(build) for build in reversed(item.builds)]
        declared = [{"name": name} for name in item.parameters()] if item.config else []
        properties = [{"_class": DISABLED}, {"parameterDefinitions": declared}] if declared else []
        return 200, {"_class": item.kind, "jobs": jobs, "builds": builds, "name": job, "property": properties}, {}

    def job_facts(self, name, item):
        last = (
            build_facts(item.builds[-1])
            | {"url": f"http://jenkins/{item.builds[-1].number}/", "description": self.state.description}
            if item.builds
            else None
        )
        return {"name": name.rpartition("/")[2], "_class": item.kind, "lastBuild": last}

    def build(self, method, job, number):
        found = self.find(job, number)
        return (200, build_facts(found) | {"url": f"http://jenkins/{job}/{number}/"}, {}) if found else (404, "", {})

    def log(self, method, job, number):
        found = self.find(job, number)
        if found is None:
            return 404, "", {}
        start = int(self.query.get("start", 0))
        start = 0 if start > len(found.log) else start  # text that was rolled over is sent from its beginning
        content = found.log[start : start + self.state.most_log]
        more = {"X-More-Data": "true"} if found.result is None or start + len(content) < len(found.log) else {}
        return 200, content, {"X-Text-Size": str(start + len(content))} | more

    def pending(self, method, job, number):
        found = self.find(job, number)
        if found is None:
            return 404, "", {}
        asked = found.question
        if not asked:
            return 200, [], {}
        inputs = [{"name": name, "type": "StringParameterDefinition"} for name in asked.parameters]
        return 200, [{"id": asked.id.capitalize(), "message": asked.message, "inputs": inputs}], {}

    def submit(self, method, job, number):
        found = self.find(job, number)
        asked = found.question if found else None
        if not asked or self.query.get("inputId") != asked.id.capitalize():
            return 404, "", {}
        if asked.submitters and USER not in asked.submitters:
            return 400, "You need to be ops to submit this.", {}
        found.answers = {each["name"]: each["value"] for each in json.loads(self.form["json"])["parameter"]}
        found.question = None
        return 200, "", {}

    def refuse(self, method, job, number, which):
        found = self.find(job, number)
        if not found or not found.question or which != found.question.id.capitalize():
            return 404, "", {}
        found.aborted = True
        return 200, "", {}

    def stop(self, method, job, number):
        found = self.find(job, number)
        if found is None:
            return 404, "", {}
        found.aborted = True
        return 302, "", {"Location": f"/{job}/{number}/"}

    def find(self, job, number):
        item = self.state.items.get(name_of(job))
        return next((build for build in item.builds if build.number == int(number)), None) if item else None


ROUTES = [
    (r"me/api/json", Handler.me),
    (r"queue/api/json", Handler.queue),
    (r"queue/item/(\d+)/api/json", Handler.queue_item),
    (r"(?:(job/.*)/)?createItem", Handler.create),
    (r"(job/.*)/config.xml", Handler.config),
    (r"(job/.*)/doDelete", Handler.delete),
    (r"(job/.*)/buildWithParameters", Handler.start),
    (r"(job/.*)/(\d+)/api/json", Handler.build),
    (r"(job/.*)/(\d+)/logText/progressiveText", Handler.log),
    (r"(job/.*)/(\d+)/wfapi/pendingInputActions", Handler.pending),
    (r"(job/.*)/(\d+)/wfapi/inputSubmit", Handler.submit),
    (r"(job/.*)/(\d+)/input/([^/]+)/abort", Handler.refuse),
    (r"(job/.*)/(\d+)/stop", Handler.stop),
    (r"(job/.*)/api/json", Handler.info),
]


def name_of(path):
    return "/".join((path or "").split("/")[1::2])


def actions(parameters):
    pairs = [{"name": name, "value": value} for name, value in parameters.items()]
    return [{"causes": []}, {}, {"_class": "hudson.model.ParametersAction", "parameters": pairs}]


def build_facts(build):
    facts = {"number": build.number, "queueId": build.queue, "result": build.result}
    return facts | {"building": build.result is None, "actions": actions(build.parameters)}


class Quiet(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that gave up is what some tests are about."""


class Controller:
    """The server: `stop` and `start` it on the same port as often as the test needs."""

    def __init__(self):
        self.state, self._server, self._port = Recorded(), None, 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}"

    def start(self):
        self._server = Quiet(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._server.state, self._port = self.state, self._server.server_address[1]
        self._server.connections = []
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        for connection in self._server.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.state.restart()

    @contextmanager
    def away(self):
        self.stop()
        try:
            yield
        finally:
            self.start()
