"""Files that a command reads besides its sources."""
