"""Wire format: records survive encoding and decoding, and any other line is refused with a reason."""

from __future__ import annotations

import json
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure import wire
from bbmeasure.ansi import without_hidden
from bbmeasure.errors import MeasureError, WireError
from bbmeasure.records import RESERVED_TAGS, Direction, Kind, Record, canonical_tag
from bbmeasure.wire import MARKER, MarkerScanner, Refusal

LINE = '{"v":1,"name":"link_time","value":12.5,"unit":"s","better":"lower","tags":{"target":"core"}}'
RECORD = Record("link_time", 12.5, unit="s", better="lower", tags={"target": "core"})


def scan(text, size=None):
    """The items of a scanner for ``text`` in pieces of ``size`` characters."""
    scanner, found = MarkerScanner(), []
    size = size or max(1, len(text))
    for start in range(0, len(text), size):
        found += scanner.feed(text[start : start + size])
    return found + scanner.finish()


# A round trip


_LETTERS = st.characters(exclude_categories=["Cs", "Cc"])
_NAMES = st.text(_LETTERS, min_size=1, max_size=40).filter(str.strip)
_KEYS = _NAMES.map(lambda name: canonical_tag(without_hidden(name))).filter(
    lambda key: key.strip() and key not in RESERVED_TAGS and not key.startswith("_")
)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
_AMOUNTS = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
#: Kinds with their units and possible values: counts, durations and sizes are not negative.
_MEASUREMENTS = [
    (Kind.NUMBER, ["1", "s", "bytes", "bytes/s", "Cel", "{request}"], _NUMBERS),
    (Kind.RATIO, ["1"], _NUMBERS),
    (Kind.COUNT, ["1", "{request}"], _AMOUNTS),
    (Kind.DURATION, ["1", "s"], _AMOUNTS),
    (Kind.SIZE, ["1", "bytes"], _AMOUNTS),
]
_RECORDS = st.one_of(
    *(
        st.builds(
            Record,
            _NAMES,
            values,
            kind=st.just(kind),
            unit=st.sampled_from(names),
            better=st.sampled_from(list(Direction)),
            tags=st.dictionaries(_KEYS, _NAMES, max_size=4),
            samples=st.lists(values, max_size=8),
        )
        for kind, names, values in _MEASUREMENTS
    ),
    st.builds(
        Record, _NAMES, st.text(max_size=50) | st.just(f"a {MARKER}in a text"), better=st.sampled_from(["lower"])
    ),
)


@given(_RECORDS)
def test_encode_and_decode(record):
    """A record is unchanged by encoding and decoding; its line is ASCII without a line break."""
    line = wire.encode(record)
    assert line.isascii()
    assert line.isprintable()
    assert wire.decode(line) == record


@given(st.lists(_RECORDS, max_size=5), st.text(st.characters(exclude_characters="\n"), max_size=20))
def test_records_on_stdout(records, noise):
    """The records of marked lines are decoded in order, among other output."""
    lines = [noise.replace(MARKER, "")]
    for record in records:
        lines += [wire.encode_marker(record), noise.replace(MARKER, "")]
    assert scan("\n".join(lines)) == records


@given(st.lists(_RECORDS, max_size=5))
def test_records_in_a_file(records):
    """The records of a sidecar file are decoded in order."""
    content = "".join(wire.encode(record) + "\n" for record in records)
    assert list(wire.read_file(content.encode())) == records


def test_the_example_of_the_documentation():
    """The example of the documentation is a record."""
    assert wire.decode(LINE) == RECORD
    assert scan(f"{MARKER}{LINE}\n") == [RECORD]


def test_defaults_of_fields():
    """Only name and value are required; the version defaults to the current one."""
    assert wire.decode('{"name":"a","value":1}') == Record("a", 1)
    assert wire.decode('{"name":"a","samples":[1,2,3],"tags":{"jobs":8}}') == Record(
        "a", samples=[1, 2, 3], tags={"jobs": "8"}
    )
    nothing = '{"v":1,"name":"a","value":1,"kind":null,"unit":null,"better":null,"tags":null,"samples":null}'
    assert wire.decode(nothing) == Record("a", 1)


