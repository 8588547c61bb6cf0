"""``python -m fuzz.guided TARGET [OPTION]...``: atheris drives a target, guided by the code that it reaches.

For inputs that reach what no others do: those that are new are written to the first directory that is
named. The options are libFuzzer's, as ``-runs=100000 -max_len=100000 NEW_DIRECTORY fuzz/corpus/records``.
It wants atheris (``pip install '.[fuzz]'``).
"""

import sys
from random import Random

import atheris

with atheris.instrument_imports(include=["cnitrail"]):
    from fuzz.engine import changed
    from fuzz.targets import TARGETS


def main(name: str, *options: str) -> None:
    """Fuzz a target until libFuzzer's options, or a fault, end it."""
    target = TARGETS[name]

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        return changed(target, data, Random(seed))[:most]

    atheris.Setup([name, *options], target.check, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
