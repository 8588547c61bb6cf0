"""The forms in which CloudTrail records are stored and exported, and what each form keeps of a record."""

from enum import IntEnum

from msgspec import Struct


class Fidelity(IntEnum):
    """How much of a record a form keeps; of two copies of an event, the one with the higher value counts."""

    PARTIAL = 0
    """Some fields of the caller or of the call are missing."""
    REBUILT = 1
    """All fields that matter are there, put together again from text or columns."""
    RAW = 2
    """The record as CloudTrail wrote it."""


class Form(Struct, frozen=True, kw_only=True):
    """A form of CloudTrail records.

    ``title`` is what people call it. ``identity_basis`` is the code for how the caller's identity was put
    together; None if the form keeps CloudTrail's userIdentity. ``losses`` names what is missing.
    """

    title: str
    fidelity: Fidelity = Fidelity.RAW
    identity_basis: str | None = None
    losses: str | None = None


TRAIL = "trail"
"""The form of a trail's log files, and the default."""

FORMS: dict[str, Form] = {
    TRAIL: Form(title="CloudTrail log file"),
    "records": Form(title="records: one, an array of them, or one a line"),
    "lookup-events": Form(title="LookupEvents output"),
    "cloudwatch-logs": Form(title="CloudWatch Logs: log events, exports and subscriptions"),
    "log-messages": Form(title="log events of any tool with the record in message"),
    "logs-insights": Form(title="CloudWatch Logs Insights results"),
    "eventbridge": Form(title="EventBridge events"),
    "sns": Form(title="SNS notifications"),
    "sqs": Form(title="SQS messages"),
    "elastic": Form(title="Elasticsearch documents with event.original"),
    "splunk": Form(title="Splunk results with _raw"),
    "datadog": Form(title="Datadog logs"),
    "sumo-logic": Form(title="Sumo Logic messages with _raw"),
    "graylog": Form(title="Graylog messages with full_message"),
    "steampipe": Form(title="steampipe rows of aws_cloudtrail_lookup_event"),
    "wazuh": Form(
        title="Wazuh alerts and archives",
        fidelity=Fidelity.REBUILT,
        losses="lists of one element lost their brackets",
    ),
    "athena": Form(
        title="Athena and Trino rows",
        fidelity=Fidelity.REBUILT,
        identity_basis="query-row",
        losses="columns that were not selected",
    ),
    "cloudtrail-lake": Form(
        title="CloudTrail Lake rows",
        fidelity=Fidelity.REBUILT,
        identity_basis="query-row",
        losses="columns that were not selected",
    ),
    "lake-event-json": Form(title="CloudTrail Lake rows with eventJson"),
    "security-lake": Form(
        title="Security Lake, OCSF 1.1 or later",
        fidelity=Fidelity.REBUILT,
        identity_basis="ocsf",
        losses="fields for which OCSF has no place",
    ),
    "tailpipe": Form(
        title="tailpipe rows of aws_cloudtrail_log",
        fidelity=Fidelity.REBUILT,
        identity_basis="tailpipe",
        losses="inScopeOf, onBehalfOf and credentialId of the caller",
    ),
    "elastic-fields": Form(
        title="Elasticsearch documents without event.original",
        fidelity=Fidelity.PARTIAL,
        identity_basis="elastic-fields",
        losses="the caller's identity provider and ec2RoleDelivery, and empty fields",
    ),
    "sentinel": Form(
        title="Microsoft Sentinel rows of AWSCloudTrail",
        fidelity=Fidelity.PARTIAL,
        identity_basis="sentinel-columns",
        losses="the caller's identity provider and ec2RoleDelivery",
    ),
    "eks-audit": Form(title="Kubernetes audit events, of EKS or another API server"),
    "ipamd-log": Form(title="logs of the VPC CNI: ipamd.log and plugin.log"),
    "ipamd-enis": Form(title="ipamd's answer to /v1/enis"),
    "ipam-checkpoint": Form(title="ipamd's checkpoint ipam.json"),
    "kubernetes-pods": Form(title="pods as kubectl get pods -o json prints them"),
    "kube-state-metrics": Form(title="kube_pod_info and kube_pod_ips, from Prometheus"),
    "node-facts": Form(title="files of the eks-log-collector that name the node"),
}
"""Each form by its name in ``Origin.form``."""

POD_FORMS = frozenset(
    {
        "eks-audit",
        "ipamd-log",
        "ipamd-enis",
        "ipam-checkpoint",
        "kubernetes-pods",
        "kube-state-metrics",
        "node-facts",
    }
)
"""The forms of evidence about pods; all others are of CloudTrail records."""

IS_CUT = "cnitrail:cut"
CLOUDWATCH_TIME = "cnitrail:cloudwatch-time"
"""Fields that a cut audit event gets when it is completed: no API server writes them."""


def form_of(name: str) -> Form:
    """Return a form by its name; an unknown one, from a newer store, is taken to lack fields."""
    return FORMS.get(name, _UNKNOWN)


_UNKNOWN = Form(title="unknown form", fidelity=Fidelity.PARTIAL)
