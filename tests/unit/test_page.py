"""Sources of the web page, and its build in setup.py."""

from __future__ import annotations

import json
import logging
import os
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import setuptools

from bbmeasure import units

ROOT = Path(__file__).resolve().parents[2]
WWW = ROOT / "www"


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The globals of setup.py, for a checkout that contains only a source of the page."""
    monkeypatch.setattr(setuptools, "setup", lambda **_: None)
    names = runpy.run_path(str(ROOT / "setup.py"))
    within: dict[str, Any] = names["build_page"].__globals__
    within.update(HERE=tmp_path, SOURCES=tmp_path / "www", MODULES=tmp_path / "node_modules", PAGE=tmp_path / "page.js")
    (tmp_path / "www" / "src").mkdir(parents=True)
    (tmp_path / "www" / "package-lock.json").write_text("{}")
    (tmp_path / "www" / "src" / "index.tsx").write_text("source")
    (tmp_path / ".git").mkdir()
    monkeypatch.delenv("BBMEASURE_PAGE", raising=False)
    return within


@pytest.fixture
def npm(build: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A fake npm: its calls, of which ``run`` writes the page."""
    requested: list[str] = []

    def run(command: list[str], cwd: Path, check: bool) -> None:
        assert (cwd, check) == (build["SOURCES"], True)
        requested.append(command[1])
        if command[1] == "run":
            build["PAGE"].write_text("page")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(build["shutil"], "which", lambda _: "/usr/bin/npm")
    return requested


def test_values_read_the_same_on_the_page_and_on_the_command_line() -> None:
    """Page and command line format a value alike; the page's tests use the same cases."""
    for value, unit, kind, text in json.loads((WWW / "tests" / "format_cases.json").read_text(encoding="utf-8")):
        assert units.format(value, unit, kind) == text, (value, unit, kind)


def test_changes_read_the_same_on_the_page_and_on_the_command_line() -> None:
    """Page and command line format a change alike; the page's tests use the same cases."""
    for change, text in json.loads((WWW / "tests" / "change_cases.json").read_text(encoding="utf-8")):
        assert units.format_change(change) == text, change


def test_lock_names_no_registry() -> None:
    """The lock file pins versions and checksums, but no registry."""
    lock = json.loads((WWW / "package-lock.json").read_text(encoding="utf-8"))
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    unpinned = [name for name, package in lock["packages"].items() if name and "integrity" not in package]
    assert unpinned == []


def test_page_puts_no_text_in_as_markup() -> None:
    """The page never inserts text as HTML, since names come from untrusted sources."""
    for source in (WWW / "src").rglob("*.ts*"):
        text = source.read_text(encoding="utf-8")
        for risk in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert risk not in text, (source.name, risk)


def test_missing_page_is_built_with_what_it_needs(build: dict[str, Any], npm: list[str]) -> None:
    """The first build installs the dependencies and builds the page; the next build does nothing."""
    build["build_page"]()
    build["build_page"]()
    assert npm == ["ci", "run"]


def test_page_older_than_its_sources_is_built_again(build: dict[str, Any], npm: list[str]) -> None:
    """In a checkout, a change of the sources makes the page stale; in an unpacked archive it does not."""
    build["build_page"]()
    later = build["PAGE"].stat().st_mtime + 10
    os.utime(build["SOURCES"] / "src" / "index.tsx", (later, later))
    build["build_page"]()
    assert npm == ["ci", "run", "ci", "run"]
    (build["HERE"] / ".git").rmdir()
    build["build_page"]()
    assert npm == ["ci", "run", "ci", "run"]


def test_without_npm_the_build_continues_with_a_warning(
    build: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without npm the page is left out with a warning; BBMEASURE_PAGE=require makes that an error."""
    monkeypatch.setattr(build["shutil"], "which", lambda _: None)
    with caplog.at_level(logging.WARNING):
        build["build_page"]()
    assert "was not built: there is no npm on this machine" in caplog.text
    monkeypatch.setenv("BBMEASURE_PAGE", "require")
    with pytest.raises(SystemExit, match="was not built"):
        build["build_page"]()


def test_npm_that_fails_does_not_stop_the_install(
    build: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If npm fails, its error is logged and the installation continues."""

    def run(command: list[str], **_: Any) -> None:
        raise subprocess.CalledProcessError(7, command)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(build["shutil"], "which", lambda _: "/usr/bin/npm")
    with caplog.at_level(logging.WARNING):
        build["build_page"]()
    assert "exit status 7" in caplog.text


def test_the_page_can_be_skipped(build: dict[str, Any], npm: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With BBMEASURE_PAGE=skip npm does not run."""
    monkeypatch.setenv("BBMEASURE_PAGE", "skip")
    build["build_page"]()
    assert npm == []
