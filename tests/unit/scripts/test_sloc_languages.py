"""Languages by file name and first line."""

from __future__ import annotations

import pytest

from bbmeasure_scripts import sloc_languages

NAMED = [
    ("a.py", "Python"),
    ("A.PY", "Python"),
    ("a.tar.c", "C"),
    ("Makefile", "Makefile"),
    ("CMakeLists.txt", "CMake"),
    ("Dockerfile", "Dockerfile"),
    (".py", None),
    ("a.perl", "Perl"),
    ("a.t", "Perl"),
    ("config.h.in", "C"),
    ("build.sh.sample", "Shell"),
    ("prompt.zsh-theme", "Shell"),
    (".in", None),
    ("Dockerfile.alpine", "Dockerfile"),
    ("Makefile.linux", "Makefile"),
    ("makefile.py", "Python"),
    ("Jenkinsfile", "Groovy"),
    ("config.ru", "Ruby"),
    ("scan.l", "C"),
    ("old.F", "Fortran, fixed form"),
    ("a.json", None),
    ("a.md", None),
    ("README", None),
]


@pytest.mark.parametrize(("name", "language"), NAMED)
def test_language_of_a_name(name, language):
    """The language depends on extension or name, in any case; data and prose have none."""
    assert sloc_languages.by_name(name) == language


FIRST = [
    (b"#!/bin/sh\n", "Shell"),
    (b"#! /usr/bin/env python3.11\n", "Python"),
    (b"#!/usr/bin/env -S node --flag\n", "JavaScript"),
    (b"#!/usr/bin/env A=b perl -w\n", "Perl"),
    (b"#!/opt/bin/unknown\n", None),
    (b"#!/bin/busybox sh\n", "Shell"),
    (b"#!/usr/bin/nodejs\n", "JavaScript"),
    (b"#!/usr/bin/pypy3\n", "Python"),
    (b"#!/usr/bin/env -S deno run\n", "TypeScript"),
    (b"#!/usr/bin/fish\n", "Fish"),
    (b"#!/usr/bin/make -f\n", "Makefile"),
    (b"#!/usr/bin/env ts-node\n", "TypeScript"),
    (b"#!/usr/bin/perl5.36\n", "Perl"),
    (b"text", None),
    (b"", None),
]


@pytest.mark.parametrize(("text", "language"), FIRST)
def test_language_of_a_first_line(text, language):
    """The first line determines the language of a file without an extension."""
    assert sloc_languages.by_first_line(text) == language
