"""Events kept on disk, in one SQLite file: what ``collect`` fills, and a source of every command.

This room knows rows and indexes, not what an event means: what a record is filed under is told
to it (``Filing``). The tables are documented in docs/store.md.
"""

from cnitrail.store.filing import Filing, Mention
from cnitrail.store.reader import Reader
from cnitrail.store.schema import is_sqlite, is_store
from cnitrail.store.writer import Writer

__all__ = ["Filing", "Mention", "Reader", "Writer", "is_sqlite", "is_store"]
