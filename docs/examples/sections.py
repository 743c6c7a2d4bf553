"""A parser of one's own: the sections of a program, from what ``size -A`` prints."""

from bbmeasure import Record


def sections(text):
    """One record a section, told apart by the tag ``section``."""
    records = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[0].startswith("."):
            records.append(Record("section_size", int(words[1]), unit="bytes", tags={"section": words[0]}))
    return records
