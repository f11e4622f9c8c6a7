"""A Dask cluster of this machine for the tests: a scheduler, and workers that may be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tasks import eventually

HERE = Path(__file__).parent


class Cluster:
    """A scheduler and workers as processes of their own, without nannies that revive workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen] = []

    def start_scheduler(self) -> None:
        """Start the scheduler, read its address."""
        self.scheduler = self.start(
            *("scheduler", "--host", "127.0.0.1", "--port", "0"),
            *("--scheduler-file", str(self.folder / "scheduler.json")),
        )
        file = self.folder / "scheduler.json"
        assert eventually(lambda: file.exists() and file.read_text(encoding="utf-8"), 30)
        self.address = json.loads(file.read_text(encoding="utf-8"))["address"]

    def start(self, what: str, *options: str, path: str | None = None) -> subprocess.Popen:
        """Start a ``scheduler`` or ``worker`` that can import lbbench and the tests' tasks."""
        code = f"from distributed.cli.dask_{what} import main; main()"
        path = path or os.pathsep.join([str(HERE.parent), str(HERE)])
        with (self.folder / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", code, *options, "--no-dashboard"],
                env={**os.environ, "PYTHONPATH": path},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def worker(self, path: str | None = None, threads: int = 1) -> subprocess.Popen:
        """Start a worker."""
        return self.start(
            *(
                "worker",
                self.address,
                "--host",
                "127.0.0.1",
                "--nthreads",
                str(threads),
                "--no-nanny",
            ),
            *("--local-directory", str(self.folder)),
            path=path,
        )

    def end(self) -> None:
        """Kill all that is left."""
        for process in self.processes:
            process.kill()
            process.wait()
