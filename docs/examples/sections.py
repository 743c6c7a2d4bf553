"""A custom parser of ``size -A``: the sections of a program."""

from bbmeasure import Record


def sections(text):
    """Return a record for each section, with the tag ``section``."""
    records = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[0].startswith("."):
            records.append(Record("section_size", int(words[1]), unit="bytes", tags={"section": words[0]}))
    return records
