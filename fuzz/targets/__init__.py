"""The targets, one row each.

A target takes bytes and returns nothing. It raises an ``AssertionError`` if an invariant is violated; any
other exception is one that our code must not raise. A new target is a row here, and seed inputs in its
corpus.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from msgspec import Struct

from cnitrail.render.writers import OUTPUTS
from fuzz.mutate import mutated, mutated_container, mutated_file, mutated_form
from fuzz.targets import (
    containers,
    digests,
    exports,
    files,
    flow_logs,
    histories,
    outputs,
    pod_evidence,
    records,
    tables,
    texts,
)

Mutate = Callable[[bytes, Random], bytes]


class Target(Struct, frozen=True):
    """What is fuzzed: a name, a check of one input, and where the inputs come from.

    ``corpus`` is the folder of the seed inputs, which ``mutate`` changes. In a long run it gets ``share``
    times as many inputs as a target with a share of one.
    """

    name: str
    check: Callable[[bytes], None]
    corpus: str
    mutate: Mutate = mutated
    share: int = 1


_TARGETS: Final = (
    Target("sources", files.sources, "files", mutated_file, share=10),
    Target("scan", files.scan, "files", mutated_file, share=16),
    Target("forms", files.forms, "forms", mutated_form, share=16),
    Target("containers", containers.containers, "containers", mutated_container, share=16),
    Target("pod-evidence", pod_evidence.pod_evidence, "pod-evidence", mutated_form, share=16),
    Target("flow-logs", flow_logs.flow_logs, "flow-logs", mutated_form, share=16),
    Target("decode", records.decode, "records", share=32),
    Target("history", histories.history, "records", share=32),
    Target("answers", histories.answers, "records", share=20),
    Target("filters", texts.filters, "filters", share=2),
    Target("options", texts.options, "options", share=40),
    Target("user-agents", texts.user_agents, "user-agents", share=40),
    Target("batch", texts.batch, "batch", share=32),
    Target("metrics", texts.metrics, "metrics", share=8),
    Target("enis", texts.enis, "enis", share=10),
    Target("pods", texts.pods, "pods", share=16),
    Target("instance-types", texts.instance_types, "instance-types", share=10),
    Target("live", texts.live, "live", share=12),
    Target("structs", exports.structs, "structs", share=10),
    Target("rows", exports.rows, "rows", share=10),
    Target("csv", exports.csv, "csv", share=4),
    Target("yaml", exports.yaml, "yaml", share=4),
    Target("parquet", exports.parquet, "parquet"),
    Target("column-types", tables.column_types, "column-types", share=20),
    Target("date-patterns", tables.date_patterns, "date-patterns", share=20),
    Target("table-answers", tables.answers, "answers", share=16),
    Target("engine-errors", tables.engine_errors, "engine-errors", share=10),
    Target("digests", digests.digests, "digests", share=2),
    Target("public-keys", digests.public_keys, "public-keys", share=8),
    Target("sums", digests.sums, "sums", share=8),
    *(
        Target(f"{command}-{output}", outputs.writes(command, output), "records", share=3)
        for command in filter(outputs.ANSWERS.__contains__, OUTPUTS)
        for output in OUTPUTS[command]
        if output != "parquet"  # it is no text
    ),
)

TARGETS: Final = {target.name: target for target in _TARGETS}
