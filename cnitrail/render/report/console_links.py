"""Links from a report to the AWS Management Console, for readers who may sign in to the account."""

import re

from msgspec import Struct

from cnitrail.model import Citation, InstanceReport, InterfaceReport
from cnitrail.model.partitions import partition_of

_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-\d")
_ID = re.compile(r"(?:i|eni)-[0-9a-f]{8,17}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ConsoleLinks(Struct, frozen=True):
    """The addresses of pages in the console; empty if links are not ``enabled``.

    IDs and Regions come from records, so only those of AWS's own form are linked.
    """

    enabled: bool

    def instance(self, instance: InstanceReport) -> str:
        """Return the page of an instance."""
        page = f"InstanceDetails:instanceId={instance.instance}"
        return self._ec2(page, instance.instance, instance.region)

    def eni(self, interface: InterfaceReport, instance: InstanceReport) -> str:
        """Return the page of an ENI, in the Region of its instance."""
        page = f"NetworkInterface:networkInterfaceId={interface.eni}"
        return self._ec2(page, interface.eni, instance.region)

    def event(self, event: Citation) -> str:
        """Return the page of an event, which the console shows for 90 days."""
        if not self.enabled or not _UUID.fullmatch(event.event_id or ""):
            return ""
        return self._page(event.region, "cloudtrailv2", f"/events/{event.event_id}")

    def _ec2(self, page: str, resource: str | None, region: str | None) -> str:
        if not self.enabled or not _ID.fullmatch(resource or ""):
            return ""
        return self._page(region, "ec2", page)

    def _page(self, region: str | None, service: str, page: str) -> str:
        if region is None or not _REGION.fullmatch(region):
            return ""
        console = partition_of(region).console
        return f"https://{region}.{console}/{service}/home?region={region}#{page}" if console else ""
