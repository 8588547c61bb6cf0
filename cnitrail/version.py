"""The version, for everything that writes it; it imports nothing."""

__version__ = "0.1.0"
