"""What is tried: a row for each target.

A target takes bytes and returns nothing. It raises where something does not hold: an ``AssertionError``
that says what, or whatever our code raised and must not. A new target is a row here, and inputs to
begin with in its corpus.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from msgspec import Struct

from cnitrail.cli.outputs import OUTPUTS
from fuzz.mutate import mutated, mutated_file
from fuzz.targets import digests, files, histories, outputs, records, texts

Mutate = Callable[[bytes, Random], bytes]


class Target(Struct, frozen=True):
    """Something to try: its name, what it does with an input, and where its inputs come from.

    ``corpus`` is the folder of its first inputs, ``mutate`` makes others of them. Where there are many
    inputs, it has ``share`` times as many of them as a target with a share of one.
    """

    name: str
    check: Callable[[bytes], None]
    corpus: str
    mutate: Mutate = mutated
    share: int = 1


_TARGETS: Final = (
    Target("sources", files.sources, "files", mutated_file, share=10),
    Target("scan", files.scan, "files", mutated_file, share=16),
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
    Target("digests", digests.digests, "digests", share=2),
    Target("public-keys", digests.public_keys, "public-keys", share=8),
    Target("sums", digests.sums, "sums", share=8),
    *(
        Target(f"{command}-{output}", outputs.writes(command, output), "records", share=3)
        for command in filter(outputs.ANSWERS.__contains__, OUTPUTS)
        for output in OUTPUTS[command]
    ),
)

TARGETS: Final = {target.name: target for target in _TARGETS}
