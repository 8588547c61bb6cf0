"""Screenshots of a story's report for review: light and dark, wide, narrow and printed.

    python scripts/screenshots.py DIRECTORY [STORY…]

``--readme`` writes the one in docs/ that the README shows; ``convert -colors 128`` reduces its size.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
WIDTHS = (1280, 400)
README = {"width": 1120, "height": 1500}


def report(story: str, folder: Path) -> Path:
    """Write the report of a story with the command line, and return its path."""
    path = folder / f"{story}.html"
    command = [sys.executable, "-m", "cnitrail", "report", "-q", "-o", "html", story]
    done = subprocess.run(command, cwd=ROOT / "fixtures", capture_output=True, check=True)
    path.write_bytes(done.stdout)
    return path


def shoot(browser: Browser, page: Path) -> None:
    """Save every view of a page next to it."""
    for scheme in ("light", "dark"):
        for width in WIDTHS:
            name = page.with_name(f"{page.stem}-{width}-{scheme}.png")
            view(browser, page, width, 900, scheme, name, whole=True)
    tab = browser.new_page()
    tab.goto(page.as_uri())
    tab.locator("html[data-ready]").wait_for(state="attached")
    tab.pdf(path=page.with_suffix(".pdf"), format="A4")
    tab.close()


def view(
    browser: Browser, page: Path, width: int, height: int, scheme: str, name: Path, *, whole: bool
) -> None:
    """Save one view of a page after its chart is drawn."""
    size = {"width": width, "height": height}
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    tab = context.new_page()
    tab.goto(page.as_uri())
    tab.locator("html[data-ready]").wait_for(state="attached")
    if whole:  # some parts are drawn only when they come into view
        tab.set_viewport_size({"width": width, "height": tab.evaluate("document.body.scrollHeight")})
    tab.wait_for_timeout(200)
    tab.screenshot(path=name)
    context.close()


def main() -> None:
    """Take all screenshots, or the README's."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("directory", type=Path)
    options.add_argument("stories", nargs="*", default=["ironman"])
    options.add_argument("--readme", action="store_true")
    asked = options.parse_args()
    asked.directory.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for story in asked.stories:
            shoot(browser, report(story, asked.directory))
        if asked.readme:
            page = report("ironman", asked.directory)
            view(browser, page, **README, scheme="light", name=ROOT / "docs" / "report.png", whole=False)
        browser.close()


if __name__ == "__main__":
    main()
