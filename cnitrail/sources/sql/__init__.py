"""CloudTrail tables in query engines: Athena and Trino.

The files, in reading order; each imports only from those above it:

- The table: ``column_types`` (what a column is made of), ``description`` (what an engine returns about a
  table), ``shapes`` (which kind of CloudTrail table that is).
- The statement: ``expressions`` (values in SQL), ``statement`` (relevant records as rows, all others as
  counts), ``scope_conditions`` (the files and times that are asked for).
- Its partitions: ``date_patterns`` (dates in texts), ``partition_columns`` (what each column means),
  ``table_limits`` (what a table cannot have), ``date_conditions`` and ``partitions`` (conditions that limit
  the scan).
- The engines: ``engine`` (what each has to do); ``athena`` with ``athena_uri``, ``athena_causes``,
  ``athena_calls``, ``athena_catalog``, ``athena_execution`` and ``same_query``; ``trino`` with ``trino_uri``,
  ``trino_properties`` and ``trino_errors``.
- One query from start to end: ``listed_partitions``, ``estimate`` and ``prices`` (what it is going to scan),
  ``answer`` (its rows as parts: one for each account, Region and day), ``source_texts`` (the messages about
  it), and ``source``, which calls all of these.

A new engine is one file with an ``Engine``, its scheme in ``model.table``, and a row each in
``cnitrail.sources`` and ``sources.table_names``. A new kind of table is a ``Shape`` with its sign in
``shape_of``, and the function that writes its rows in ``statement``.
"""
