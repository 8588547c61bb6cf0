"""Files that a command reads beside its sources."""
