"""The wire: what a worker writes comes out as it was, and what is no record is refused, counted and explained."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure import wire
from bbmeasure.errors import MeasureError, WireError
from bbmeasure.records import RESERVED_TAGS, Direction, Kind, Record
from bbmeasure.wire import MARKER, MarkerScanner, Refusal

LINE = '{"v":1,"name":"link_time","value":12.5,"unit":"s","better":"lower","tags":{"target":"core"}}'
RECORD = Record("link_time", 12.5, unit="s", better="lower", tags={"target": "core"})


def scan(text, size=None):
    """What a scanner finds in ``text`` that comes in pieces of ``size`` characters."""
    scanner, found = MarkerScanner(), []
    size = size or max(1, len(text))
    for start in range(0, len(text), size):
        found += scanner.feed(text[start : start + size])
    return found + scanner.finish()


# A round trip


_LETTERS = st.characters(exclude_categories=["Cs", "Cc"])
_NAMES = st.text(_LETTERS, min_size=1, max_size=40).filter(str.strip)
_KEYS = _NAMES.filter(lambda key: key not in RESERVED_TAGS and not key.startswith("_"))
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
_RECORDS = st.one_of(
    st.builds(
        Record,
        _NAMES,
        _NUMBERS,
        kind=st.sampled_from([kind for kind in Kind if kind is not Kind.TEXT]),
        unit=st.sampled_from(["1", "s", "bytes", "bytes/s", "Cel", "{request}"]),
        better=st.sampled_from(list(Direction)),
        tags=st.dictionaries(_KEYS, _NAMES, max_size=4),
        samples=st.lists(_NUMBERS, max_size=8),
    ),
    st.builds(
        Record, _NAMES, st.text(max_size=50) | st.just(f"a {MARKER}in a text"), better=st.sampled_from(["lower"])
    ),
)


@given(_RECORDS)
def test_a_record_comes_back_as_it_was(record):
    """Written and read, a record is the same; its line is one line of ASCII."""
    line = wire.encode(record)
    assert line.isascii()
    assert line.isprintable()
    assert wire.decode(line) == record


@given(st.lists(_RECORDS, max_size=5), st.text(st.characters(exclude_characters="\n"), max_size=20))
def test_records_on_stdout_come_back_as_they_were(records, noise):
    """Marked lines among a program's other output give all records, in their order."""
    lines = [noise.replace(MARKER, "")]
    for record in records:
        lines += [wire.encode_marker(record), noise.replace(MARKER, "")]
    assert scan("\n".join(lines)) == records


@given(st.lists(_RECORDS, max_size=5))
def test_records_in_a_file_come_back_as_they_were(records):
    """A sidecar file gives all its records, in their order."""
    content = "".join(wire.encode(record) + "\n" for record in records)
    assert list(wire.read_file(content.encode())) == records


def test_the_line_of_the_documentation_is_read():
    """The example that the documentation shows is a record."""
    assert wire.decode(LINE) == RECORD
    assert scan(f"{MARKER}{LINE}\n") == [RECORD]


def test_what_is_left_out_has_a_default():
    """Name and value are enough; a version that is left out is this one."""
    assert wire.decode('{"name":"a","value":1}') == Record("a", 1)
    assert wire.decode('{"name":"a","samples":[1,2,3],"tags":{"jobs":8}}') == Record(
        "a", samples=[1, 2, 3], tags={"jobs": "8"}
    )
    nothing = '{"v":1,"name":"a","value":1,"kind":null,"unit":null,"better":null,"tags":null,"samples":null}'
    assert wire.decode(nothing) == Record("a", 1)


def test_a_record_too_long_for_stdout_says_where_to_put_it():
    """A record whose line a worker would cut is refused by the writer, which names the sidecar file."""
    with pytest.raises(WireError, match=r"less than 4000 bytes.*\$BBMEASURE_FILE"):
        wire.encode_marker(Record("a", "x" * 4000))


