"""Updates the bundled limits of instance types: ``python scripts/instance_types.py``.

The source is EC2's own output of DescribeInstanceTypes, which moto (Apache-2.0) has in
``moto/ec2/resources/instance_types.json.gz``. To update it, raise the version of moto in pyproject.toml,
install it, run this script, and review the diff.
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
    """Return the lines of the table, sorted by type, from the installed moto."""
    packed = files("moto.ec2.resources").joinpath(_SOURCE).read_bytes()
    types = json.loads(gzip.decompress(packed))
    found = sorted(
        (described(instance_type) for instance_type in types.values()),
        key=lambda limits: limits.instance_type,
    )
    return "".join("\t".join(_row(limits)) + "\n" for limits in found)


def _row(limits: Limits) -> tuple[str, ...]:
    prefixes = "yes" if limits.prefixes else "no"
    return limits.instance_type, str(limits.enis), str(limits.ipv4_per_eni), prefixes, str(limits.cards)


if __name__ == "__main__":
    Path(cnitrail.limits.__file__).with_name(TABLE).write_text(table(), encoding="ascii")
