"""Hostile inputs of the programs: see ``hostile.py`` for the checks of each part."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.scripts import hostile
from tests.unit.scripts.seeds import SEEDS

NAMES = sorted(hostile.CHECKS)
#: Examples of each part.
MORE = settings().max_examples // 2
ODD = st.sampled_from(
    [b"\0", b"\0\0", b"\n", b"\r", b"\t", b" ", b"-", b"--", b"=", b",", b":", b"/", b"/..", b"..", b"*", b"**/", b"?"]
    + [b"[", b"[z-a]", b"[!", b"]", b"{", b"}", b"(", b")", b"'", b'"', b"\\", b"#", b"%s", b"\xff", b"\xc3\xa9"]
    + [b"\xed\xa0\x80", b"\xc2\xb2", b"\xef\xbb\xbf", b"\x1b[31m", b"\0--help", b"\0--name\0", b"\0--tag\0a=b", b"\0-3"]
    + [b"nan", b"inf", b"-1", b"1e999", b"9" * 400, b"null", b"[" * 3000, b"x" * 1000, b"\0--timeout=1e7", b"../" * 9]
)
WORDS = {name: sorted({word for seed in seeds for word in seed.split(b"\0")}) for name, seeds in SEEDS.items()}


@st.composite
def bytes_for(draw, name):
    """Good input of a part with a few pieces cut out, put in or doubled; or its words and odd ones in any order."""
    if draw(st.booleans()):
        pieces = ODD | st.sampled_from(WORDS[name]) | st.binary(max_size=6)
        return b"\0".join(draw(st.lists(pieces, max_size=8)))
    content = draw(st.sampled_from(SEEDS[name]))
    for _edit in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        put = draw(st.just(b"") | ODD | st.binary(max_size=4) | st.just(content[start:end] * 2))
        content = content[:start] + put + content[end:]
    return content


# One test for all parts: pytest-twisted wraps a Hypothesis test once for each of its parameters.
@settings(max_examples=MORE * len(NAMES))
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_hostile_input(data, name):
    """Hostile input yields a record, a number or an error message, never a traceback."""
    hostile.CHECKS[name](data.draw(bytes_for(name)))


@pytest.mark.parametrize(("name", "number"), [(name, n) for name in NAMES for n in range(len(SEEDS[name]))])
def test_valid_input(name, number):
    """The corpus of the fuzzers passes the checks."""
    hostile.CHECKS[name](SEEDS[name][number])


FINDS = sorted((Path(__file__).parents[2] / "fuzz" / "finds" / "programs").glob("*/*.txt"))


@pytest.mark.parametrize("find", FINDS, ids=lambda find: f"{find.parent.name}/{find.name}")
def test_finds_of_the_fuzzers(find):
    """Each find of the fuzzers passes the checks."""
    hostile.CHECKS[find.parent.name](find.read_bytes())


def test_no_path_leads_out_of_the_folder(tmp_path):
    """The inputs of the check of ``size`` do not leave its folder."""
    for path in ("/etc", "../../etc", "a/../../etc", "..//etc", "//etc"):
        joined = os.path.normpath(os.path.join(tmp_path, hostile._inside(path)))
        assert joined.startswith(f"{tmp_path}/")