# What cannot be read


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "expected a JSON object"),
        ("42", "expected a JSON object"),
        ("[]", "expected a JSON object"),
        ("null", "expected a JSON object"),
        ('{"name":"a","value":1', "expected a JSON object"),
        ('{"name":"a","value":1}}', "expected a JSON object"),
        ("{'name':'a','value':1}", "expected a JSON object"),
        ("{}", "without a name"),
        ('{"value":1}', "without a name"),
        ('{"name":"a"}', "expected a value or samples"),
        ('{"v":2,"name":"a","value":1}', "version '2.0': expected 1"),
        ('{"v":[],"name":"a","value":1}', "expected 1"),
        ('{"name":"a","value":NaN}', "number NaN: expected a finite number"),
        ('{"name":"a","value":-Infinity}', "number -Infinity: expected a finite number"),
        ('{"name":"a","value":1e400}', "number '1e400': expected a finite number"),
        ('{"name":"a","samples":[1,Infinity]}', "expected a finite number"),
        ('{"name":"a","value":"12","unit":"s"}', "value is a string"),
        ('{"name":"a\\nb","value":1}', "no control characters"),
        ('{"name":"a","value":1,"unit":"{\\ud800}"}', "expected one of"),
        ('{"name":"a","value":1,"tags":{"builder":"x"}}', "builder"),
        ('{"name":"a","value":1,"tags":[]}', "expected a mapping"),
    ],
)
def test_a_line_that_is_no_record_says_why(line, message):
    """A line that cannot be used becomes a refusal with its number, the reason and its beginning."""
    refused = wire.read(line, 7)
    assert isinstance(refused, Refusal)
    assert (refused.line, refused.excerpt) == (7, line[:80])
    assert message in refused.why


def _nested(depth):
    return '{"name":"a","value":1,"tags":{"a":' + "[" * depth + "]" * depth + "}}"


@pytest.mark.parametrize(
    "line",
    [
        _nested(100_000),
        '{"a":' * 40_000,
        '{"name":"a","value":' + "1" * 250_000 + "}",
        '{"name":"a","value":1e' + "9" * 250_000 + "}",
        '{"name":"' + "n" * 250_000 + '","value":1}',
        '{"name":"a","value":"' + "v" * 250_000 + '"}',
        '{"name":"a","value":1,"unit":"' + "u" * 250_000 + '"}',
        '{"name":"a","value":1,"kind":"' + "k" * 250_000 + '"}',
        '{"name":"a","samples":[' + "1," * 100_000 + "1]}",
        '{"name":"a","value":1,"tags":{' + ",".join(f'"{n}":"x"' for n in range(20_000)) + "}}",
        '{"name":"a","value":1,"tags":{"' + "t" * 250_000 + '":"x"}}',
        '{"v":' + "1" * 250_000 + "}",
        "x" * 1_000_000,
    ],
    ids=range(13),
)
def test_a_bomb_is_refused_in_a_few_words(line):
    """Deep nesting, huge numbers, names, lists and lines cost no more than their reading, and the message is short."""
    refused = wire.read(line, 1)
    assert isinstance(refused, Refusal)
    assert len(refused.why) < 1000
    assert len(refused.excerpt) <= 80


@pytest.mark.parametrize("depth", range(100, 1100, 20))
def test_nesting_of_any_depth_is_refused_as_such(depth):
    """Also a depth that JSON still reads, but that printing it would not survive, ends as a refusal."""

    def deeper(levels):
        return deeper(levels - 1) if levels else wire.read(_nested(depth), 1)

    assert isinstance(deeper(0), Refusal)
    assert isinstance(deeper(100), Refusal)


@given(st.text(max_size=200) | st.from_regex(r'\{"(name|v|value|tags|samples)":.{0,40}\}?', fullmatch=True))
def test_any_line_is_a_record_or_a_refusal(line):
    """No line makes the reader raise."""
    assert isinstance(wire.read(line, 1), (Record, Refusal))


