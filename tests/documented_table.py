"""The first table whose DDL docs/athena.md shows, with the log files of a story, on loopback."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from athena_server import Look, ServedTable, athena
from duck_engine import TABLE_NOW, DuckEngine, Entry, cloudtrail_rows, description, log_files
from moto_loopback import client, empty_moto

from cnitrail.sources.sql.description import TableDescription
from cnitrail.sources.sql.engine import Cells

REGION = "eu-west-1"
BUCKET = "trail-bucket"
_NAMES = {"TRAIL-BUCKET": BUCKET, "ORGANIZATION-ID": "o-exampleorgid"}
_ROOT = "AWSLogs/"


@contextmanager
def documented_table(name: str, table: TableDescription, story: Path) -> Iterator[Mapping[str, str]]:
    """Serve a story as an organization trail; yield the environment in which commands read it.

    Athena says that it scanned what the files have. Its query ID and its seconds are invented.
    """
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # moto's, which prints each request
    host, port = empty_moto()
    s3 = client("s3", f"http://{host}:{port}", REGION)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    files = {path: _key(path) for path in sorted(story.rglob("*.json.gz"))}
    for path, key in files.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
    partitions = dict.fromkeys(table.partition_columns, "string")
    engine = DuckEngine(description(TABLE_NOW, partitions), _rows(story))
    database, _, short_name = name.partition(".")

    def run(statement: str) -> list[Cells]:
        list(engine.run(statement.replace(f'"{database}"."{short_name}"', engine.table)))
        return list(engine.rows())

    properties = {key: _named(text) for key, text in table.properties.items()}
    location = {"location": properties["storage.location.template"].partition("${")[0]}
    served = ServedTable(dict(TABLE_NOW), run, partitions, properties | location)
    with athena() as server:
        server.add(served, short_name, database)
        server.scripts = [[Look("SUCCEEDED", scanned=sum(path.stat().st_size for path in files))]]
        yield {
            "AWS_ENDPOINT_URL_ATHENA": server.url,
            "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
        }
    engine.close()


def _named(text: str) -> str:
    """Return a text of the page with names for those that a reader replaces."""
    for placeholder, name in _NAMES.items():
        text = text.replace(placeholder, name)
    return text


def _key(path: Path | str) -> str:
    """Return the key of a story's log file in the bucket of an organization trail."""
    return f"{_ROOT}{_NAMES['ORGANIZATION-ID']}/{str(path).partition(_ROOT)[2]}"


def _rows(story: Path) -> Iterator[tuple[str, Entry]]:
    """Yield the rows of the story's records, with the partitions of their files."""
    for path, row in cloudtrail_rows(log_files(story)):
        account, _, region, *date = _key(path).split("/")[2:-1]
        partition = {"account": account, "region": region, "timestamp": "/".join(date)}
        yield f"s3://{BUCKET}/{_key(path)}", row | partition
