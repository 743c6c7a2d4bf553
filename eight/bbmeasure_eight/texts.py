"""Unicode text on Python 2: decoding, lengths and lone surrogates, as on Python 3.

A narrow build of Python 2 keeps a character above U+FFFF as two surrogates; the functions count these as one.
"""

from __future__ import unicode_literals

import re

#: Text in either form that Python 2 has.
STRINGS = (str, type(""))

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]") if len("\U0001f600") == 2 else None
_LONE = re.compile("[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]")
_ANSI = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[@-Z\\\\-_])")
#: Characters that are not shown or change the direction of others; a narrow Python has two for one above U+FFFF.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|"
    + (
        "\ud82f[\udca0-\udca3]|\ud834[\udd73-\udd7a]|[\udb40-\udb43][\udc00-\udfff]"
        if _PAIR
        else "[\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    )
)


def decode(text):
    """``text`` as Unicode; bytes that are not UTF-8 are replaced."""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def length(text):
    """The number of characters, as Python 3 counts them."""
    return len(text) - len(_PAIR.findall(text)) if _PAIR else len(text)


def single_units(text):
    """``text`` with one code unit for each character."""
    return _PAIR.sub("\ufffd", text) if _PAIR else text


def has_lone_surrogate(text):
    """Whether the text has half of a surrogate pair."""
    return _LONE.search(text) is not None


def replace_lone_surrogates(text):
    """``text`` with a question mark for each half of a surrogate pair."""
    return _LONE.sub("?", text)


def order(text):
    """Sorting key in the order of code points."""
    return text.encode("utf-8")


def excerpt(text, most=80):
    """The quoted start of a text, for messages."""
    text = decode(text)
    return '"%s"' % text if len(text) <= most else '"%s" (%d characters)' % (text[:most], len(text))


def strip_ansi(text):
    """``text`` without control sequences of terminals."""
    return _ANSI.sub("", text) if "\x1b" in text else text


def merged(*mappings):
    """One dictionary of several; the later ones win.  ``dict(a, **b)`` takes no names beyond ASCII."""
    merged_ = {}
    for mapping in mappings:
        merged_.update(mapping)
    return merged_


def message(error):
    """The message of an exception as Unicode."""
    try:
        return "%s" % (error,)
    except UnicodeError:
        return decode(str(error))


def without_hidden(text):
    """``text`` with U+FFFD for each character that is not shown or changes how others are shown."""
    return _HIDDEN.sub("\ufffd", text)


def has_hidden(text):
    """Whether a character of ``text`` is not shown, changes how others are shown, or is a lone surrogate."""
    return bool(_HIDDEN.search(text)) or has_lone_surrogate(text)
