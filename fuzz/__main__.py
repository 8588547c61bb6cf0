"""``python -m fuzz``: a long run, and single inputs once more."""

import sys
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from random import SystemRandom

import click

from fuzz.engine import MEMORY, SECONDS, Fault, attempt
from fuzz.run import Outcome, parts_of, run
from fuzz.targets import TARGETS

_ROW = "{:24} {:>10} {:>9} {:>9} {:>7}"


@click.command()
@click.argument("names", nargs=-1, metavar="[TARGET]...")
@click.option("--inputs", default=1_000_000, show_default=True, help="How many in all.")
@click.option("--seed", type=int, help="Does a run again, exactly.  [default: a new one, which is told]")
@click.option("--part", "first", default=0, help="Goes on with this part of a run that was stopped.")
@click.option(
    "--input",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Tries only this file, with the targets that are named.",
)
@click.option(
    "--keep",
    default="fuzz/found",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where inputs are kept that did what none may do.",
)
def main(
    names: tuple[str, ...], inputs: int, seed: int | None, first: int, files: tuple[Path, ...], keep: Path
) -> None:
    """Try every reader and every renderer, or those that are named, with inputs that nobody would write."""
    unknown = sorted(set(names) - TARGETS.keys())
    if unknown:
        raise click.UsageError(f"no such target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    targets = [TARGETS[name] for name in names or TARGETS]
    if files:
        found = [attempt(target, file.read_bytes()) for target in targets for file in files]
        for fault in filter(None, found):
            click.echo(fault.why)
        sys.exit(any(found))
    seed = SystemRandom().randrange(2**32) if seed is None else seed
    click.echo(f"seed {seed}; an input has {SECONDS} s and {MEMORY >> 20} MB")
    parts = parts_of(targets, inputs)
    outcomes: list[Outcome] = []
    try:
        for outcome in run(parts[first:], seed):
            outcomes.append(outcome)
            _tell(outcome, keep)
    except KeyboardInterrupt:
        done = [each.part for each in outcomes]
        undone = next(
            (number for number, part in enumerate(parts) if number >= first and part not in done), 0
        )
        click.echo(f"stopped; --seed {seed} --inputs {inputs} --part {undone} goes on")
    _sum_up(outcomes)
    sys.exit(any(outcome.faults for outcome in outcomes))


def _tell(outcome: Outcome, keep: Path) -> None:
    """Say what came of a part, and keep the inputs of its faults."""
    numbers = outcome.part.numbers
    done = f"{outcome.part.target.name} {numbers.start:,} to {numbers.stop:,}: {outcome.seconds:.0f} s"
    click.echo(f"{done}, {outcome.peak >> 20} MB, {len(outcome.faults)} faults")
    for fault in outcome.faults:
        click.echo(f"    {fault.kind}: {_kept(outcome, fault, keep)}")
        click.echo("        " + fault.why.strip().splitlines()[-1][:300])


def _kept(outcome: Outcome, fault: Fault, keep: Path) -> Path:
    keep.mkdir(parents=True, exist_ok=True)
    path = keep / f"{outcome.part.target.name}-{sha256(fault.kind.encode()).hexdigest()[:12]}"
    path.write_bytes(fault.data)
    return path


def _sum_up(outcomes: list[Outcome]) -> None:
    """A table with a line for each target, and one for all."""
    by_target: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_target[outcome.part.target.name].append(outcome)
    click.echo("\n" + _ROW.format("TARGET", "INPUTS", "SECONDS", "PEAK MB", "FAULTS"))
    for name in filter(by_target.__contains__, TARGETS):
        click.echo(_summed(name, by_target[name]))
    click.echo(_summed("all", outcomes))


def _summed(name: str, outcomes: list[Outcome]) -> str:
    return _ROW.format(
        name,
        f"{sum(each.inputs for each in outcomes):,}",
        f"{sum(each.seconds for each in outcomes):,.0f}",
        max((each.peak for each in outcomes), default=0) >> 20,
        len({(name, fault.kind) for each in outcomes for fault in each.faults}),
    )


if __name__ == "__main__":
    main()
