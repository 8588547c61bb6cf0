"""DuckDB: `in_duckdb.py DIR NAMES read_json|from_json` prints id, time and name of the events so named.

`read_json` is how its documentation reads JSON files: it finds out the schema. `from_json` was the
quickest of a dozen ways tried with DuckDB 2.0: of each file's text the three fields, and nothing else.
"""

import sys

import duckdb

SHAPE = '{"Records":[{"eventID":"VARCHAR","eventTime":"VARCHAR","eventName":"VARCHAR"}]}'
RECORDS = {
    "read_json": "SELECT unnest(Records) AS event FROM read_json($files, timestampformat = 'none')",
    "from_json": f"""
        SELECT unnest(from_json(json, '{SHAPE}').Records) AS event
        FROM read_json_objects($files, format = 'unstructured')
        """,
}


def main(directory: str, names: str, how: str) -> None:
    """Asks, and prints."""
    found = duckdb.execute(
        f"""
        SELECT event.eventID, event.eventTime, event.eventName FROM ({RECORDS[how]})
        WHERE event.eventName IN (SELECT unnest(string_split($names, '|')))
        """,
        {"files": f"{directory}/**/*.json.gz", "names": names},
    )
    for event in found.fetchall():
        print(*event, sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
