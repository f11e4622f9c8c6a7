"""Memory of an import does not grow with the log: two lengths, each in its own process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import resource, sys
from lbbench.cli import main
try:
    main()
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def log_of(path: Path, requests: int) -> None:
    """Write a log at 1000 requests/s to eight pods; every second client and URI is a new one."""
    with path.open("w", encoding="ascii") as file:
        for i in range(requests):
            second, new = i // 1000, i if i % 2 else i % 5000
            stamp = f"25/Nov/2026:{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
            client = f"10.{new >> 16 & 255}.{new >> 8 & 255}.{new & 255}"
            took = 0.005 + i * 7919 % 40 / 1000
            file.write(
                f'{client} - - [{stamp} +0000] "GET /item/{new}?page={i % 7} HTTP/1.1" 200 612 '
                f'"-" "curl/8.5.0" 180 {took + 0.001:.3f} [shop-web-80] [] '
                f"10.244.{i % 8 // 4}.{i % 8 + 4}:8080 612 {took:.3f} 200 {i:032x}\n"
            )


def peak_of(log: Path, folder: Path) -> float:
    """Return the peak memory of an import, MiB."""
    words = ["import", "access-log", str(log), "-o", str(folder / "out.yaml"), "-q"]
    ended = subprocess.run(
        [sys.executable, "-c", CODE, *words], capture_output=True, text=True, check=True
    )
    return int(ended.stdout.split()[-1]) / 1024


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_memory_is_bounded(tmp_path: Path):
    """Sorting holds runs of bounded length, columns lie in files: 64 MiB more for 1 200 000 lines.

    Held in memory, ten columns and the distinct texts of those lines would take 300 MiB.
    """
    short, long_ = tmp_path / "short.log", tmp_path / "long.log"
    log_of(short, 400_000)
    log_of(long_, 1_600_000)
    assert peak_of(long_, tmp_path) < peak_of(short, tmp_path) + 64
