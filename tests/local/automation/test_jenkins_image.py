"""The controller's files agree with each other: every symbol, step and class has its plugin, every secret its check."""

import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from sacristy.automation import config
from sacristy.automation.jobs import promote_job
from sacristy.automation.sync import FOLDER_CLASS
from sacristy.settings import Settings

ROOT = Path(__file__).parents[3]
JENKINS = ROOT / "jenkins"
CORE = "jenkins core"
CASC = yaml.safe_load((JENKINS / "casc.yaml").read_text())
START = (JENKINS / "start").read_text()

# Where configuration as code chooses something by a symbol, and which plugin brings it.
SYMBOLS = {
    "jenkins": CORE,
    "jenkins.crumbIssuer.standard": CORE,
    "jenkins.markupFormatter.rawHtml": "antisamy-markup-formatter",
    "jenkins.securityRealm.local": CORE,
    "jenkins.authorizationStrategy.globalMatrix": "matrix-auth",
    "jenkins.nodes.permanent": CORE,
    "jenkins.nodes.permanent.launcher.inbound": CORE,
    "jenkins.clouds.kubernetes": "kubernetes",
    "credentials.system": "credentials",
    "credentials.system.domainCredentials.credentials.basicSSHUserPrivateKey": "ssh-credentials",
    "security.apiToken": CORE,
    "security.gitHostKeyVerificationConfiguration": "git-client",
    "unclassified.location": CORE,
    "unclassified.gitSCM": "git",
}
PLACES = {
    *(
        "jenkins.crumbIssuer",
        "jenkins.markupFormatter",
        "jenkins.securityRealm",
        "jenkins.authorizationStrategy",
        "jenkins.nodes",
    ),
    *("jenkins.nodes.permanent.launcher", "jenkins.clouds", "credentials", "security", "unclassified"),
    "credentials.system.domainCredentials.credentials",
}
STEPS = {
    "sh": "workflow-durable-task-step",
    "echo": "workflow-basic-steps",
    "readFile": "workflow-basic-steps",
    "archiveArtifacts": "workflow-basic-steps",
    "retry": "workflow-basic-steps",
    "timeout": "workflow-basic-steps",
    "junit": "junit",
    "readJSON": "pipeline-utility-steps",
    "input": "pipeline-input-step",
    "script": "pipeline-model-definition",
    "pipeline": "pipeline-model-definition",
}
CLASSES = {
    "com.cloudbees.hudson.plugins.folder.": "cloudbees-folder",
    "org.jenkinsci.plugins.workflow.job.": "workflow-job",
    "org.jenkinsci.plugins.workflow.cps.": "workflow-cps",
    "hudson.plugins.git.": "git",
    "hudson.model.": CORE,
    "hudson.tasks.": CORE,
    "hudson.triggers.": CORE,
    "jenkins.model.": CORE,
}


def plugins():
    lines = [line.strip() for line in (JENKINS / "plugins.txt").read_text().splitlines()]
    return dict(line.split(":") for line in lines if line and not line.startswith("#"))


def symbols(value, place=""):
    """Yield the dotted place of every symbol that is chosen."""
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, dict):
            for key, below in entry.items():
                here = f"{place}.{key}" if place else key
                if place in PLACES or not place:
                    yield here
                yield from symbols(below, here)


def test_every_plugin_has_exactly_one_version():
    lines = [line for line in (JENKINS / "plugins.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+:[0-9][0-9A-Za-z._-]*", line) for line in lines)
    assert len(plugins()) == len(lines)


def test_every_symbol_of_the_configuration_has_its_plugin():
    tops = {"credentials", "security", "unclassified"}  # sections whose parts are the symbols
    found = set(symbols(CASC)) - tops
    assert found == set(SYMBOLS)
    assert {SYMBOLS[each] for each in found} - {CORE} <= plugins().keys()
    assert "configuration-as-code" in plugins()


def test_every_step_of_the_pipelines_has_its_plugin():
    for path in (ROOT / "Jenkinsfile", JENKINS / "promote.Jenkinsfile"):
        text = re.sub(r"//.*|'[^'\n]*'", "", path.read_text())
        used = set(re.findall(r"\b(" + "|".join(STEPS) + r")\b", text))
        assert {STEPS[step] for step in used} <= plugins().keys()


def test_every_class_of_a_jobs_xml_has_its_plugin(tmp_path):
    job = promote_job(Settings(project=tmp_path, repository="git://x/y"))
    text = config.job_config(job) + f"<{FOLDER_CLASS}>"
    names = set(re.findall(r"(?:<|class=\")((?:[a-z]+\.){2,}[A-Za-z._]+)", text))
    assert names
    for name in names:
        assert {plugin for start, plugin in CLASSES.items() if name.startswith(start)} <= {CORE, *plugins()}
        assert any(name.startswith(start) for start in CLASSES)
    assert "pipeline-rest-api" in plugins()  # wfapi, where approvals are read and answered


