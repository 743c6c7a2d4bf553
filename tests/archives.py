"""The source archive and the wheel, for the tests of what is in them and of their installation.

``make release`` names the folder of those that it built in ``BBMEASURE_DIST``; else they are built from a copy of the
checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple, Optional

ROOT = Path(__file__).resolve().parents[1]
#: The built page, if there is one.
PAGE = ROOT / "bbmeasure" / "master" / "www" / "static"


class Built(NamedTuple):
    """The archives, and the names in the wheel."""

    wheel: Path
    sdist: Path
    names: frozenset[str]


def released() -> Optional[Path]:
    """The folder of the archives of a release that is being checked."""
    folder = os.environ.get("BBMEASURE_DIST")
    return Path(folder) if folder else None


def archives(folder: Path) -> Built:
    """The archives of the release, else a source archive of a copy of the checkout and the wheel made from that."""
    out = released()
    if out is None:
        out = folder / "dist"
        _build(folder / "checkout", out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        return Built(wheel, sdist, frozenset(archive.namelist()))


def _build(checkout: Path, out: Path) -> None:
    _copy_checkout(checkout)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(checkout)],
        env={**os.environ, "BBMEASURE_PAGE": "skip"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def _copy_checkout(target: Path) -> None:
    """Copy the files that git tracks or would track, and the page if it is built."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    page = [str(path.relative_to(ROOT)) for path in PAGE.rglob("*")]
    for name in [*listed, *page]:
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
