"""Opens, reads and decompresses all files below a directory, and nothing else.

`decompress.py DIR NAMES libdeflate|zlib THREADS` prints the number of decompressed bytes.
"""

import os
import sys
import zlib
from collections.abc import Callable, Iterator


def libdeflate() -> Callable[[bytes], bytes | bytearray]:
    """Return libdeflate's function, which needs the size of the text from the end of the gzip file."""
    from deflate import gzip_decompress

    return lambda stored: gzip_decompress(stored, int.from_bytes(stored[-4:], "little"))


def files(directory: str) -> Iterator[str]:
    """Yield the paths of all files, sorted by name."""
    for folder, folders, names in os.walk(directory):
        folders.sort()
        for name in sorted(names):
            yield os.path.join(folder, name)


def main(directory: str, _names: str, library: str, threads: str) -> None:
    """Decompress, and print the size."""
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