def test_nothing_is_built_on_the_controller_and_no_port_is_open_for_agents():
    assert CASC["jenkins"]["numExecutors"] == 0
    assert CASC["jenkins"]["slaveAgentPort"] == -1
    assert CASC["jenkins"]["securityRealm"]["local"]["allowsSignup"] is False
    assert all(node["permanent"]["launcher"]["inbound"]["webSocket"] for node in CASC["jenkins"]["nodes"])


def test_only_ops_administer_and_nobody_is_let_in_without_a_name():
    entries = [entry["user"] for entry in CASC["jenkins"]["authorizationStrategy"]["globalMatrix"]["entries"]]
    admins = [entry["name"] for entry in entries if "Overall/Administer" in entry["permissions"]]
    assert admins == ["ops"]
    assert {entry["name"] for entry in entries} == {"scientist", "engineer", "ops", "sacristy"}
    assert {user["id"] for user in CASC["jenkins"]["securityRealm"]["local"]["users"]} == {
        each["name"] for each in entries
    }


def test_every_password_is_a_secret_that_the_start_insists_on():
    users = CASC["jenkins"]["securityRealm"]["local"]["users"]
    wanted = [user["password"].strip("${}") for user in users if "password" in user]
    assert wanted == [f"jenkins-{name}-password" for name in ("scientist", "engineer", "ops")]
    assert all(f" {name} " in START.replace(";", " ").replace("\n", " ") for name in [*wanted, "jenkins-token"])


def test_the_user_of_the_token_has_an_account():
    """A user without a password does not exist to a realm of local users, and its token is answered with 500."""
    (user,) = [user for user in CASC["jenkins"]["securityRealm"]["local"]["users"] if "password" not in user]
    script = (JENKINS / "init" / "token.groovy").read_text()
    assert f"realm.createAccount('{user['id']}', password.encodeHex().toString())" in script
    assert script.index("createAccount") < script.index("addFixedNewToken")


def test_each_script_of_the_start_replaces_that_of_an_earlier_image():
    text = (JENKINS / "Dockerfile").read_text()
    for path in (JENKINS / "init").glob("*.groovy"):
        assert f"init/{path.name} /usr/share/jenkins/ref/init.groovy.d/{path.name}.override\n" in text


@pytest.mark.parametrize("path", sorted(JENKINS.rglob("Dockerfile")), ids=lambda path: path.parent.name)
def test_images_are_on_bases_by_digest_and_run_as_somebody(path):
    text = path.read_text()
    assert "ARG BASE\nFROM ${BASE}\n" in text
    assert "*@sha256:*) ;;" in text
    assert re.findall(r"^USER (\w+)", text, re.MULTILINE)[-1] == "jenkins"
    assert "docker.sock" not in text
    for source in re.findall(r"^COPY(?: --\S+)* (.+) \S+$", text, re.MULTILINE):
        context = ROOT if path.parent.name == "agent" else JENKINS
        assert all((context / each).exists() for each in source.split())


def test_the_agent_has_the_pipenv_of_the_makefile():
    version = re.search(r"PIPENV_VERSION := (\S+)", (ROOT / "Makefile").read_text())[1]
    assert f"ARG PIPENV_VERSION={version}\n" in (JENKINS / "agent" / "Dockerfile").read_text()


@pytest.mark.parametrize("name", ["agent", "trainer", "rights"])
def test_the_manifests_are_valid(name):
    for document in yaml.safe_load_all((JENKINS / "pods" / f"{name}.yaml").read_text()):
        if document["kind"] == "Pod":
            document.setdefault("metadata", {})["name"] = name
        kubernetes_validate.validate(document, "1.31", strict=True)


@pytest.mark.parametrize("name", ["agent", "trainer"])
def test_a_pod_of_an_agent_is_confined(name):
    spec = yaml.safe_load((JENKINS / "pods" / f"{name}.yaml").read_text())["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert container["name"] == "jnlp"
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert all("hostPath" not in volume for volume in spec["volumes"])
    assert f"${{readFile:/usr/share/jenkins/pods/{name}.yaml}}" in (JENKINS / "casc.yaml").read_text()


def test_the_folder_is_no_python_package():
    """Python-jenkins is called `jenkins` too."""
    assert not list(JENKINS.rglob("*.py"))
