"""Series of ``kube_pod_info`` and ``kube_pod_ips`` (kube-state-metrics), as Prometheus answers queries.

https://prometheus.io/docs/prometheus/latest/querying/api/ and docs/metrics/workload/pod-metrics.md of
kube-state-metrics.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from cnitrail.decode.pods.reading import NOTHING, PodReading
from cnitrail.decode.shapes import Fields, address, fields, flag, text
from cnitrail.model import Address
from cnitrail.model.pod_facts import PodScraped
from cnitrail.model.pods import PodName

_GAP = timedelta(minutes=5)
"""After this, Prometheus takes a series that has no new sample for ended (``query.lookback-delta``)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999."""


def read(entry: object) -> PodReading:
    """Return the times in which a series shows a pod with an address."""
    series = fields(entry)
    labels = _own_labels(fields(series.get("metric")))
    namespace, name = text(labels.get("namespace")), text(labels.get("pod"))
    ip = _address(labels)
    if namespace is None or name is None or ip is None:
        return NOTHING
    facts = tuple(
        PodScraped(
            pod=PodName(namespace, name),
            uid=text(labels.get("uid")),
            node=text(labels.get("node")),
            ip=ip,
            host_network=_is_on_host_network(labels),
            first=first,
            last=last,
        )
        for first, last in _runs(_times(series))
    )
    return PodReading(facts=facts) if facts else NOTHING


def _own_labels(labels: Fields) -> Fields:
    """Return the labels that kube-state-metrics gave: without ``honor_labels``, Prometheus renames them.

    It then uses ``pod`` and ``namespace`` for the pod of kube-state-metrics itself.
    """
    return {**labels, **{_renamed(key): labels[key] for key in labels if _renamed(key) != key}}


def _renamed(label: str) -> str:
    return label.removeprefix("exported_")


def _address(labels: Fields) -> Address | None:
    """Return the address of a series by its labels; an aggregation drops the name of the metric."""
    key = {"kube_pod_info": "pod_ip", "kube_pod_ips": "ip"}.get(str(labels.get("__name__", "")))
    if key is None and "__name__" not in labels:
        key = "pod_ip" if "pod_ip" in labels else "ip"
    return address(text(labels.get(key)) or "") if key is not None else None


def _is_on_host_network(labels: Fields) -> bool | None:
    """Return whether the address is the node's; None if the labels do not say so."""
    host = text(labels.get("host_ip"))
    if host is not None and host == labels.get("pod_ip"):
        return True
    return flag(labels.get("host_network"))


def _samples(series: Fields) -> list[object]:
    """Return the samples, each a time and a value; VictoriaMetrics exports them as two lists."""
    values, milliseconds = series.get("values"), series.get("timestamps")
    if not isinstance(values, list):
        return [series.get("value")]
    if not isinstance(milliseconds, list):
        return values
    times = (
        time / 1000 if isinstance(time, int) and abs(time) < _LAST_SECOND * 1000 else 0
        for time in milliseconds
    )
    return list(map(list, zip(times, values, strict=False)))


def _times(series: Fields) -> Iterator[datetime]:
    """Yield the times of the samples that show the pod: of a gauge that is always 1."""
    for sample in _samples(series):
        match sample:
            case [int() | float() as second, "1" | "1.0" | 1] if (
                second is not True and 0 < second < _LAST_SECOND
            ):
                yield _EPOCH + timedelta(seconds=second)


def _runs(times: Iterable[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """Yield the first and last time of samples without a long gap between them."""
    first = last = None
    for sample in sorted(times):
        if first is None or last is None:
            first = sample
        elif sample - last > _GAP:
            yield first, last
            first = sample
        last = sample
    if first is not None and last is not None:
        yield first, last
