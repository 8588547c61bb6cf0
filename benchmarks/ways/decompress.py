"""Opens, reads and decompresses all files below a directory, and does nothing else with them.

`decompress.py DIR NAMES libdeflate|zlib THREADS` prints how many bytes came out.
"""

import os
import sys
import zlib
from collections.abc import Callable, Iterator


def libdeflate() -> Callable[[bytes], bytes | bytearray]:
    """How libdeflate does it: it must know the size of the text, which stands at the end of a gzip file."""
    from deflate import gzip_decompress

    return lambda stored: gzip_decompress(stored, int.from_bytes(stored[-4:], "little"))


def files(directory: str) -> Iterator[str]:
    """The paths of all files, in the order of their names."""
    for folder, folders, names in os.walk(directory):
        folders.sort()
        for name in sorted(names):
            yield os.path.join(folder, name)


def main(directory: str, _names: str, library: str, threads: str) -> None:
    """Decompresses, and counts."""
    unzip = libdeflate() if library == "libdeflate" else lambda stored: zlib.decompress(stored, 31)

    def size(path: str) -> int:
        with open(path, "rb", buffering=0) as file:
            return len(unzip(file.read()))

    if threads == "1":
        print(sum(map(size, files(directory))))
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(int(threads)) as pool:
        print(sum(pool.map(size, files(directory))))


if __name__ == "__main__":
    main(*sys.argv[1:])
