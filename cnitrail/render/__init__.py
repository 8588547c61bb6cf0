"""Values → text. Everything in a record is hostile and is made harmless here.

A new output is one file here and one row in ``writers``. Each writes an ``Answer`` to a stream.
"""
