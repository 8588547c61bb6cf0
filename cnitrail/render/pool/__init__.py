"""Pools as charts and tables, and as CSV with one line per size."""

from typing import IO

from cnitrail.model import Answer
from cnitrail.model.pool import PoolEntry
from cnitrail.render.csv import Columns, table
from cnitrail.render.pool.comparison import write_against, write_what_if
from cnitrail.render.pool.settings import write_settings
from cnitrail.render.pool.size import limit_of, write_calls, write_nodes, write_size, write_steps

_COLUMNS: Columns = {
    "time": lambda line: line[1].time,
    "instance": lambda line: line[0].instance,
    "nodes": lambda line: line[0].nodes,
    "instance_type": lambda line: line[0].instance_type,
    "cluster": lambda line: line[0].cluster,
    "account": lambda line: line[0].account,
    "region": lambda line: line[0].region,
    "enis": lambda line: line[1].enis,
    "primary": lambda line: line[1].primary,
    "secondary": lambda line: line[1].secondary,
    "prefixes": lambda line: line[1].prefixes,
    "pool": lambda line: line[1].pool,
    "held": lambda line: line[1].held,
    "pool_limit": lambda line: limit_of(line[0], line[1]),
    "enis_limit": lambda line: line[0].limits and line[0].limits.enis,
    "manager": lambda line: line[0].management and line[0].management.manager,
    "events": lambda line: [f"{event.event}#{event.event_id}" for event in line[1].events],
}


def write_csv(answer: Answer[PoolEntry], out: IO[str]) -> None:
    """Write one CSV line per size of each entry."""
    out.writelines(table(_COLUMNS, ((entry, size) for entry in answer.entries for size in entry.size)))


def write_table(answer: Answer[PoolEntry], out: IO[str]) -> None:
    """Write the pool of a single node in full; of several nodes their sum, and a line for each."""
    groups = [entry for entry in answer.entries if entry.instance is None]
    grouped = {node for group in groups for node in group.nodes}
    for group in groups:
        write_size(group, out)
        write_calls(group, out)
        write_what_if(group, out)
        write_nodes([entry for entry in answer.entries if entry.instance in group.nodes], out)
    for entry in answer.entries:
        if entry.instance is not None and entry.instance not in grouped:
            write_size(entry, out)
            write_steps(entry, out)
            write_calls(entry, out)
            write_settings(entry, out)
            write_what_if(entry, out)
            write_against(entry, out)
