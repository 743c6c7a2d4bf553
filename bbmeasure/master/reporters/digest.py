"""Digest: the verdicts of one build in words, as plain text, HTML, Markdown and a short status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional

from bbmeasure import units
from bbmeasure.analysis import State
from bbmeasure.master.reporters.markup import MAX_STATUS, code_span, cut, html_code, html_text, plain_name
from bbmeasure.reports.verdicts import BuildVerdicts, LineVerdict

#: Lines that a message lists; the rest is counted.
MAX_LISTED = 20
#: States in the order of a headline, with their words.
WORDS = {
    State.WORSE: "worse",
    State.BROKEN: "broken",
    State.CHANGED: "changed",
    State.BETTER: "better",
    State.UNCONFIRMED: "unconfirmed",
    State.NORMAL: "normal",
    State.NO_BASELINE: "without baseline",
}
#: States that a message lists.
TOLD = (State.WORSE, State.BROKEN, State.CHANGED, State.BETTER)
_MISSING = "the verdicts of this build were not there in time"

Markup = Callable[[str], str]


def value_text(line: LineVerdict, value: float) -> str:
    """Return a value of the line with its unit."""
    return units.format(value, line.unit, line.kind.value)


def usual_text(line: LineVerdict) -> str:
    """Return what is usual for the line; empty without a baseline."""
    low, high = line.verdict.low, line.verdict.high
    if low is None or high is None:
        return ""
    first, last = value_text(line, low), value_text(line, high)
    return first if first == last else f"{first} to {last}"


def change_text(line: LineVerdict) -> str:
    """Return the change from the baseline; empty without one."""
    return "" if line.verdict.change is None else units.format_change(line.verdict.change)


def rule_text(line: LineVerdict) -> str:
    """Return the sentence for a rule of the configuration that this build was the first to break; empty for none."""
    broken = line.verdict.rule in ("limit", "lower_limit", "increase", "decrease")
    return line.verdict.reason if broken and (line.told or line.alert is None) else ""


def line_name(line: LineVerdict, markup: Markup) -> str:
    """Return the names of series and tags."""
    tags = " ".join(f"{name}={value}" for name, value in sorted(line.tags.items()))
    return f"{markup(line.series)} {markup(tags)}" if tags else markup(line.series)


@dataclass(frozen=True)
class Digest:
    """The verdicts of a build for messages; ``measurements`` in the context of a message formatter.

    ``verdicts`` is None where they were not there in time.  ``number`` is that of the build, ``proposal`` whether it
    builds one.
    """

    verdicts: Optional[BuildVerdicts]
    number: Optional[int] = None
    proposal: bool = False

    @property
    def lines(self) -> Sequence[LineVerdict]:
        """The verdicts of each line."""
        return () if self.verdicts is None else self.verdicts.lines

    @property
    def state(self) -> str:
        """The state of the build, such as ``worse``; ``unknown`` where the verdicts are not known."""
        return "unknown" if self.verdicts is None else self.verdicts.state.value

    @property
    def counts(self) -> dict[str, int]:
        """Number of lines by state."""
        return dict(Counter(line.verdict.state.value for line in self.lines))

    def told(self, *states: State) -> list[LineVerdict]:
        """Return the lines in these states that are not muted."""
        return [line for state in states for line in self.lines if line.verdict.state is state and not line.muted]

    @property
    def worse(self) -> list[LineVerdict]:
        """The lines that are worse and not muted."""
        return self.told(State.WORSE)

    @property
    def better(self) -> list[LineVerdict]:
        """The lines that are better and not muted."""
        return self.told(State.BETTER)

    @property
    def is_new(self) -> bool:
        """Whether a verdict of this build was not told before: it opened an alert, or is that of a proposal."""
        return any(line.told for line in self.lines) or (self.proposal and bool(self.worse))

    @property
    def headline(self) -> str:
        """The number of lines in each state."""
        if self.verdicts is None:
            return _MISSING
        counts = Counter(line.verdict.state for line in self.lines)
        parts = [f"{counts[state]} {word}" for state, word in WORDS.items() if counts[state]]
        rest = "" if self.verdicts.complete else " (not all were judged in time)"
        return (", ".join(parts) or "nothing was measured") + rest

    @property
    def status(self) -> str:
        """The headline and the first lines, in at most MAX_STATUS characters."""
        text = self.headline
        for line in self.told(*TOLD):
            change = change_text(line) or value_text(line, line.verdict.value)
            longer = f"{text}{', ' if ': ' in text else ': '}{plain_name(line.series)} {change}"
            if len(longer) > MAX_STATUS:
                break
            text = longer
        return cut(text, MAX_STATUS)

    @property
    def text(self) -> str:
        """The headline, and a line of text for each told verdict."""
        listed = [f"  {self._sentence(line, plain_name, plain_name)}" for line in self._listed()]
        return "\n".join([f"Measurements: {self.headline}", *listed, *self._more("  ")]) + "\n"

    @property
    def markdown(self) -> str:
        """The headline, and an item of a list for each told verdict."""
        listed = [f"- {self._sentence(line, code_span, html_text)}" for line in self._listed()]
        items = [*listed, *self._more("- ")]
        return "\n".join([f"**Measurements**: {self.headline}", *([""] if items else []), *items]) + "\n"

    @property
    def html(self) -> str:
        """A paragraph with the headline, and a list of the told verdicts."""
        listed = [self._sentence(line, html_code, html_text) for line in self._listed()]
        items = "".join(f"<li>{item}</li>" for item in [*listed, *self._more("")])
        return f"<p>Measurements: {html_text(self.headline)}</p>" + (f"<ul>{items}</ul>" if items else "")

    def _listed(self) -> list[LineVerdict]:
        return self.told(*TOLD)[:MAX_LISTED]

    def _more(self, start: str) -> list[str]:
        more = len(self.told(*TOLD)) - MAX_LISTED
        return [f"{start}and {more} more"] if more > 0 else []

    def _sentence(self, line: LineVerdict, markup: Markup, text: Markup) -> str:
        """Return state, name, value, what is usual, change, rule and beginning of one line."""
        verdict = line.verdict
        usual, change = usual_text(line), change_text(line)
        parts = [
            f"{WORDS[verdict.state]}: {line_name(line, markup)} {text(value_text(line, verdict.value))}",
            text(f"usual {usual}" + (f" ({change})" if change else "")) if usual else "",
            text(rule_text(line)).rstrip("."),
            self.since(line),
        ]
        return ", ".join(part for part in parts if part)

    def since(self, line: LineVerdict) -> str:
        """Return where the level of a line began; empty where that is not known."""
        if self.proposal and line.verdict.state is State.WORSE:
            return "introduced here"
        if line.since_build is None:
            return ""
        return "introduced here" if line.since_build == self.number else f"since #{line.since_build}"
