"""``verify`` beside ``aws cloudtrail validate-logs`` on one bucket: the same verdict, if both give one.

Both use S3 and CloudTrail over loopback. Skipped without the AWS CLI, which ``nox -s validate_logs``
installs.
"""

import gzip
import json
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from conftest import Run
from loopback import Endpoint, endpoint
from signed_trail import (
    BUCKET,
    Objects,
    SignedTrail,
    Stored,
    public_keys,
    records,
    sign,
    small_trail,
    zipped,
)

AWS = shutil.which("aws")

pytestmark = [
    pytest.mark.awscli,
    pytest.mark.skipif(AWS is None, reason="no AWS CLI here"),
]

TRAIL = small_trail()
TRAIL.hour(records("D"), records("E"))
TRAIL.quiet(timedelta(hours=3))
TRAIL.hour(records("F"))
TRAIL.backfill(TRAIL.digests[1], records("late"))
BACKFILL = next(key for key in TRAIL.objects if "_backfill" in key)

Damage = Callable[[Objects], object]


def changed(key: str, body: Callable[[bytes], bytes]) -> Damage:
    """Replace the bytes of an object and keep its S3 metadata."""

    def damage(objects: Objects) -> None:
        objects[key] = replace(objects[key], body=body(objects[key].body))

    return damage


