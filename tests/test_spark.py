"""Spark runs the statement for tables of several shapes, with the files' answers (``nox -s spark``)."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import FIXTURES
from duck_engine import SHAPES, log_files
from java_homes import SPARK, java_home
from spark_engine import SparkEngine, spark_session
from table_answers import LOST, of_files, read_table, same_answers

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(java_home(SPARK) is None, reason=f"it needs Java {SPARK} or later"),
]


@pytest.fixture(scope="module")
def session() -> Iterator["SparkSession"]:
    """Spark in this process, and the Java that it starts."""
    pytest.importorskip("pyspark", reason="nox -s spark installs it")
    os.environ["JAVA_HOME"] = str(java_home(SPARK))
    running = spark_session()
    yield running
    running.stop()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("shape", ["now", "2016", "crawler", "ocsf", "own"])
@pytest.mark.parametrize("story", ["ironman", "node-life", "pod-identity-and-node-role"])
def test_a_table_gives_the_answers_and_the_coverage_of_the_files(
    story: str, shape: str, session: "SparkSession", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = SHAPES[shape].engine(log_files(FIXTURES / story)).describe()
    engine = SparkEngine(session, table, SHAPES[shape].rows(log_files(FIXTURES / story)))
    lost = LOST.get(shape, ())
    same_answers(read_table(engine, monkeypatch), of_files(story, lost, tmp_path if lost else FIXTURES))
