"""Evidence about pods: one reader for each form, and the table of them in ``readers``."""
