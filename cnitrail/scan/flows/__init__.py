"""Flow log files → blocks of records. This room does not know who had an address."""
