"""The checks: ``nox`` runs style and tests, the tests on every Python from 3.11 to 3.13 that is installed."""

import secrets
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = [
    "lint",
    "tests",
    "browser",
]  # when asked for: importers (some hundred MB of other people's tools), validate_logs (the AWS CLI), search


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types and the direction of imports."""
    session.install("-q", ".[dev,browser]", "nox")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session(python=["3.13", "3.12", "3.11"])
def tests(session: nox.Session) -> None:
    """The tests, against the installed package."""
    session.install("-q", ".[dev]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def search(session: nox.Session) -> None:
    """The tests of what must hold for any input, with thirty times as many, never the same."""
    session.install("-q", ".[dev]")
    which = session.posargs or ["tests/test_truth.py", "tests/test_any_order.py", "tests/test_attackers.py"]
    worlds = ("--worlds=30000", f"--first-world={secrets.randbelow(1 << 32)}")
    session.run("python", "-m", "pytest", "--hypothesis-profile=search", *worlds, *which)


@nox.session
def browser(session: nox.Session) -> None:
    """The report's page in Debian's chromium; where there is none, its tests are skipped and say so."""
    session.install("-q", ".[dev,browser]")
    session.run("python", "-m", "pytest", "-m", "browser", "-rs", *session.posargs)


@nox.session
def importers(session: nox.Session) -> None:
    """What we export, read by the tools that it is for: Timesketch's importer, plaso, Perfetto."""
    session.install("-q", ".[dev,importers]")
    session.run("python", "-m", "pytest", "-m", "importers", *session.posargs)


@nox.session
def validate_logs(session: nox.Session) -> None:
    """``verify`` beside the AWS CLI's validate-logs, which has a place of its own: it pins botocore."""
    session.install("-q", ".[dev]")
    place = Path(session.create_tmp(), "aws").resolve()
    session.run("python", "-m", "venv", str(place))
    session.run(f"{place}/bin/pip", "install", "-q", "awscli>=1.46", external=True)
    path = f"{place}/bin:{session.env.get('PATH', '')}"
    session.run("python", "-m", "pytest", "-m", "awscli", "-rs", *session.posargs, env={"PATH": path})
