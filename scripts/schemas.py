"""Write the JSON Schemas of the outputs to ``docs/schemas/``: ``python scripts/schemas.py``."""

import json
from pathlib import Path

from cnitrail.render.schemas import ENTRIES, schema_of

FOLDER = Path(__file__).parent.parent / "docs" / "schemas"


def text_of(command: str) -> str:
    """Return the schema of a command's output, as it is stored."""
    return json.dumps(schema_of(command), indent=2) + "\n"


def main() -> None:
    """Write a file for each command."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for command in ENTRIES:
        (FOLDER / f"{command}.v1.json").write_text(text_of(command))


if __name__ == "__main__":
    main()