def test_a_record_too_long_for_stdout():
    """A record that is too long for stdout is refused with a reference to the sidecar file."""
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
def test_an_invalid_line_is_refused_with_a_reason(line, message):
    """An invalid line is a refusal with its number, the reason and its start."""
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
def test_a_bomb_is_refused_with_a_short_message(line):
    """Deep nesting and huge numbers, names, lists and lines are refused quickly, with a short message."""
    refused = wire.read(line, 1)
    assert isinstance(refused, Refusal)
    assert len(refused.why) < 1000
    assert len(refused.excerpt) <= 80


@pytest.mark.parametrize("depth", range(100, 1100, 20))
def test_nesting_of_any_depth_is_refused_as_such(depth):
    """A depth that the decoder accepts but repr() does not is refused too."""

    def deeper(levels):
        return deeper(levels - 1) if levels else wire.read(_nested(depth), 1)

    assert isinstance(deeper(0), Refusal)
    assert isinstance(deeper(100), Refusal)


@given(st.text(max_size=200) | st.from_regex(r'\{"(name|v|value|tags|samples)":.{0,40}\}?', fullmatch=True))
def test_any_line_is_a_record_or_a_refusal(line):
    """No line raises an exception."""
    assert isinstance(wire.read(line, 1), (Record, Refusal))


@given(
    st.recursive(
        st.none() | st.booleans() | _NUMBERS | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    ),
    st.sampled_from(["v", "name", "value", "kind", "unit", "better", "tags", "samples"]),
)
def test_any_json_in_a_field_is_a_record_or_a_refusal(content, field):
    """No value of a field raises an exception."""
    fields = {"name": "a", "value": 1, field: content}
    assert isinstance(wire.read(json.dumps(fields), 1), (Record, Refusal))


# The sidecar file


def test_a_file_is_read_line_by_line():
    """Blank lines, a byte order mark and CRLF are ignored; a truncated last line is refused."""
    content = f"\ufeff{LINE}\r\n\r\n  \n{LINE}\nnonsense\n{LINE[:40]}".encode()
    found = list(wire.read_file(content))
    assert found[:2] == [RECORD, RECORD]
    assert [refused.line for refused in found[2:]] == [5, 6]  # type: ignore[union-attr]  # of this type here


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig", "ascii"])
def test_encodings_of_windows(encoding):
    """Lines that end with CRLF are read in UTF-16 and UTF-8 with a byte order mark, and in ASCII."""
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    content = f"{mark}{LINE}\r\n{LINE} \r\n".encode(encoding)
    assert list(wire.read_file(content)) == [RECORD, RECORD]


@pytest.mark.parametrize(
    ("page", "name"), [("cp1252", "gr\u00f6\u00dfe"), ("cp850", "taille_\u00e9"), ("cp932", "\u8868")]
)
def test_a_name_in_a_code_page_is_refused(page, name):
    """A line in a code page is refused with the byte, whatever its characters; lines in ASCII are read."""
    content = f'{{"name":"{name}","value":1}}\r\n{LINE}\r\n'.encode(page)
    refused, record = wire.read_file(content)
    assert re.match(r"byte 0x[89a-f].? at \d+: expected UTF-8, or ASCII", refused.why)  # type: ignore[union-attr]  # of this type here
    assert record == RECORD


def test_a_file_in_two_encodings():
    """Lines in UTF-16 after lines in ASCII, as >> of PowerShell leaves them, are refused with a hint."""
    content = f"{LINE}\r\n".encode() + f"{LINE}\r\n".encode("utf-16-le")
    record, refused = wire.read_file(content)
    assert record == RECORD
    assert "expected UTF-8 (PowerShell's >> writes UTF-16)" in refused.why  # type: ignore[union-attr]  # of this type here


