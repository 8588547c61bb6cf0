"""``python -m fuzz``: a long run, or single inputs again."""

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
@click.option("--inputs", default=1_000_000, show_default=True, help="Total number of inputs.")
@click.option(
    "--seed", type=int, help="Repeat the run with this seed.  [default: a random seed, which is printed]"
)
@click.option("--part", "first", default=0, help="Resume a stopped run at this part.")
@click.option(
    "--input",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Try only this file, with the named targets.",
)
@click.option(
    "--keep",
    default="fuzz/found",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for inputs that caused a fault.",
)
def main(
    names: tuple[str, ...], inputs: int, seed: int | None, first: int, files: tuple[Path, ...], keep: Path
) -> None:
    """Try every reader and renderer, or the named targets, with malformed and hostile inputs."""
    unknown = sorted(set(names) - TARGETS.keys())
    if unknown:
        raise click.UsageError(f"unknown target: {', '.join(unknown)}; choose from {', '.join(TARGETS)}")
    targets = [TARGETS[name] for name in names or TARGETS]
    if files:
        found = [attempt(target, file.read_bytes()) for target in targets for file in files]
        for fault in filter(None, found):
            click.echo(fault.why)
        sys.exit(any(found))
    seed = SystemRandom().randrange(2**32) if seed is None else seed
    click.echo(f"seed {seed}; limits per input: {SECONDS} s, {MEMORY >> 20} MB")
    parts = parts_of(targets, inputs)
    outcomes: list[Outcome] = []
    try:
        for outcome in run(parts[first:], seed):
            outcomes.append(outcome)
            _report(outcome, keep)
    except KeyboardInterrupt:
        done = [outcome.part for outcome in outcomes]
        resume_at = next(
            (number for number, part in enumerate(parts) if number >= first and part not in done), 0
        )
        click.echo(f"stopped; resume with --seed {seed} --inputs {inputs} --part {resume_at}")
    _print_summary(outcomes)
    sys.exit(any(outcome.faults for outcome in outcomes))


def _report(outcome: Outcome, keep: Path) -> None:
    """Print the result of a part, and save the inputs that caused faults."""
    numbers = outcome.part.numbers
    done = f"{outcome.part.target.name} {numbers.start:,} to {numbers.stop:,}: {outcome.seconds:.0f} s"
    click.echo(f"{done}, {outcome.peak >> 20} MB, {len(outcome.faults)} faults")
    for fault in outcome.faults:
        click.echo(f"    {fault.kind}: {_saved(outcome, fault, keep)}")
        click.echo("        " + fault.why.strip().splitlines()[-1][:300])


def _saved(outcome: Outcome, fault: Fault, keep: Path) -> Path:
    keep.mkdir(parents=True, exist_ok=True)
    path = keep / f"{outcome.part.target.name}-{sha256(fault.kind.encode()).hexdigest()[:12]}"
    path.write_bytes(fault.data)
    return path


def _print_summary(outcomes: list[Outcome]) -> None:
    """Print a table with one line per target and one for all."""
    by_target: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_target[outcome.part.target.name].append(outcome)
    click.echo("\n" + _ROW.format("TARGET", "INPUTS", "SECONDS", "PEAK MB", "FAULTS"))
    for name in filter(by_target.__contains__, TARGETS):
        click.echo(_summary_row(name, by_target[name]))
    click.echo(_summary_row("all", outcomes))


def _summary_row(name: str, outcomes: list[Outcome]) -> str:
    return _ROW.format(
        name,
        f"{sum(outcome.inputs for outcome in outcomes):,}",
        f"{sum(outcome.seconds for outcome in outcomes):,.0f}",
        max((outcome.peak for outcome in outcomes), default=0) >> 20,
        len({(name, fault.kind) for outcome in outcomes for fault in outcome.faults}),
    )


if __name__ == "__main__":
    main()
