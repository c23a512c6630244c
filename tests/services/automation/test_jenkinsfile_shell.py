"""What reaches a shell from a Jenkinsfile: the steps are really run, with canaries for parameters and a recorder."""

import subprocess

import pytest
import typer.main
from services.automation.jenkinsfiles import FILES, ROOT, shell_steps

from sacristy.cli.main import app

STEPS = [(name, text) for name in FILES for text in shell_steps(name)]
TOUCH = "touch pwned"
CANARIES = [
    f"$({TOUCH})",
    f"`{TOUCH}`",
    f"; {TOUCH} #",
    f"' ; {TOUCH} ; '",
    f'" ; {TOUCH} ; "',
    f"&& {TOUCH}",
    f"| {TOUCH}",
    f"a\n{TOUCH}\n",
    "two words",
    "*",
    "${IFS}x",
    "\\",
    "Grüße 😀",
    "--help",
]
FROM_OUTSIDE = (
    *("MODEL", "RUN", "WHY", "IMAGE", "STAGE", "REASON", "APPROVER"),
    *("VERSION", "TRAINED_RUN", "COMPARED", "JOB_BASE_NAME"),
)
SOUND = {
    "MODEL": "news",
    "RUN": "7",
    "WHY": "it is better",
    "IMAGE": f"news@sha256:{'a' * 64}",
    "COMPARED": f"news@sha256:{'a' * 64}",
    "STAGE": "staging",
    "REASON": "looked at",
    "APPROVER": "olga",
    "VERSION": "news:7",
}
JENKINS_OWN = {"BUILD_URL": "http://jenkins/1/", "BUILD_TAG": "jenkins-news-1", "GIT_PREVIOUS_SUCCESSFUL_COMMIT": "abc"}
RECORDER = '#!/bin/sh\nprintf "%s\\0" "$#" "$@" >> "$RECORDED"\n'


def run(text, folder, **given):
    """Run a step as Jenkins does, and return the argument lists that `sacristy` got."""
    tool = folder / "jenkins" / "sacristy"
    tool.parent.mkdir()
    tool.write_text(RECORDER)
    tool.chmod(0o755)
    recorded = folder / "recorded"
    environment = {"PATH": "/usr/bin:/bin", "RECORDED": str(recorded), **JENKINS_OWN, **given}
    subprocess.run(["sh", "-xe", "-c", text], cwd=folder, env=environment, check=True, capture_output=True, timeout=30)
    words = recorded.read_text().split("\0")[:-1]
    calls = []
    while words:
        count = int(words.pop(0))
        calls.append([words.pop(0) for _ in range(count)])
    return calls


def test_there_are_steps_to_be_tested():
    assert len(STEPS) >= 15
    assert None not in [text for _, text in STEPS]


@pytest.mark.parametrize(("name", "text"), STEPS)
def test_each_step_is_one_command_that_our_command_line_has(tmp_path, name, text):
    (call,) = run(text, tmp_path, **SOUND)
    command, words = typer.main.get_command(app), call
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    given = command.make_context(command.name, list(words)).params
    assert "news" in str(given)


@pytest.mark.parametrize(("name", "text"), STEPS)
def test_what_is_given_arrives_as_one_word_and_runs_nothing(tmp_path, name, text):
    plain = run(text, make(tmp_path / "plain"), **dict.fromkeys(FROM_OUTSIDE, "x"))
    for number, canary in enumerate(CANARIES):
        folder = make(tmp_path / str(number))
        (call,) = run(text, folder, **dict.fromkeys(FROM_OUTSIDE, canary))
        assert len(call) == len(plain[0])
        for before, after in zip(plain[0], call, strict=True):
            assert after in (before, canary)
        assert all(call.index(word) > call.index("--") for word in call if word == canary and is_positional(call, word))
        assert not (folder / "pwned").exists()


def is_positional(call, word):
    """Say whether a word stands at its first place without an option before it."""
    return not call[call.index(word) - 1].startswith("--") or call[call.index(word) - 1] == "--"


def make(folder):
    folder.mkdir()
    return folder


def test_the_promote_job_promotes_the_very_image_that_was_compared(tmp_path):
    (text,) = (text for name, text in STEPS if name.endswith("promote.Jenkinsfile") and " promote " in text)
    (call,) = run(text, tmp_path, **SOUND | {"IMAGE": "news:staging"})
    assert call[-2:] == [SOUND["COMPARED"], "staging"]


def test_every_parameter_is_used_somewhere():
    used = " ".join(text for _, text in STEPS)
    assert all(f"${name}" in used or f"{{{name}" in used for name in FROM_OUTSIDE)


def test_the_tool_of_the_checkout_is_there_and_can_be_run():
    path = ROOT / "jenkins" / "sacristy"
    assert path.stat().st_mode & 0o111 == 0o111
    assert path.read_text().startswith("#!/bin/sh\n")