def test_a_last_line_without_its_end_counts_where_it_is_whole():
    """A last line without a line break is decoded."""
    assert list(wire.read_file(LINE.encode())) == [RECORD]


@given(st.binary(max_size=300))
def test_any_bytes_are_records_or_refusals(content):
    """Any binary content is decoded or refused line by line."""
    for found in wire.read_file(content):
        assert isinstance(found, (Record, Refusal))


def test_a_megabyte_of_invalid_lines():
    """After 1,000 invalid lines the rest of a file is not read, which the last refusal states."""
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
    """Colours, prefixes, progress bars, and output after the record are ignored."""
    assert scan(text) == [RECORD]


@pytest.mark.parametrize("text", ["", "\n\n", "bbmeasure\n", "##bbmeasure", "##bbmeasure\n", "##BBMEASURE {}\n", LINE])
def test_unmarked_lines_are_ignored(text):
    """Lines without the marker are neither decoded nor refused."""
    assert scan(text) == []


def test_two_records_in_one_line():
    """Two records in one line are both decoded; an incomplete one is refused."""
    assert scan(f"{MARKER}{LINE}{MARKER}{LINE}\n") == [RECORD, RECORD]
    broken, whole = scan(f"{MARKER}{LINE[:30]}{MARKER}{LINE}\n")
    assert isinstance(broken, Refusal)
    assert whole == RECORD


def test_the_line_of_a_refusal():
    """The number of a refusal counts the marked lines of all pieces from 1."""
    text = f"\n\n{MARKER}nonsense\n\n{MARKER}{LINE}\n{MARKER}\n"
    for size in (1, 7, 1000):
        found = scan(text, size)
        assert [refused.line for refused in found if isinstance(refused, Refusal)] == [1, 3]
        assert RECORD in found


@pytest.mark.parametrize("line_break", ["", "\n"])
def test_a_line_split_by_the_worker_is_refused(line_break):
    """A record that the worker has split at 4,095 bytes is refused, and the next line is decoded."""
    long = wire.encode(Record("a", "x" * 4000))
    cut = (MARKER + long)[:4095]
    found = scan(f"{cut}\n{MARKER}{LINE}{line_break}")
    assert isinstance(found[0], Refusal)
    assert "less than 4000" in found[0].why
    assert found[1:] == [RECORD]


@pytest.mark.parametrize("length", [3950, 3986, 3987, 3988, 3989, 3998, 3999, 4000, 4001])
def test_encoder_and_decoder_have_the_same_limit(length):
    """Encoder and decoder have the same limit of a line."""
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
def test_pieces_do_not_change_the_result(pieces, sizes):
    """Records and refusals do not depend on the pieces of the text."""
    text = "".join(pieces)
    scanner, found, at, turn = MarkerScanner(), [], 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        found += scanner.feed(text[at : at + size])
        at, turn = at + size, turn + 1
    assert found + scanner.finish() == scan(text)


@pytest.mark.parametrize("piece", ["x" * 65536, MARKER, MARKER + '{"name":"', "\x1b[", "#" * 4096, "bbmeasure" * 100])
def test_an_endless_line_needs_bounded_memory(piece):
    """The buffer for an endless line is bounded."""
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
    """A marked line of a megabyte is one refusal, and the next line is decoded."""
    found = scan(f"{MARKER}{'x' * 1_000_000}\n{MARKER}{LINE}\n", 4096)
    assert isinstance(found[0], Refusal)
    assert "expected less than 4000" in found[0].why
    assert found[1:] == [RECORD]


def test_ten_megabytes_without_a_marker():
    """Ten megabytes of output without a marker have no records."""
    assert scan("1" * 10_000_000, 65536) == []


def test_wire_error_is_a_measure_error():
    """WireError is a MeasureError."""
    with pytest.raises(MeasureError):
        wire.decode("x")
