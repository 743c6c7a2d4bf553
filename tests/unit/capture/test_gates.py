"""Gate and Gates: what master.cfg gives a series, and which gate a series has."""

from __future__ import annotations

from typing import Any

import pytest

from bbmeasure.analysis import Rules
from bbmeasure.capture.gates import DEFAULT, Gate, Gates, Level, check_gate, read_patterns
from bbmeasure.errors import QueryError
from bbmeasure.records import Direction, Kind


def test_defaults() -> None:
    """A gate without arguments judges as the analysis does by default, and has no effect on a build."""
    assert Gate().rules(Kind.SIZE, "bytes", Direction.LOWER) == Rules(kind="size", better="lower", unit="bytes")
    assert (Gate().level, Gate().rerun) == (Level.INFO, 0)


def test_rules_in_base_units() -> None:
    """Fractions and quantities are converted, whether they are written with a unit or plain."""
    gate = Gate(
        minimumChange="5 %",
        limit="10 MiB",
        lowerLimit=100,
        maximumIncrease=0.02,
        maximumDecrease="0.5",
        history=20,
        level="fail",
        rerun=4,
    )
    assert gate.rules(Kind.SIZE, "bytes", Direction.NONE) == Rules(
        kind="size",
        minimum_change=0.05,
        limit=10 * 1024**2,
        lower_limit=100,
        maximum_increase=0.02,
        maximum_decrease=0.5,
        history=20,
        unit="bytes",
    )
    assert (gate.level, gate.rerun) == (Level.FAIL, 4)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"minimumChange": 2}, "minimumChange 2: expected a fraction"),
        ({"minimumChange": "2"}, "minimumChange '2': expected a fraction"),
        ({"minimumChange": -0.1}, "minimumChange -0.1: expected a fraction"),
        ({"minimumChange": True}, "minimumChange 'True': expected a number"),
        ({"maximumIncrease": "5 ms"}, "maximumIncrease '5 ms': expected a fraction"),
        ({"maximumDecrease": "much"}, "maximumDecrease: 'much': expected one number"),
        ({"limit": "10 parsecs"}, "limit: '10 parsecs': expected one number"),
        ({"limit": [1]}, r"limit '\[1\]': expected a number"),
        ({"limit": float("nan")}, "limit nan: expected a finite number"),
        ({"limit": "5 s", "lowerLimit": "6 s"}, "lowerLimit 6 s: expected at most limit 5 s"),
        ({"limit": 5, "lowerLimit": 6}, "lowerLimit 6: expected at most limit 5"),
        ({"limit": "5 s", "lowerLimit": "1 KiB"}, "lowerLimit 1 KiB: expected one in the unit of limit 5 s"),
        ({"history": 5}, "history 5: expected a whole number from 10 to 1000"),
        ({"level": "warning"}, "level 'warning': expected one of"),
        ({"rerun": 21}, "rerun 21: expected a whole number from 0 to 20"),
        ({"rerun": True}, "rerun True: expected a whole number"),
        ({"rerun": -1}, "rerun -1: expected a whole number"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], expected: str) -> None:
    """A wrong argument raises QueryError, which names what was expected."""
    with pytest.raises(QueryError, match=f"^Gate: .*{expected}"):
        Gate(**arguments)


def test_keyword_only() -> None:
    """Gate takes keyword arguments only."""
    with pytest.raises(TypeError):
        Gate("5 %")


def test_more_than_all() -> None:
    """A maximum increase above 100 % is written as a percentage."""
    assert Gate(maximumIncrease="150 %").maximum_increase == 1.5


@pytest.mark.parametrize(
    ("limit", "kind", "unit", "fits"),
    [
        ("10 MiB", Kind.SIZE, "bytes", True),
        ("10 MiB", Kind.DURATION, "s", False),
        ("80 %", Kind.RATIO, "1", True),
        ("80 %", Kind.COUNT, "1", False),
        ("3 {request}", Kind.NUMBER, "{request}", True),
        (10, Kind.DURATION, "s", True),
        ("10", Kind.SIZE, "bytes", True),
        (10, Kind.TEXT, "1", False),
        ("10 count", Kind.NUMBER, "1", True),
    ],
)
def test_unit_of_a_limit(limit: Any, kind: Kind, unit: str, fits: bool) -> None:
    """A limit that a series cannot be compared with is named, and is left out of its rules."""
    gate = Gate(limit=limit, minimumChange="5 %")
    assert (gate.misfits(kind, unit) == []) is fits
    rules = gate.rules(kind, unit, Direction.NONE)
    assert ((rules.limit is not None), rules.minimum_change) == (fits, 0.05)


def test_misfit_message() -> None:
    """The message names the limit and what the series holds."""
    assert Gate(limit="10 MiB", lowerLimit="1 KiB").misfits(Kind.DURATION, "s") == [
        "limit 10 MiB: not applied to a duration in s",
        "lowerLimit 1 KiB: not applied to a duration in s",
    ]
    assert Gate(limit=1).misfits(Kind.TEXT, "1") == ["limit 1: not applied to a text"]


def test_plain_numbers_in_the_unit_of_the_step() -> None:
    """A plain number is in the unit of its step; a quantity keeps its own."""
    gate = Gate(limit=1234567.5, lowerLimit="1 s", rerun=2).in_unit("ms")
    rules = gate.rules(Kind.DURATION, "s", Direction.LOWER)
    assert (rules.limit, rules.lower_limit, gate.rerun) == (1234.5675, 1.0, 2)
    assert Gate(limit=5).in_unit(None) == Gate(limit=5)
    with pytest.raises(QueryError, match="lowerLimit 1 s: expected at most limit 10 ms"):
        Gate(limit=10, lowerLimit="1 s").in_unit("ms")


def test_order_of_gates() -> None:
    """The gate of the step wins over the patterns, and of these the first that matches."""
    own, first, second = Gate(limit=1), Gate(limit=2), Gate(limit=3)
    gates = Gates([("lint*", first), ("*", second)], {"lint_own": own})
    assert [gates.of(name) for name in ("lint_own", "lint_other", "other", "Lint")] == [own, first, second, second]
    assert Gates().of("any") == DEFAULT == Gate()


def test_own_gate_of_a_canonical_name() -> None:
    """A gate is found by the name under which the series is stored; no gate of a step keeps the pattern's."""
    gates = Gates([("*", Gate(limit=2))])
    gates.set("a\\b", Gate(limit=1))
    gates.set("c", None)
    assert (gates.of("a_b"), gates.of("c")) == (Gate(limit=1), Gate(limit=2))


def test_arguments_that_are_gates() -> None:
    """Another object than a gate raises QueryError."""
    assert (check_gate(None), check_gate(Gate())) == (None, Gate())
    assert read_patterns(None) == ()
    assert read_patterns({"a": Gate(), "b*": Gate(limit=1)}) == (("a", Gate()), ("b*", Gate(limit=1)))
    for wrong in ([("a", Gate())], {"a": 5}, {"": Gate()}, {5: Gate()}):
        with pytest.raises(QueryError, match="gates"):
            read_patterns(wrong)
    with pytest.raises(QueryError, match="gate 'fail': expected util.Gate"):
        check_gate("fail")


def test_a_gate_is_a_value() -> None:
    """Equal arguments make equal gates, which have one hash and cannot be changed."""
    assert Gate(limit="1 KiB") == Gate(limit="1 KiB") != Gate(limit="1 kB")
    assert len({Gate(limit=1), Gate(limit=1)}) == 1
    with pytest.raises(AttributeError):
        Gate().rerun = 3  # type: ignore[misc]