def text(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Change the text inside a gzipped object."""
    return lambda body: zipped(change(gzip.decompress(body)))


def described(key: str, **metadata: str) -> Damage:
    """Replace the S3 metadata of an object."""
    return lambda objects: objects.update({key: Stored(objects[key].body, metadata)})


def swapped(one: str, other: str) -> Damage:
    return lambda objects: objects.update({one: objects[other], other: objects[one]})


def moved(key: str, new: str) -> Damage:
    return lambda objects: objects.update({new: objects.pop(key)})


def signed_by_a_stranger(objects: Objects) -> None:
    """Rewrite a digest and sign it with another key."""
    key = TRAIL.digests[1]
    fields = TRAIL.fields(key) | {"newestEventTime": "2025-03-04T10:00:00Z"}
    body = json.dumps(fields).encode()
    objects[key] = Stored(
        zipped(body),
        {"signature": sign(fields, body, "stranger"), "signature-algorithm": "SHA256withRSA"},
    )


def of_an_unknown_key(objects: Objects) -> None:
    """The same, with the fingerprint of that other key."""
    stranger = SignedTrail(key="stranger", now=TRAIL.now)
    stranger.hour(records("forged"))
    objects.update(stranger.objects)


DIGEST, LOG = TRAIL.digests[1], TRAIL.logs[0]

SAME: dict[str, Damage] = {
    "nothing": lambda _: None,
    "a log file removed": lambda objects: objects.pop(LOG),
    "a log file changed": changed(LOG, text(lambda body: body.replace(b"A", b"Z"))),
    "a log file that is not zipped": changed(LOG, gzip.decompress),
    "an empty log file": changed(LOG, lambda _: b""),
    "two log files swapped": swapped(TRAIL.logs[0], TRAIL.logs[2]),
    "a digest removed": lambda objects: objects.pop(DIGEST),
    "two digests removed": lambda objects: [objects.pop(key) for key in TRAIL.digests[:2]],
    "a digest changed": changed(DIGEST, text(lambda body: body.replace(b"null", b"0   ", 1))),
    "a digest with other white space": changed(DIGEST, text(lambda body: body + b" ")),
    "a digest that is no JSON": changed(DIGEST, text(lambda body: body[:-1])),
    "a digest that is not zipped": changed(DIGEST, gzip.decompress),
    "a digest cut short": changed(DIGEST, lambda body: body[:-30]),
    "an empty digest": changed(DIGEST, lambda _: b""),
    "two digests swapped": swapped(TRAIL.digests[0], TRAIL.digests[2]),
    "a digest without its signature": described(DIGEST),
    "a digest with another's signature": described(DIGEST, **TRAIL.objects[TRAIL.digests[0]].metadata),
    "a digest with a malformed signature": described(
        DIGEST, signature="zz", **{"signature-algorithm": "SHA256withRSA"}
    ),
    "a digest signed by a stranger": signed_by_a_stranger,
    "a digest of an unknown key": of_an_unknown_key,
    "a backfill digest changed": changed(BACKFILL, text(lambda body: body + b" ")),
    "a backfill digest without its time": described(
        BACKFILL, **{k: v for k, v in TRAIL.objects[BACKFILL].metadata.items() if "backfill" not in k}
    ),
    "a log file of a backfill digest changed": changed(TRAIL.logs[-1], text(lambda body: body + b" ")),
    "a log file and a digest": lambda objects: (
        changed(TRAIL.logs[3], text(lambda body: body + b" "))(objects),
        objects.pop(DIGEST),
    ),
}
"""Damages of which both say the same."""

BETTER: dict[str, tuple[Damage, str]] = {
    "a digest renamed": (moved(DIGEST, DIGEST.replace("0131Z", "0132Z")), "moved"),
    "a log file with bytes behind it": (changed(LOG, lambda body: body + b"x"), "damaged"),
    "a log file with a second stream behind it": (changed(LOG, lambda body: body + zipped(b"x")), "damaged"),
    "a log file cut short": (changed(LOG, lambda body: body[:-3]), "damaged"),
    "a log file without its stream's end": (changed(LOG, lambda body: body[:-9]), "damaged"),
    "a log file that no digest lists": (
        lambda objects: objects.update({LOG.replace("T0921Z", "T0922Z"): Stored(zipped(records("planted")))}),
        "unlisted",
    ),
    "a digest with a key twice": (
        changed(DIGEST, text(lambda body: body.replace(b"{", b'{"digestS3Bucket":"audit-logs",', 1))),
        "ambiguous",
    ),
    "a digest with bytes behind it": (changed(DIGEST, lambda body: body + b"x"), "damaged"),
    "a backfill digest removed": (lambda objects: objects.pop(BACKFILL), "unlisted"),
}
"""Damages of which validate-logs, or older versions of it, says nothing, or something vaguer."""


@pytest.fixture(scope="module")
def server() -> Iterator[Endpoint]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with endpoint() as found:
        found.client.create_bucket(Bucket=BUCKET)
        found.keys["eu-west-1"] = json.loads(public_keys())["PublicKeyList"]
        found.trails = [
            {
                "TrailARN": "arn:aws:cloudtrail:eu-west-1:111111111111:trail/audit",
                "S3BucketName": BUCKET,
                "IsOrganizationTrail": False,
            }
        ]
        yield found


@pytest.fixture
def environment(server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_ENDPOINT_URL": server.url,
    }.items():
        monkeypatch.setenv(name, value)
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


Verdict = tuple[set[str], int]
"""What is said to be invalid or missing, and the exit status."""


def aws_says(environment: dict[str, str]) -> Verdict:
    assert AWS is not None
    arn = "arn:aws:cloudtrail:eu-west-1:111111111111:trail/audit"
    times = ("--start-time", "2025-03-04T09:00:00Z", "--end-time", "2025-03-05T00:00:00Z")
    command = (AWS, "cloudtrail", "validate-logs", "--trail-arn", arn, *times, "--region", "eu-west-1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return set(re.findall(r"(s3://\S+)\tINVALID", done.stderr)), done.returncode


def cnitrail_says(run: Run) -> tuple[Verdict, set[str]]:
    result = run("verify", f"s3://{BUCKET}", "-o", "json")
    faults = [fault for fault in json.loads(result.stdout)["entries"] if fault["charge"] != "unproven"]
    kinds = {fault["kind"] for fault in faults}
    return ({fault["uri"] for fault in faults}, result.exit_code), kinds


def put(server: Endpoint, damage: Damage) -> None:
    """Replace the content of the bucket with the damaged trail."""
    objects = dict(TRAIL.objects)
    damage(objects)
    for item in server.client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        server.client.delete_object(Bucket=BUCKET, Key=item["Key"])
    for key, stored in objects.items():
        server.client.put_object(Bucket=BUCKET, Key=key, Body=stored.body, Metadata=stored.metadata)


class TestBoth:
    @pytest.mark.parametrize("name", SAME)
    def test_give_the_same_verdict(
        self, server: Endpoint, environment: dict[str, str], run: Run, name: str
    ) -> None:
        put(server, SAME[name])
        ours, _ = cnitrail_says(run)
        assert ours == aws_says(environment)
        assert ours[1] == (0 if name == "nothing" else 1)


class TestOnlyCnitrail:
    @pytest.mark.parametrize("name", BETTER)
    def test_reports_it(self, server: Endpoint, environment: dict[str, str], run: Run, name: str) -> None:
        damage, kind = BETTER[name]
        put(server, damage)
        (ours, status), kinds = cnitrail_says(run)
        theirs, _ = aws_says(environment)
        assert kind in kinds
        assert status == 1
        assert theirs <= ours

    def test_reports_that_there_was_nothing_to_verify(
        self, server: Endpoint, environment: dict[str, str], run: Run
    ) -> None:
        put(server, dict.clear)
        assert aws_says(environment) == (set(), 0)
        assert run("verify", f"s3://{BUCKET}").exit_code == 4
