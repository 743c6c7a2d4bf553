"""The arguments in the address of one question to the JSON API, each of them known, bounded and given once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

from bbmeasure.errors import QueryError
from bbmeasure.model import Query, make_query
from bbmeasure.records import LONGEST_NAME, MOST_TAGS
from bbmeasure.units import excerpt

TAG = "tag."
#: What narrows a question down to some points of a series.
WHERE = ("builder", "worker", "since", "until")
_LONGEST = {"since": 40, "until": 40, "statistics": 1000, "limit": 20, "buckets": 20, "buildid": 20}


class Arguments:
    """What was asked; QueryError where it is not among ``known`` (``tag.`` stands for every tag) or given twice.

    An argument without a value is as if it were left out.
    """

    def __init__(self, given: Mapping[bytes, Sequence[bytes]], known: Sequence[str]) -> None:
        self._texts: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        for raw, values in given.items():
            name = _decode("argument", raw)
            is_tag = name.startswith(TAG) and TAG in known
            if not is_tag and name not in known:
                listed = ", ".join(one + "KEY" if one == TAG else one for one in known) or "none"
                raise QueryError(f"argument {excerpt(name)}: expected one of {listed}")
            if len(values) != 1:
                raise QueryError(f"{excerpt(name)}: got it {len(values)} times, expected it once")
            text = _decode(name, values[0])
            longest = _LONGEST.get(name, LONGEST_NAME)
            if len(text) > longest:
                raise QueryError(f"{excerpt(name)}: got {len(text)} characters, expected at most {longest}")
            if is_tag:
                self.tags[name[len(TAG) :]] = text
            elif text:
                self._texts[name] = text
        if len(self.tags) > MOST_TAGS:
            raise QueryError(f"{len(self.tags)} tags: expected at most {MOST_TAGS}")

    def get(self, name: str) -> Optional[str]:
        """The text of an argument; None where it was not given."""
        return self._texts.get(name)

    def need(self, name: str) -> str:
        """The text of an argument; QueryError where it was not given."""
        text = self._texts.get(name)
        if text is None:
            raise QueryError(f"{name}: expected it to be given")
        return text

    def query(self, now: float, builders: Optional[frozenset[str]]) -> Query:
        """Which points are meant, of those that may be told of; ``now`` in unix seconds."""
        where: dict[str, Any] = {name: self.get(name) for name in WHERE}
        return replace(make_query(self.need("series"), now=now, tags=self.tags, **where), builders=builders)


def _decode(what: str, raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        shown = excerpt(raw.decode("utf-8", "backslashreplace"))
        raise QueryError(f"{excerpt(what)} {shown}: expected UTF-8") from None