@given(
    st.recursive(
        st.none() | st.booleans() | _NUMBERS | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    ),
    st.sampled_from(["v", "name", "value", "kind", "unit", "better", "tags", "samples"]),
)
def test_any_json_in_a_field_is_a_record_or_a_refusal(content, field):
    """No content of any field makes the reader raise."""
    fields = {"name": "a", "value": 1, field: content}
    assert isinstance(wire.read(json.dumps(fields), 1), (Record, Refusal))


# The sidecar file


def test_a_file_is_read_line_by_line():
    """Blank lines are nothing, a byte order mark and Windows' line ends do not matter, a cut last line is refused."""
    content = f"\ufeff{LINE}\r\n\r\n  \n{LINE}\nnonsense\n{LINE[:40]}".encode()
    found = list(wire.read_file(content))
    assert found[:2] == [RECORD, RECORD]
    assert [refused.line for refused in found[2:]] == [5, 6]  # type: ignore[union-attr]  # of this type here


def test_a_last_line_without_its_end_counts_where_it_is_whole():
    """A program that writes no last line break loses nothing."""
    assert list(wire.read_file(LINE.encode())) == [RECORD]


@given(st.binary(max_size=300))
def test_any_bytes_are_records_or_refusals(content):
    """A binary file is refused line by line, whatever is in it."""
    for found in wire.read_file(content):
        assert isinstance(found, (Record, Refusal))


def test_a_megabyte_of_rubbish_is_given_up():
    """After 1,000 lines that are no records the rest of a file is not looked at, and that is said."""
    refused = list(wire.read_file(b"{}\n" * 300_000))
    assert len(refused) == 1001
    assert refused[-1].line == 1001  # type: ignore[union-attr]  # of this type here
    assert "the rest was not read" in refused[-1].why  # type: ignore[union-attr]  # of this type here


# Markers on stdout


@pytest.mark.parametrize(
    "text",
    [
        f"{MARKER}{LINE}",
        f"{MARKER}{LINE}\r\n",
        f"{MARKER}   {LINE}   \n",
        f"12:00:01 [core] INFO {MARKER}{LINE}\n",
        f"50 %\r{MARKER}{LINE}\n",
        f"\x1b[32m{MARKER}{LINE}\x1b[0m\n",
        f"\x1b[1;38;5;214m##bbmeasure\x1b[0m {LINE}\n",
        f"##\x1b[01;31m\x1b[Kbbmeasure\x1b[m\x1b[K {LINE}\n",
        f"{MARKER}\x1b[33m{LINE[:20]}\x1b[0m{LINE[20:]}\n",
        f"\x1b]8;;https://example.org\x07link\x1b]8;;\x07 {MARKER}{LINE}\n",
        f"\x1b]0;title\x1b\\{MARKER}{LINE}\n",
        f"{MARKER}{LINE}100 % done {{}}\n",
        f"{MARKER}{LINE}\x07\n",
        f"\x00\x01{MARKER}{LINE}\x00\n",
        f"in ~/bbmeasure/tests: {MARKER}{LINE}\n",
        f"# ## ### ##bbmeasur ##bbmeasure: {MARKER}{LINE}\n",
        "x" * 100_000 + f"{MARKER}{LINE}\n",
    ],
)
def test_a_marker_is_found_anywhere_in_a_line(text):
    """Colours, prefixes, progress bars, and what another program wrote behind the record do not matter."""
    assert scan(text) == [RECORD]


@pytest.mark.parametrize("text", ["", "\n\n", "bbmeasure\n", "##bbmeasure", "##bbmeasure\n", "##BBMEASURE {}\n", LINE])
def test_what_is_not_marked_is_no_matter(text):
    """Without the marker nothing is read, and nothing is refused."""
    assert scan(text) == []


def test_two_programs_in_one_line_are_told_apart():
    """Records that two programs wrote into one line are both read; one that was broken in two is refused."""
    assert scan(f"{MARKER}{LINE}{MARKER}{LINE}\n") == [RECORD, RECORD]
    broken, whole = scan(f"{MARKER}{LINE[:30]}{MARKER}{LINE}\n")
    assert isinstance(broken, Refusal)
    assert whole == RECORD


