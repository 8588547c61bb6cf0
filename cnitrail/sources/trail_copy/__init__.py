"""A local copy of a trail that can be verified offline: the format of its extra files, and its writer."""
