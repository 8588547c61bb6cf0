"""A local copy of a trail that can be verified offline: its format, and its writer."""
