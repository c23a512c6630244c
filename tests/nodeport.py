"""A load through a NodePort, which knows a request that was sent to nobody from one that a model has lost."""

import json
import re
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from story import Load

TABLE = Path("/proc/net/nf_conntrack")
PATIENCE_S = 10


class NodePortLoad(Load):
    """Asks through a NodePort.

    The kube-proxy of the rig's release holds each NodePort with a listener that never answers. Now and then, when a
    pod elsewhere goes (3 of 2,700 connections were seen), one connection gets past the rules and meets that listener:
    the kernel's table of connections then shows it untranslated. No model can have lost it; it is counted as `astray`
    and asked again. What timed out and was translated is a failure.
    """

    def __init__(self, *words):
        super().__init__(*words)
        self.astray = 0
        self._place = urlsplit(self.url)

    def _version(self):
        while True:
            connection = HTTPConnection(self._place.hostname, self._place.port, timeout=PATIENCE_S)
            try:
                return self._ask(connection)
            except TimeoutError:
                if not is_untranslated(connection.sock, self._place.port):
                    raise
                self.astray += 1
            except HTTPException as error:
                raise OSError(f"no whole answer: {error!r}") from None
            finally:
                connection.close()

    def _ask(self, connection):
        headers = {"Content-Type": "application/json"}
        connection.request("POST", self._place.path, json.dumps(self.body), headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise OSError(f"{answer.status}: {content[:200]!r}")
        return json.loads(content)["version"]


def is_untranslated(sock, port):
    """Say whether the kernel took a connection for one to this machine itself."""
    own = sock.getsockname()[1] if sock else 0
    answers = rf"src=(\S+) dst=\1 sport={port} dport={own}\b"
    return TABLE.is_file() and any(re.search(answers, line) for line in TABLE.read_text().splitlines())
