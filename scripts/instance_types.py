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

_SOURCE = "instance_types.json.gz"


def table() -> str:
    """The lines of the table, by name, as the installed moto knows the types."""
    packed = files("moto.ec2.resources").joinpath(_SOURCE).read_bytes()
    types = json.loads(gzip.decompress(packed))
    found = sorted((described(each) for each in types.values()), key=lambda limits: limits.instance_type)
    return "".join(
        f"{each.instance_type}\t{each.enis}\t{each.ipv4_per_eni}\t{'yes' if each.prefixes else 'no'}\n"
        for each in found
    )


if __name__ == "__main__":
    Path(cnitrail.limits.__file__).with_name(TABLE).write_text(table(), encoding="ascii")
