import subprocess

import pytest
from services.automation.recorded import TOKEN, USER, Controller

from sacristy.automation.client import Client
from sacristy.settings import Settings

MODEL = """title = "News <&> views"
[gates]
metric = "accuracy"
minimum = 0.9
[jenkins]
schedule = "H 3 * * 1"
"""


@pytest.fixture
def controller():
    made = Controller()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def jenkins(controller):
    return client_for(controller)


def client_for(controller, secret=TOKEN, timeout_s=0.6, patience_s=1.5):
    """A client whose pauses are short."""
    made = Client(controller.url, USER, secret, timeout_s=timeout_s, patience_s=patience_s)
    pause = made.sleep
    made.sleep = lambda seconds: pause(min(seconds, 0.03))
    return made


@pytest.fixture
def shop(tmp_path, controller):
    """A project with two models, and its settings for the controller."""
    folder = tmp_path / "shop"
    for name in ("news", "digits"):
        (folder / "models" / name).mkdir(parents=True)
        (folder / "models" / name / "model.toml").write_text(MODEL)
    (folder / "Pipfile").touch()
    subprocess.run(["git", "init", "--quiet", "-b", "main", str(folder)], check=True)
    return Settings(
        project=folder,
        home=tmp_path / "home",
        jenkins_url=controller.url,
        jenkins_user=USER,
        jenkins_token=TOKEN,
        repository="git://127.0.0.1/shop",
    )
