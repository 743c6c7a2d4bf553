"""Builds the web page into the package where npm is there to do it; all the rest is in setup.cfg.

Without npm, or where npm fails, the package is installed without the page and the build's log says so.  With
``BBMEASURE_PAGE=require`` in the environment that is an error instead, and with ``BBMEASURE_PAGE=skip`` npm is never
asked.  A release's source archive carries the built page: nobody who installs it needs npm.
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
    """Whether the page is missing or, in a checkout, older than what it is made of."""
    if not PAGE.exists():
        return True
    if not (HERE / ".git").exists():  # an unpacked archive's times tell nothing
        return False
    made_of = [path for path in SOURCES.iterdir() if path.is_file()] + list((SOURCES / "src").rglob("*"))
    return max(path.stat().st_mtime for path in made_of) > PAGE.stat().st_mtime


def run_npm() -> str:
    """Install what the page is made with, where that is not there yet, and make it; why not, where that fails."""
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
    """Make the page where it is needed and can be made."""
    wish = os.environ.get("BBMEASURE_PAGE", "auto")
    if wish == "skip" or not SOURCES.is_dir() or not is_stale():
        return
    why = run_npm()
    if not why:
        return
    message = f"the Measurements page of bbmeasure was not built: {why}"
    if wish == "require":
        raise SystemExit(message)
    log.warning("%s; everything else works without it", message)


class BuildWithPage(build_py):
    """What wheels and editable installs run."""

    def run(self) -> None:
        """Build the page first: the list of files is made from what is there."""
        build_page()
        super().run()


class SourceWithPage(sdist):
    """The source archive, with the page built."""

    def run(self) -> None:
        """Build the page first: the list of files is made from what is there."""
        build_page()
        super().run()


setup(cmdclass={"build_py": BuildWithPage, "sdist": SourceWithPage})
