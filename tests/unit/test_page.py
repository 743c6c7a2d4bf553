"""The web page's sources, and the build that puts it into the package."""

from __future__ import annotations

import json
import logging
import os
import runpy
import subprocess
from pathlib import Path

import pytest
import setuptools

from bbmeasure import units

ROOT = Path(__file__).resolve().parents[2]
WWW = ROOT / "www"


@pytest.fixture
def build(monkeypatch, tmp_path):
    """The names of setup.py, on a checkout that is empty but for a source of the page."""
    monkeypatch.setattr(setuptools, "setup", lambda **_: None)
    names = runpy.run_path(str(ROOT / "setup.py"))
    within = names["build_page"].__globals__
    within.update(HERE=tmp_path, SOURCES=tmp_path / "www", MODULES=tmp_path / "node_modules", PAGE=tmp_path / "page.js")
    (tmp_path / "www" / "src").mkdir(parents=True)
    (tmp_path / "www" / "package-lock.json").write_text("{}")
    (tmp_path / "www" / "src" / "index.tsx").write_text("source")
    (tmp_path / ".git").mkdir()
    monkeypatch.delenv("BBMEASURE_PAGE", raising=False)
    return within


@pytest.fixture
def npm(build, monkeypatch):
    """An npm that only notes what it was asked, and makes a page when it is told to build."""
    asked = []

    def run(command, cwd, check):
        assert (cwd, check) == (build["SOURCES"], True)
        asked.append(command[1])
        if command[1] == "run":
            build["PAGE"].write_text("page")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(build["shutil"], "which", lambda _: "/usr/bin/npm")
    return asked


def test_values_read_the_same_on_the_page_and_on_the_command_line():
    """The page's tests hold it to these texts; so do these: one value has one text everywhere."""
    for value, unit, kind, text in json.loads((WWW / "tests" / "format_cases.json").read_text(encoding="utf-8")):
        assert units.format(value, unit, kind) == text, (value, unit, kind)


def test_lock_names_no_registry():
    """The lock file pins versions and checksums, and leaves it to npm where packages come from."""
    lock = json.loads((WWW / "package-lock.json").read_text(encoding="utf-8"))
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    unpinned = [name for name, package in lock["packages"].items() if name and "integrity" not in package]
    assert unpinned == []


def test_page_puts_no_text_in_as_markup():
    """Names come from strangers: nothing of the page may read a text as HTML."""
    for source in (WWW / "src").rglob("*.ts*"):
        text = source.read_text(encoding="utf-8")
        for risk in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert risk not in text, (source.name, risk)


def test_missing_page_is_built_with_what_it_needs(build, npm):
    """The first build installs what the page is made with and makes it; the next finds it there."""
    build["build_page"]()
    build["build_page"]()
    assert npm == ["ci", "run"]


def test_page_older_than_its_sources_is_built_again(build, npm):
    """In a checkout an edit of the sources makes the page stale; in an unpacked archive times say nothing."""
    build["build_page"]()
    later = build["PAGE"].stat().st_mtime + 10
    os.utime(build["SOURCES"] / "src" / "index.tsx", (later, later))
    build["build_page"]()
    assert npm == ["ci", "run", "ci", "run"]
    (build["HERE"] / ".git").rmdir()
    build["build_page"]()
    assert npm == ["ci", "run", "ci", "run"]


def test_without_npm_the_build_goes_on_and_says_so(build, monkeypatch, caplog):
    """A machine without npm installs bbmeasure without the page; who requires the page is stopped."""
    monkeypatch.setattr(build["shutil"], "which", lambda _: None)
    with caplog.at_level(logging.WARNING):
        build["build_page"]()
    assert "was not built: there is no npm on this machine" in caplog.text
    monkeypatch.setenv("BBMEASURE_PAGE", "require")
    with pytest.raises(SystemExit, match="was not built"):
        build["build_page"]()


def test_npm_that_fails_does_not_stop_the_install(build, monkeypatch, caplog):
    """Without a network npm fails: the message says what it said, and the install goes on."""

    def run(command, **_):
        raise subprocess.CalledProcessError(7, command)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(build["shutil"], "which", lambda _: "/usr/bin/npm")
    with caplog.at_level(logging.WARNING):
        build["build_page"]()
    assert "exit status 7" in caplog.text


def test_build_without_the_page_can_be_asked_for(build, npm, monkeypatch):
    """With BBMEASURE_PAGE=skip npm is not asked at all."""
    monkeypatch.setenv("BBMEASURE_PAGE", "skip")
    build["build_page"]()
    assert npm == []
