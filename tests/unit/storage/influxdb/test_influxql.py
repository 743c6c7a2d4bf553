"""Questions as InfluxQL: what is quoted, what is bound.  How InfluxDB takes them is in test_influx.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure.errors import QueryError
from bbmeasure.model import Query
from bbmeasure.statistics import find_all
from bbmeasure.storage.influxdb import influxql
from bbmeasure.storage.influxdb.line_protocol import EARLIEST, LATEST


def where(query: Query, **options: object) -> str:
    return influxql.extent(query, **options).text.split("; ")[2].split(" FROM ")[1]  # type: ignore[arg-type]


def test_names_are_quoted_and_values_bound() -> None:
    """Series, tags and retention policy are quoted identifiers, values are parameters, times are numbers."""
    query = Query("size", 10, 20, "first", "bot1", {"step": "fetch"})
    made = influxql.summarize(query, find_all(["average", "p99.9"]), policy="week")
    assert made.text == (
        'SELECT count("value"::field), count("text"::field), mean("value"::field), '
        'percentile("value"::field, 99.9000000000) FROM "week"."size" WHERE "builder"::tag = $p0 '
        'AND "step"::tag = $p1 AND "worker"::tag = $p2 AND "proposed"::tag = \'\' AND time >= 10 AND time < 20'
    )
    assert made.params == {"p0": "first", "p1": "fetch", "p2": "bot1"}


@pytest.mark.parametrize(
    ("name", "quoted"),
    [("a b", '"a b"'), ('a"b', '"a\\"b"'), ("a\\b", '"a\\\\b"'), ("a\nb", '"a\\nb"'), ("a\\", '"a\\\\"'), ("", '""')],
)
def test_quoted_identifiers(name: str, quoted: str) -> None:
    """Quotes, backslashes and newlines do not end an identifier."""
    assert influxql.identifier(name) == quoted


@given(st.text())
def test_no_identifier_ends_before_its_last_quote(name: str) -> None:
    """For any name the first unescaped quote is the last character, and there is no newline."""
    quoted = influxql.identifier(name)
    inside, escaped = quoted[1:-1], False
    for char in inside:
        assert char not in "\n\r\0"
        assert escaped or char != '"'
        escaped = char == "\\" and not escaped
    assert quoted[0] == quoted[-1] == '"'
    assert not escaped


def test_lone_surrogates_are_replaced() -> None:
    """A lone surrogate is bound as UTF-8 stores it."""
    made = influxql.points(Query("\ud800", builder="\udcff"), 1)
    assert made.params == {"p0": "?"}
    assert 'FROM "?"' in made.text


def test_no_range_is_no_condition() -> None:
    """Without since and until, or with bounds outside InfluxDB's range, there is no condition on time."""
    assert where(Query("size", proposal="*")) == '"size"'
    assert where(Query("size", -(10**30), 10**30, proposal="*")) == '"size"'
    assert where(Query("size", LATEST + 5, LATEST + 7, proposal="*")) == f'"size" WHERE time >= {LATEST}'
    assert where(Query("size", EARLIEST - 7, EARLIEST - 5, proposal="*")) == f'"size" WHERE time < {EARLIEST + 1}'


def test_branch_proposal_and_machine_class_are_conditions() -> None:
    """Proposals are excluded by a tag, which has an index; branch, proposal and machine class are fields."""
    assert where(Query("size")) == '"size" WHERE "proposed"::tag = \'\''
    made = influxql.points(Query("size", branch="main", proposal="refs/pull/1", machine="big"), 1)
    assert (
        '"proposed"::tag = \'yes\' AND "proposal"::field = $p0 AND "branch"::field = $p1 AND '
        '("machine"::field = $p2 OR ("worker"::tag = $p3 AND ("machine"::field != \'\') = false))'
    ) in made.text
    assert made.params == {"p0": "refs/pull/1", "p1": "main", "p2": "big", "p3": "big"}


def test_a_deletion_names_every_tag() -> None:
    """A deleted point has exactly these tags and this time: a missing tag is compared too."""
    made = influxql.delete("size", [(7, {"builder": "a", "k": ""}), (8, {"builder": "b", "k": "v"})])
    assert made.text == (
        'DELETE FROM "size" WHERE "builder"::tag = $p0 AND "k"::tag = $p1 AND time = 7; '
        'DELETE FROM "size" WHERE "builder"::tag = $p2 AND "k"::tag = $p3 AND time = 8'
    )
    assert made.params == {"p0": "a", "p1": "", "p2": "b", "p3": "v"}


def test_exact_tags_exclude_the_others() -> None:
    """All other tags must be empty, except builder, worker, a tagged build number and the mark of proposals."""
    query = Query("size", tags={"k": "v"}, exact_tags=True)
    made = influxql.points(query, 1, tag_keys=["builder", "worker", "build", "proposed", "k", "other"])
    assert '"k"::tag = $p0 AND "other"::tag = $p1 ' in made.text
    assert made.params == {"p0": "v", "p1": ""}


def test_a_query_restricted_to_builders() -> None:
    """The visible builders are a condition; without any nothing is found."""
    made = influxql.points(Query("size", builders=frozenset(["b", "a"])), 1)
    assert '("builder"::tag = $p0 OR "builder"::tag = $p1)' in made.text
    assert made.params == {"p0": "a", "p1": "b"}
    assert (
        "\"builder\"::tag = '' AND \"builder\"::tag != ''" in influxql.points(Query("s", builders=frozenset()), 1).text
    )


def test_a_tag_named_time_is_refused() -> None:
    """A query on a tag Time raises QueryError, as InfluxDB cannot compare it."""
    with pytest.raises(QueryError, match="reads this one as the timestamp"):
        influxql.points(Query("size", tags={"TIME": "x"}), 1)


def test_joined_statements_have_different_parameters() -> None:
    """Metadata and points are queried in one request with distinct parameters."""
    made = influxql.join(influxql.series_metadata("size"), influxql.points(Query("size", builder="first"), 1))
    assert made.params == {"d0": "size", "p0": "first"}
