"""Point: a record in its build, at a time of its own; and its identity."""

from __future__ import unicode_literals

import json
import os
import platform
from collections import namedtuple
from zlib import crc32

from bbmeasure_eight import texts
from bbmeasure_eight.blake2b import digest8

NANOSECONDS = 10**9
#: The longest revision, branch and project that are kept, in characters.
LONGEST_FIELD = 200

#: The build of a point; ``step`` is None for a value of the whole build, ``proposal`` is empty for none.
BuildContext = namedtuple(
    str("BuildContext"), str("builder worker build step revision branch project proposal")
)

#: A stored value.  Its identity is (series, builder, worker, tags, time).
Point = namedtuple(str("Point"), str("series time value tags build samples spread kind unit better"))


def identity_time(second, master, builder, build, step, series, tags):
    """The time in nanoseconds of a value that can be read again from Buildbot's own record of a build.

    As ``bbmeasure.capture.identity.identity_time``, with builder and number in place of the id of a build, which
    Buildbot Eight does not have.
    """
    ordered = [list(tag) for tag in sorted(tags.items(), key=lambda tag: texts.order(tag[0]))]
    identity = json.dumps([master, [builder, build], step, series, ordered], separators=(str(","), str(":")))
    return int(second) * NANOSECONDS + digest8(identity.encode("ascii")) % NANOSECONDS


def master_name(directory):
    """The name of the master in a directory, HOST:DIRECTORY, as Buildbot itself makes it."""
    return "%s:%s" % (texts.decode(platform.node()), texts.decode(os.path.abspath(directory)))


def time_offset(master):
    """Nanoseconds added to each capture time, so that points of two masters in one database stay apart."""
    return (crc32(master.encode("utf-8")) & 0xFFFFFFFF) % 119 if master else 0


def field_text(value):
    """The text of a revision, branch or project, at most LONGEST_FIELD characters; None for none.

    Of a mapping by codebase it is the unnamed codebase's, or that of the only codebase.
    """
    if isinstance(value, dict):
        value = value.get("") or (list(value.values())[0] if len(value) == 1 else None)
    if not isinstance(value, texts.STRINGS) or not value:
        return None
    text = texts.decode(value)[:LONGEST_FIELD]
    return "".join(char if char >= " " else "?" for char in texts.replace_lone_surrogates(text))


def point_of(record, time, build=None, master_tags=None):
    """The point of a record; ``master_tags`` are tags that only the master sets, such as ``result``."""
    cleaned = dict((key, texts.without_hidden(text)) for key, text in (master_tags or {}).items())
    tags = texts.merged(record.tags, cleaned)
    samples = len(record.samples) or 1
    return Point(
        record.name, time, record.value, tags, build, samples, record.spread, record.kind, record.unit, record.better
    )
