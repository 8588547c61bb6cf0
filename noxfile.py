"""All checks: ``nox`` runs style checks, and the tests on every installed Python from 3.11 to 3.13."""

import os
import secrets
import shutil
import sys
import tarfile
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import nox
from nox.command import CommandFailed

sys.path.insert(0, str(Path(__file__).parent / "tests"))

import java_homes
import trino_process
from java_homes import java_home

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = [
    "lint",
    "tests",
    "browser",
]  # only if named: coverage, importers (installs several hundred MB of tools), validate_logs (the AWS CLI),
# search, trino (downloads 800 MB), spark (450 MB)

_COVERAGE = 98
"""Minimum percent of lines that the tests run: today's value, without the processes that tests start."""

_WORKERS = str((os.cpu_count() or 1) + 1)
"""Processes that run tests: one more than processors, because some wait for the pace of LookupEvents."""


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types and import contracts."""
    session.install("-q", ".[dev,browser]", "nox")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session(python=["3.13", "3.12", "3.11"])
def tests(session: nox.Session) -> None:
    """Run the tests against the installed package."""
    session.install("-q", ".[dev]")
    session.run("python", "-m", "pytest", "-n", _WORKERS, *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests, and fail if they run too few lines of the package; this takes nearly twice as long."""
    session.install("-q", ".[dev]")
    session.run(
        "python", "-m", "pytest", "-n", _WORKERS, "--cov", f"--cov-fail-under={_COVERAGE}", *session.posargs
    )


@nox.session
def search(session: nox.Session) -> None:
    """Run the property tests with thirty times as many inputs, and other ones each time."""
    session.install("-q", ".[dev]")
    which = session.posargs or [
        "tests/test_truth.py",
        "tests/test_pod_truth.py",
        "tests/test_any_order.py",
        "tests/test_attackers.py",
    ]
    worlds = ("--worlds=30000", f"--first-world={secrets.randbelow(1 << 32)}")
    session.run("python", "-m", "pytest", "--hypothesis-profile=search", *worlds, *which)


@nox.session
def browser(session: nox.Session) -> None:
    """Test the HTML report in Chromium; without it, the tests are skipped with a message."""
    session.install("-q", ".[dev,browser]")
    session.run("python", "-m", "pytest", "-m", "browser", "-rs", *session.posargs)


@nox.session
def importers(session: nox.Session) -> None:
    """Import our exports into the tools that they are for: Timesketch's importer, plaso, Perfetto."""
    session.install("-q", ".[dev,importers]")
    session.run("python", "-m", "pytest", "-m", "importers", *session.posargs)


@nox.session
def validate_logs(session: nox.Session) -> None:
    """Compare ``verify`` with the AWS CLI's validate-logs, in its own venv because it pins botocore."""
    session.install("-q", ".[dev]")
    venv = Path(session.create_tmp(), "aws").resolve()
    session.run("python", "-m", "venv", str(venv))
    session.run(f"{venv}/bin/pip", "install", "-q", "awscli>=1.46", external=True)
    path = f"{venv}/bin:{session.env.get('PATH', '')}"
    session.run("python", "-m", "pytest", "-m", "awscli", "-rs", *session.posargs, env={"PATH": path})


_TRINO = "476"
"""The last server that Maven Central has as an archive. It runs on Java 24 and later."""


@nox.session
def trino(session: nox.Session) -> None:
    """Read tables through a real Trino, which Maven fetches; skip without Maven or a JDK of Java 24."""
    if java_home(java_homes.TRINO) is None:
        session.skip(f"no JDK of Java {java_homes.TRINO} or later: install one, and set JAVA_HOME")
    home = trino_process.trino_home() or _fetched_trino(session)
    session.install("-q", ".[dev]")
    begun = time.monotonic()
    try:
        session.run(
            *(
                "python",
                "-m",
                "pytest",
                "-m",
                "trino",
                "-rs",
                *(session.posargs or _named("test_trino_*.py")),
            ),
            env={"TRINO_HOME": str(home)},
        )
    finally:
        session.log(f"Trino {_TRINO}: {time.monotonic() - begun:.0f} s")


def _named(pattern: str) -> list[str]:
    """Return the test files of this name: to look for tests in all of them takes longer."""
    return sorted(str(path) for path in Path("tests").glob(pattern))


def _fetched_trino(session: nox.Session) -> Path:
    """Return the folder of an unpacked server; skip the session if it is not there and cannot be fetched."""
    kept = Path(session.cache_dir, "trino").resolve()
    home = kept / f"trino-server-{_TRINO}"
    if home.is_dir():
        return home
    if shutil.which("mvn") is None:
        session.skip("no Maven to fetch Trino with: install mvn, or name an unpacked server in TRINO_HOME")
    artifact = f"-Dartifact=io.trino:trino-server:{_TRINO}:tar.gz"
    try:
        session.run("mvn", "-q", "dependency:get", artifact, "-Dtransitive=false", external=True)
        session.run("mvn", "-q", "dependency:copy", artifact, f"-DoutputDirectory={kept}", external=True)
    except CommandFailed:
        session.skip(f"Maven could not fetch Trino {_TRINO} (800 MB): name an unpacked server in TRINO_HOME")
    _unpack_trino(kept / f"{home.name}.tar.gz", home)
    return home


def _unpack_trino(archive: Path, home: Path) -> None:
    """Unpack the server with the plugins that tests use: all fifty-five take 2 GB."""
    plugins = tuple(f"{home.name}/plugin/{name}/" for name in trino_process.PLUGINS)
    wanted = (f"{home.name}/lib/", *plugins)
    with TemporaryDirectory(dir=home.parent) as partial, tarfile.open(archive) as packed:
        members = [member for member in packed if member.name.startswith(wanted)]
        packed.extractall(partial, members, filter="data")
        Path(partial, home.name).rename(home)
    archive.unlink()


@nox.session
def spark(session: nox.Session) -> None:
    """Run the statements on Spark in local mode, from PyPI; without Java 17 or later, skip."""
    if java_home(java_homes.SPARK) is None:
        session.skip(f"no Java {java_homes.SPARK} or later: install one, and set JAVA_HOME")
    session.install("-q", ".[dev,spark]")
    begun = time.monotonic()
    try:
        session.run(
            "python", "-m", "pytest", "-m", "spark", "-rs", *(session.posargs or _named("test_spark*.py"))
        )
    finally:
        session.log(f"Spark: {time.monotonic() - begun:.0f} s")
