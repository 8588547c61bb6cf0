"""Writes the limits of instance types: ``python scripts/instance_types.py``.

They come from EC2's own answers to DescribeInstanceTypes, as moto (Apache-2.0) keeps them in
``moto/ec2/resources/instance_types.json.gz``. To bring them up to date, raise moto in pyproject.toml,
install it, run this, and look at the diff.
"""

import gzip
import json
from importlib.resources import files
from pathlib import Path

import cnitrail.limits
from cnitrail.limits import TABLE, described
from cnitrail.model import Limits

_SOURCE = "instance_types.json.gz"


def table() -> str:
    """The lines of the table, by name, as the installed moto knows the types."""
    packed = files("moto.ec2.resources").joinpath(_SOURCE).read_bytes()
    types = json.loads(gzip.decompress(packed))
    found = sorted((described(each) for each in types.values()), key=lambda limits: limits.instance_type)
    return "".join("\t".join(_row(each)) + "\n" for each in found)


def _row(limits: Limits) -> tuple[str, ...]:
    prefixes = "yes" if limits.prefixes else "no"
    return limits.instance_type, str(limits.enis), str(limits.ipv4_per_eni), prefixes, str(limits.cards)


if __name__ == "__main__":
    Path(cnitrail.limits.__file__).with_name(TABLE).write_text(table(), encoding="ascii")
