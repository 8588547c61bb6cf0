"""Files of the eks-log-collector that name the node: ``system/instance-id.txt`` and ``system/region.txt``."""

from cnitrail.decode.pods.reading import NOTHING, PodReading
from cnitrail.decode.shapes import fields, text
from cnitrail.model.pod_facts import NodeNamed, RegionNamed


def read(entry: object) -> PodReading:
    """Return the instance or the Region of the node of all files in the archive."""
    found = fields(entry)
    instance, region = text(found.get("instanceId")), text(found.get("region"))
    if instance is not None:
        return PodReading(facts=(NodeNamed(node=None, instance=instance, basis="instance-id-file"),))
    return PodReading(facts=(RegionNamed(region=region),)) if region is not None else NOTHING
