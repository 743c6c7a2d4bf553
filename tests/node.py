"""Packages of npm that tests run, installed into ``.cache/``."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def with_package(name: str, version: str) -> Path:
    """Return the folder of the commands of a package, which is installed if it is not there."""
    folder = ROOT / ".cache" / f"{name}-{version}"
    ready = folder / "ready"
    folder.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            command = [
                "npm",
                "install",
                "--no-save",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                f"{name}@{version}",
            ]
            (folder / "package.json").write_text("{}")
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, f"npm and Node.js 20 or newer are needed: {done.stderr}"
            ready.touch()
    return folder / "node_modules" / ".bin"
