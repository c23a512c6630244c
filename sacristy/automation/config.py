"""A job's config.xml: read into facts that can be compared, and written into what Jenkins has, whose rest is kept.

Jenkins adds to a job what it learns from its Jenkinsfile (parameters, trackers, versions of plugins). A config.xml
that is written anew without them drops them, and the next build with parameters ends with status 500. So only what is
ours is set in place; and the parameters are declared here as well as in the Jenkinsfile.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from sacristy.automation.jobs import MARK, Job, Parameter
from sacristy.errors import JenkinsFailed

Facts = dict[str, str]

PIPELINE = "flow-definition"
STRING = "hudson.model.StringParameterDefinition"
PARAMETERS = "hudson.model.ParametersDefinitionProperty"
DISCARDER = "jenkins.model.BuildDiscarderProperty"
ONE_AT_A_TIME = "org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty"
TRIGGERS = "org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty"
TIMER, SCM = "hudson.triggers.TimerTrigger", "hudson.triggers.SCMTrigger"
GIT = "hudson.plugins.git.GitSCM"
FROM_SCM = "org.jenkinsci.plugins.workflow.cps.CpsScmFlowDefinition"
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ONLY_XML_1_1 = re.compile(r"&#(x0*(1[0-9a-f]|[1-8bcef])|0*(1[124-9]|2\d|3[01]|[1-8]));", re.IGNORECASE)


def job_config(job: Job, now: str | None = None) -> str:
    """Return a job's config.xml: a new one, or the one that Jenkins has `now` changed where it is ours.

    Raises JenkinsFailed for one that cannot be read.
    """
    root = Element(PIPELINE) if now is None else parse(now, job.name)
    _set(root, "description", job.description)
    if now is None:
        _set(root, "keepDependencies", "false")
    properties = _child(root, "properties")
    _retention(properties, job)
    _set(_child(properties, ONE_AT_A_TIME), "abortPrevious", "false")
    _parameters(properties, job.parameters)
    _triggers(properties, job)
    _definition(root, job)
    return _text(root)


def facts(job: Job) -> Facts:
    """Return what is ours of a job, by name, as `read` finds it in XML."""
    return read(job_config(job), job.name)


def read(config: str, name: str) -> Facts:
    """Return what is ours of a config.xml, by name; only what is there. Raises JenkinsFailed."""
    root = parse(config, name)
    definition = root.find("definition")
    found = {
        "description": root.findtext("description"),
        "builds kept": root.findtext(f"properties/{DISCARDER}/strategy/numToKeep"),
        "builds with artefacts kept": root.findtext(f"properties/{DISCARDER}/strategy/artifactNumToKeep"),
        "one build at a time": "yes" if root.find(f"properties/{ONE_AT_A_TIME}") is not None else None,
        "schedule": root.findtext(f"properties/{TRIGGERS}/triggers/{TIMER}/spec"),
        "poll": root.findtext(f"properties/{TRIGGERS}/triggers/{SCM}/spec"),
        "pipeline": definition.get("class") if definition is not None else None,
        "repository": root.findtext(".//userRemoteConfigs/*/url"),
        "credentials": root.findtext(".//userRemoteConfigs/*/credentialsId") or None,
        "branch": root.findtext(".//branches/*/name"),
        "script": root.findtext("definition/scriptPath"),
    }
    for parameter in root.findall(f"properties/{PARAMETERS}/parameterDefinitions/*"):
        default, text = (parameter.findtext(part) or "" for part in ("defaultValue", "description"))
        trimmed = "" if parameter.findtext("trim") == "true" else ", not trimmed"
        found[f"parameter {parameter.findtext('name')}"] = f"{default!r} ({text}{trimmed})"
    return {key: value.strip() for key, value in found.items() if value is not None}


def is_ours(config: str, name: str) -> bool:
    """Say whether sync made a job: its description ends with our mark."""
    return (parse(config, name).findtext("description") or "").rstrip().endswith(MARK)


def parse(config: str, name: str) -> Element:
    """Return the root of a config.xml. Jenkins writes version 1.1, which Python's parser does not take.

    Control characters, which that version alone can hold, are replaced: they may be in a job that somebody else made.
    """
    plain = ONLY_XML_1_1.sub("\ufffd", re.sub(r"^\s*<\?xml[^>]*\?>", "", config, count=1))
    try:
        return ElementTree.fromstring(plain)  # noqa: S314 - from our own Jenkins; expat does not fetch entities
    except ElementTree.ParseError as error:
        raise JenkinsFailed(doing=f"reading the configuration of {name}", status=200, reason=error) from None


def _retention(properties: Element, job: Job) -> None:
    strategy = _child(_child(properties, DISCARDER), "strategy")
    strategy.set("class", "hudson.tasks.LogRotator")
    kept = {
        "daysToKeep": -1,
        "numToKeep": job.keep_builds,
        "artifactDaysToKeep": -1,
        "artifactNumToKeep": job.keep_artifacts,
    }
    for tag, count in kept.items():
        _set(strategy, tag, str(count))


def _parameters(properties: Element, parameters: tuple[Parameter, ...]) -> None:
    """Set ours; those that Jenkins has beside them stay."""
    definitions = _child(_child(properties, PARAMETERS), "parameterDefinitions")
    present = {entry.findtext("name"): entry for entry in definitions}
    for parameter in parameters:
        entry = present.get(parameter.name)
        if entry is not None and entry.tag != STRING:
            definitions.remove(entry)
            entry = None
        if entry is None:
            entry = SubElement(definitions, STRING)
        values = {"name": parameter.name, "description": parameter.description, "defaultValue": parameter.default}
        for tag, value in {**values, "trim": "true"}.items():
            _set(entry, tag, value)


def _triggers(properties: Element, job: Job) -> None:
    triggers = _child(_child(properties, TRIGGERS), "triggers")
    for tag, spec in ((TIMER, job.schedule), (SCM, job.poll)):
        present = triggers.find(tag)
        if present is not None and not spec:
            triggers.remove(present)
        if spec:
            trigger = _child(triggers, tag)
            _set(trigger, "spec", spec)
            if tag == SCM:
                _set(trigger, "ignorePostCommitHooks", "false")


def _definition(root: Element, job: Job) -> None:
    definition = root.find("definition")
    if definition is None or definition.get("class") != FROM_SCM:
        if definition is not None:
            root.remove(definition)
        definition = SubElement(root, "definition", {"class": FROM_SCM})
    scm = _child(definition, "scm")
    if scm.get("class") != GIT:
        scm.clear()
        scm.set("class", GIT)
    _set(scm, "configVersion", "2")
    remote = _child(_child(scm, "userRemoteConfigs"), "hudson.plugins.git.UserRemoteConfig")
    _set(remote, "url", job.source.repository)
    known = remote.find("credentialsId")
    if job.source.credentials:
        _set(remote, "credentialsId", job.source.credentials)
    elif known is not None:
        remote.remove(known)
    _set(_child(_child(scm, "branches"), "hudson.plugins.git.BranchSpec"), "name", f"refs/heads/{job.source.branch}")
    _set(scm, "doGenerateSubmoduleConfigurations", "false")
    _child(scm, "submoduleCfg").set("class", "empty-list")
    _child(scm, "extensions")
    _set(definition, "scriptPath", job.script)
    _set(definition, "lightweight", "true")


def _child(parent: Element, tag: str) -> Element:
    found = parent.find(tag)
    return SubElement(parent, tag) if found is None else found


def _set(parent: Element, tag: str, text: str) -> None:
    _child(parent, tag).text = NOT_XML.sub("\ufffd", text)


def _text(root: Element) -> str:
    return "<?xml version='1.0' encoding='UTF-8'?>\n" + ElementTree.tostring(root, encoding="unicode")
