"""Events kept on disk, in one SQLite file: what ``collect`` fills, and a source of every command.

This room knows rows and indexes, not what an event means: what a record is filed under is told
to it (``Filing``). The tables are documented in docs/store.md.
"""
