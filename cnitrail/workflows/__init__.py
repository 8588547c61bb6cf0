"""Everything that cnitrail does, callable without a command line: no click, no printing, no clock."""
