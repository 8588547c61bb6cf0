"""``python -m fuzz.guided TARGET [OPTION]...``: coverage-guided fuzzing of a target with atheris.

Inputs that reach new code are written to the first directory in the options, which are libFuzzer's, such as
``-runs=100000 -max_len=100000 NEW_DIRECTORY fuzz/corpus/records``. Requires atheris
(``pip install '.[fuzz]'``).
"""

import sys
from random import Random

import atheris

with atheris.instrument_imports(include=["cnitrail"]):
    from fuzz.engine import changed
    from fuzz.targets import TARGETS


def main(name: str, *options: str) -> None:
    """Fuzz a target until libFuzzer's options or a fault end the run."""
    target = TARGETS[name]

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        return changed(target, data, Random(seed))[:most]

    atheris.Setup([name, *options], target.check, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
