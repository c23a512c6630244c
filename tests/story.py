"""What the stories are told with: a clone of this repository driven by the `sacristy` command, and a steady load."""

import json
import os
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
SACRISTY = Path(sys.executable).with_name("sacristy")


class Clone:
    """A checkout and its home folder."""

    def __init__(self, folder, home):
        self.folder, self.home = folder, home
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SACRISTY_")}
        environments = os.environ.get("SACRISTY_ENVIRONMENTS", str(ROOT / ".sacristy" / "environments"))
        self.environment = kept | {
            "SACRISTY_PROJECT": str(folder),
            "SACRISTY_HOME": str(home),
            "SACRISTY_ENVIRONMENTS": environments,
            "PYTHONPATH": str(folder),
        }

    @classmethod
    def made(cls, folder):
        """Clone what is committed here into a folder, with a home of its own."""
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        return cls(folder, folder / ".sacristy")

    def run(self, *words, code=0, text_in=None, timeout=280):
        """Run the command, which must end with `code`; return (standard output, standard error)."""
        argv = [str(SACRISTY), *words]
        done = subprocess.run(
            argv, cwd=self.folder, env=self.environment, input=text_in, capture_output=True, text=True, timeout=timeout
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout, done.stderr

    def json(self, *words, **options):
        """Run the command with --json and return what it printed."""
        return json.loads(self.run(*words, "--json", **options)[0])

    @property
    def token(self):
        """What an application shows the gateway of this clone's stack."""
        return (self.home / "secrets" / "gateway-application").read_text()

    def git(self, *words):
        """Run git in the checkout."""
        author = ["-c", "user.name=e2e", "-c", "user.email=e2e@example.org"]
        subprocess.run(["git", *author, *words], cwd=self.folder, check=True, capture_output=True)

    def commit(self, path, text):
        """Write a file and commit it."""
        (self.folder / path).write_text(text)
        self.git("add", path)
        self.git("commit", "-m", f"change {path}")


class Load:
    """Somebody who keeps asking, and remembers each answer's version, or why there was none."""

    pause_s = 0.03

    def __init__(self, url, body, token=""):
        self.url, self.body, self.token = url, body, token
        self.versions, self.failures = [], []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._loop) for _ in range(2)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _loop(self):
        while not self._stop.wait(self.pause_s):
            try:
                self.versions.append(self._version())
            except OSError as error:
                self.failures.append(str(error))

    def _version(self):
        """Ask once; return the answer's version, or raise OSError."""
        return ask(self.url, self.body, self.token)["version"]


def ask(url, body, token=""):
    """Post a JSON body and return the JSON answer; an OSError for anything but 200. The gateway wants a token."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())