def test_a_refusal_says_its_line():
    """Marked lines are counted over all pieces, from 1."""
    text = f"\n\n{MARKER}nonsense\n\n{MARKER}{LINE}\n{MARKER}\n"
    for size in (1, 7, 1000):
        found = scan(text, size)
        assert [refused.line for refused in found if isinstance(refused, Refusal)] == [1, 3]
        assert RECORD in found


@pytest.mark.parametrize("line_break", ["", "\n"])
def test_a_line_that_the_worker_cut_is_refused(line_break):
    """Workers cut lines at 4,095 bytes: what is left of a longer record is refused, and the next line is read."""
    long = wire.encode(Record("a", "x" * 4000))
    cut = (MARKER + long)[:4095]
    found = scan(f"{cut}\n{MARKER}{LINE}{line_break}")
    assert isinstance(found[0], Refusal)
    assert "less than 4000" in found[0].why
    assert found[1:] == [RECORD]


@pytest.mark.parametrize("length", [3950, 3986, 3987, 3988, 3989, 3998, 3999, 4000, 4001])
def test_the_longest_line_is_told_alike_by_writer_and_reader(length):
    """What the writer lets through the reader takes, and what it refuses the reader refuses."""
    empty = len(wire.encode(Record("a", "")))
    record = Record("a", "x" * (length - empty - len(MARKER)))
    try:
        line = wire.encode_marker(record)
    except WireError:
        assert isinstance(scan(MARKER + wire.encode(record))[0], Refusal)
    else:
        assert scan(line) == [record]


_PIECES = st.lists(
    st.sampled_from(
        [
            MARKER,
            "##bb",
            "measure ",
            "#",
            LINE,
            LINE[:30],
            LINE[30:],
            "\n",
            "\r\n",
            "\x1b[0m",
            "\x1b[",
            "\x1b]",
            " ",
            "}",
            "bbmeasure",
            "x" * 70,
            "y" * 3000,
            "z" * 9000,
        ]
    )
    | st.text(max_size=5),
    max_size=12,
)


@given(_PIECES, st.lists(st.integers(1, 5000), min_size=1, max_size=20))
def test_pieces_give_what_the_whole_gives(pieces, sizes):
    """However the text is cut into pieces, the same records and refusals come out of it."""
    text = "".join(pieces)
    scanner, found, at, turn = MarkerScanner(), [], 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        found += scanner.feed(text[at : at + size])
        at, turn = at + size, turn + 1
    assert found + scanner.finish() == scan(text)


@pytest.mark.parametrize("piece", ["x" * 65536, MARKER, MARKER + '{"name":"', "\x1b[", "#" * 4096, "bbmeasure" * 100])
def test_an_endless_line_keeps_memory_flat(piece):
    """A line that never ends is not kept: what a scanner holds after 1,000 pieces is a few lines' worth."""
    scanner = MarkerScanner()
    tracemalloc.start()
    try:
        for _ in range(1000):
            assert scanner.feed(piece) == []
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 300_000


def test_an_endless_marked_line_is_refused_once():
    """A marked line of a megabyte is one refusal, and what follows it is read."""
    found = scan(f"{MARKER}{'x' * 1_000_000}\n{MARKER}{LINE}\n", 4096)
    assert isinstance(found[0], Refusal)
    assert "expected less than 4000" in found[0].why
    assert found[1:] == [RECORD]


def test_ten_megabytes_of_digits_are_no_record():
    """Output without a marker costs nothing and gives nothing, however much of it there is."""
    assert scan("1" * 10_000_000, 65536) == []


def test_every_error_of_the_wire_is_one_of_ours():
    """WireError is a MeasureError, so that one except clause is enough."""
    with pytest.raises(MeasureError):
        wire.decode("x")
