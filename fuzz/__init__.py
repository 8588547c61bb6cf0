"""Fuzzing: inputs that nobody would write, by the million, against every reader and every renderer.

``targets`` has a row for each thing that is tried; ``mutate`` makes one input from another, and begins
with those in ``corpus``; ``engine`` tries them; ``python -m fuzz`` is a long run.
"""
