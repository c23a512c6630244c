"""compose/omniboard/serve.js on real node, with a stand-in for the published server that tells what reaches it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sacristy.stack.ports import free_port

GUARD = Path(__file__).parents[3] / "compose" / "omniboard" / "serve.js"
STAND_IN = """
const http = require("http");
const told = (request, response) =>
  response.end(JSON.stringify({ method: request.headers["x-http-method-override"] || request.method }));
http.createServer(told).listen(0, () => {
  const [method, path, headers] = JSON.parse(process.env.ASK);
  const asked = http.request({ host: "127.0.0.1", port: process.env.PORT, method, path, headers }, (answer) => {
    let text = "";
    answer.on("data", (part) => (text += part));
    answer.on("end", () => {
      console.log(JSON.stringify({ headers: answer.headers, ...JSON.parse(text) }));
      process.exit(0);
    });
  });
  asked.end();
});
"""


@pytest.fixture
def ask(tmp_path):
    """Return what asks the guard, and returns the answer's headers and the method that reached the server."""
    if not shutil.which("node"):
        pytest.skip("node is not installed: apt-get install nodejs")
    (tmp_path / "dist").mkdir()
    shutil.copyfile(GUARD, tmp_path / "serve.js")
    (tmp_path / "dist" / "index.js").write_text(STAND_IN)

    def ask(method, path, headers=None):
        environment = os.environ | {"PORT": str(free_port()), "ASK": json.dumps([method, path, headers or {}])}
        command = ["node", str(tmp_path / "serve.js")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=True)
        return json.loads(done.stdout)

    return ask


@pytest.mark.parametrize("path", ["/sacristy/api/v1/files/preview/1/a.html", "/sacristy/api/v1/Files/PREVIEW/1/a.html"])
def test_a_preview_is_sandboxed_however_its_path_is_written(ask, path):
    assert ask("GET", path)["headers"]["content-security-policy"].startswith("sandbox")


def test_a_post_is_not_taken_for_the_delete_that_its_header_names(ask):
    assert ask("POST", "/sacristy/api/v1/Runs/1", {"X-HTTP-Method-Override": "DELETE"})["method"] == "POST"
