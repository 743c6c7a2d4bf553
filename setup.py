"""Build of the web page; all package metadata is in setup.cfg.

The page needs npm.  Without npm, or if npm fails, the package is built without the page and a warning is logged.  With
``BBMEASURE_PAGE=require`` in the environment that is an error; with ``BBMEASURE_PAGE=skip`` the page is not built.  A
source archive contains the built page, so that its users do not need npm.
"""

import logging
import os
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "www"
MODULES = SOURCES / "node_modules"
PAGE = HERE / "bbmeasure" / "master" / "www" / "static" / "scripts.js"

log = logging.getLogger("bbmeasure")


def is_stale() -> bool:
    """Whether the page is missing or, in a git checkout, older than its sources."""
    if not PAGE.exists():
        return True
    if not (HERE / ".git").exists():  # the times in an unpacked archive are arbitrary
        return False
    sources = [path for path in SOURCES.iterdir() if path.is_file()] + list((SOURCES / "src").rglob("*"))
    return max(path.stat().st_mtime for path in sources) > PAGE.stat().st_mtime


def run_npm() -> str:
    """Install the page's dependencies if necessary and build the page.  Returns the error, or an empty string."""
    npm = shutil.which("npm")
    if npm is None:
        return "there is no npm on this machine"
    lock, installed = SOURCES / "package-lock.json", MODULES / ".package-lock.json"
    commands = [[npm, "run", "build"]]
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        commands.insert(0, [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"])
    try:
        for command in commands:
            subprocess.run(command, cwd=SOURCES, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return str(error)
    return ""


def build_page() -> None:
    """Build the page if it is stale and ``BBMEASURE_PAGE`` does not skip it."""
    mode = os.environ.get("BBMEASURE_PAGE", "auto")
    if mode == "skip" or not SOURCES.is_dir() or not is_stale():
        return
    error = run_npm()
    if not error:
        return
    message = f"the Measurements page of bbmeasure was not built: {error}"
    if mode == "require":
        raise SystemExit(message)
    log.warning("%s; everything else works without it", message)


class BuildWithPage(build_py):
    """Build command of wheels and editable installations."""

    def run(self) -> None:
        """Build the page before setuptools lists the files of the package."""
        build_page()
        super().run()


class SourceWithPage(sdist):
    """Build command of the source archive."""

    def run(self) -> None:
        """Build the page before setuptools lists the files of the archive."""
        build_page()
        super().run()


setup(cmdclass={"build_py": BuildWithPage, "sdist": SourceWithPage})
