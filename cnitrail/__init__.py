"""Who added, moved or removed which private IP addresses on which network interface, from CloudTrail."""

__version__ = "0.1.0"
