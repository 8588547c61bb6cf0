"""Fuzzing of every reader and every renderer with millions of malformed and hostile inputs.

``targets`` has one row per target; ``mutate`` derives inputs from those in ``corpus``; ``engine`` tries them;
``python -m fuzz`` is a long run.
"""
