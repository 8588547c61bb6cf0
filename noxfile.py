"""All checks: ``nox`` runs style checks, and the tests on every installed Python from 3.11 to 3.13."""

import os
import secrets
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = [
    "lint",
    "tests",
    "browser",
]  # only if named: importers (installs several hundred MB of tools), validate_logs (the AWS CLI), search

_MEASURED = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The Python that measures coverage: the one that runs nox, because it is always there."""
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
    """Run the tests against the installed package; all of them also measure coverage, on one Python."""
    session.install("-q", ".[dev]")
    is_measured = session.python == _MEASURED and not session.posargs
    coverage = ("--cov", f"--cov-fail-under={_COVERAGE}") if is_measured else ()
    session.run("python", "-m", "pytest", "-n", _WORKERS, *coverage, *session.posargs)


@nox.session
def search(session: nox.Session) -> None:
    """Run the property tests with thirty times as many inputs, and other ones each time."""
    session.install("-q", ".[dev]")
    which = session.posargs or ["tests/test_truth.py", "tests/test_any_order.py", "tests/test_attackers.py"]
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
