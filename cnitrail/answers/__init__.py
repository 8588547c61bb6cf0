"""Questions over a history. This room knows values, not how they will look."""
