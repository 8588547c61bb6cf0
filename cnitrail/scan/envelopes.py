"""The envelopes in which records are stored and exported: one table of literal paths, from the outside in.

A record may contain any JSON that its caller chose, also texts and objects that look like records. So nothing
is searched for: a record is only where a path of the table ends, and nothing inside a record is looked at. A
new envelope is one row here and one sample in the tests.

A path consists of keys (in quotes if they contain dots), ``[]`` for each element of a list, ``{key=value}``
for an object with this value, and conversions: ``|json`` for a JSON text, ``|base64``, ``|gzip`` (if it is
gzipped). Nested text is converted only where a row says so.
"""

from enum import Enum
from typing import Final

from msgspec import Struct


class Content(Enum):
    """What is at the end of a path."""

    RECORD = "record"
    MESSAGE = "message"
    """What a log or queue has as a message: a record, an EventBridge event or an SNS notification."""
    ROW = "row"
    """A row of a query engine, from which a record may be rebuilt."""
    ATHENA_RESULT = "athena-result"
    """The rows of Athena's GetQueryResults, and the names of their columns."""
    LAKE_ROW = "lake-row"
    """A row of CloudTrail Lake's GetQueryResults."""


class Envelope(Struct, frozen=True):
    """A row of the table: the form's name, the path, and what is at its end."""

    form: str
    path: str
    content: Content = Content.RECORD


_MESSAGE, _ROW = Content.MESSAGE, Content.ROW

ENVELOPES: Final = (
    Envelope("records", "", _MESSAGE),
    Envelope("records", "|json", _MESSAGE),
    Envelope("trail", "Records"),
    Envelope("trail", "Records[]"),
    Envelope("lookup-events", "CloudTrailEvent"),
    Envelope("lookup-events", "CloudTrailEvent|json"),
    Envelope("lookup-events", "Events[]"),
    Envelope("lookup-events", "value[].CloudTrailEvent|json"),
    Envelope("lookup-events", "Events[].CloudTrailEvent"),
    Envelope("lookup-events", "Events[].CloudTrailEvent|json"),
    Envelope("steampipe", "cloud_trail_event|json"),
    Envelope("steampipe", "rows[].cloud_trail_event|json"),
    Envelope("cloudwatch-logs", "events[].message|json", _MESSAGE),
    Envelope("cloudwatch-logs", "logEvents[].message|json", _MESSAGE),
    Envelope("cloudwatch-logs", "awslogs.data|base64|gzip|json.logEvents[].message|json", _MESSAGE),
    Envelope("cloudwatch-logs", "Records[].kinesis.data|base64|gzip|json.logEvents[].message|json", _MESSAGE),
    Envelope("eventbridge", "Records[].kinesis.data|base64|gzip|json", _MESSAGE),
    Envelope("cloudwatch-logs", "Records[].Data|base64|gzip|json.logEvents[].message|json", _MESSAGE),
    Envelope("eventbridge", "Records[].Data|base64|gzip|json", _MESSAGE),
    Envelope("cloudwatch-logs", "records[].data|base64|gzip|json.logEvents[].message|json", _MESSAGE),
    Envelope("eventbridge", "records[].data|base64|gzip|json", _MESSAGE),
    Envelope("logs-insights", "results[][]{field=@message}.value|json", _MESSAGE),
    Envelope("logs-insights", "{field=@message}.value|json", _MESSAGE),
    Envelope("logs-insights", "@message", _MESSAGE),
    Envelope("logs-insights", "@message|json", _MESSAGE),
    Envelope("sqs", "Messages[].Body|json", _MESSAGE),
    Envelope("sqs", "Body|json", _MESSAGE),
    Envelope("sqs", "Records[].body|json", _MESSAGE),
    Envelope("sns", "Records[].Sns.Message|json", _MESSAGE),
    Envelope("elastic", "hits.hits[]._source.event.original|json"),
    Envelope("elastic", "hits.hits[]._source.message|json", _MESSAGE),
    Envelope("elastic", "_source.event.original|json"),
    Envelope("elastic", "_source.message|json", _MESSAGE),
    Envelope("elastic", "_source"),
    Envelope("elastic", "hits.hits[]._source"),
    Envelope("elastic", "event.original|json"),
    Envelope("elastic", '"event.original"|json'),
    Envelope("elastic", 'fields."event.original"[]|json'),
    Envelope("elastic", 'hits.hits[].fields."event.original"[]|json'),
    Envelope("splunk", "_raw|json"),
    Envelope("splunk", "result._raw|json"),
    Envelope("splunk", "results[]._raw|json"),
    Envelope("splunk", "event"),
    Envelope("splunk", "event|json"),
    Envelope("datadog", "attributes"),
    Envelope("datadog", "attributes.attributes"),
    Envelope("datadog", "attributes.message|json"),
    Envelope("datadog", "data[].attributes.attributes"),
    Envelope("datadog", "data[].attributes.message|json"),
    Envelope("datadog", "logs[].content.attributes"),
    Envelope("datadog", "logs[].content.message|json"),
    Envelope("sumo-logic", "map._raw|json"),
    Envelope("sumo-logic", "messages[].map._raw|json"),
    Envelope("graylog", "full_message|json"),
    Envelope("graylog", "messages[].message.full_message|json"),
    Envelope("wazuh", "data.aws"),
    Envelope("wazuh", "_source.data.aws"),
    Envelope("wazuh", "hits.hits[]._source.data.aws"),
    Envelope("log-messages", "message|json", _MESSAGE),
    Envelope("log-messages", "input.message|json", _MESSAGE),
    Envelope("log-messages", "log|json", _MESSAGE),
    Envelope("log-messages", "line|json", _MESSAGE),
    Envelope("log-messages", "Line|json", _MESSAGE),
    Envelope("records", "items[]"),
    Envelope("records", "records[]"),
    Envelope("athena", "ResultSet", Content.ATHENA_RESULT),
    Envelope("cloudtrail-lake", "QueryResultRows[]", Content.LAKE_ROW),
    Envelope("records", "", _ROW),
    Envelope("records", "rows[]", _ROW),
    Envelope("elastic-fields", "_source", _ROW),
    Envelope("elastic-fields", "hits.hits[]._source", _ROW),
)
"""The first path that leads to a record counts, so what keeps a record whole comes first."""

POD_ENVELOPES: Final = (
    Envelope("kubernetes-pods", "items[]"),
    Envelope("kubernetes-pods", "object"),
    Envelope("kube-state-metrics", "data.result[]"),
    Envelope("kube-state-metrics", "result[]"),
    Envelope("eks-audit", "streams[]"),
    Envelope("eks-audit", "kubernetes.audit"),
    Envelope("eks-audit", "_source.kubernetes.audit"),
    Envelope("eks-audit", "hits.hits[]._source.kubernetes.audit"),
)
"""The envelopes of pod evidence alone, in which no record of CloudTrail is looked for: lists and watch events
of Kubernetes, the answers of Prometheus and Loki, and Elastic's documents of audit events."""

MESSAGES: Final = (
    ("", None),
    (".detail", "eventbridge"),
    (".log|json", "log-messages"),
    (".log_processed", "log-messages"),
    (".Message|json", "sns"),
    (".Message|json.detail", "eventbridge"),
)
"""What a message may be, and the form that it has if nothing is around it."""
