"""The local store: one SQLite file that ``collect`` fills, and that every command can read.

This package knows rows and indexes, not what an event means: the caller supplies the index columns of a
record (``IndexEntry``). The tables are documented in docs/store.md.
"""
