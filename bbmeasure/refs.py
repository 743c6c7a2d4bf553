"""Refs of requests, such as pull requests, which name a proposal and not a branch."""

from __future__ import annotations

import hashlib
import re
from typing import Optional

#: The longest branch and the longest proposal that are kept, in characters; of a longer one a hash replaces the end.
LONGEST_NAME = 200

_REQUESTS = (
    (re.compile(r"refs/pull/(\d+)/"), "refs/pull/{}"),
    (re.compile(r"refs/merge-requests/(\d+)/"), "gitlab!{}"),
    (re.compile(r"refs/pull-requests/(\d+)/"), "refs/pull-requests/{}"),
    (re.compile(r"refs/changes/\d\d/(\d+)/\d+\Z"), "gerrit/{}"),
)


def proposal_of_ref(ref: Optional[str]) -> Optional[str]:
    """The proposal that a ref of GitHub, GitLab, Bitbucket or Gerrit names; None for the ref of a branch."""
    for pattern, form in _REQUESTS:
        found = pattern.match((ref or "").strip())
        if found:
            return form.format(found.group(1))
    return None


def plain_branch(branch: Optional[str]) -> str:
    """The name of a branch without ``refs/heads/`` and control characters, "" for none."""
    name = "".join(char if char.isprintable() else "\ufffd" for char in branch or "").strip()
    return name[len("refs/heads/") :] if name.startswith("refs/heads/") else name


def shortened(name: str) -> str:
    """The name, or its beginning with a hash of the whole, so that two long names that begin alike stay two."""
    name = "".join(char if char.isprintable() else "\ufffd" for char in name)
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name[: LONGEST_NAME - len(digest) - 1]}~{digest}"
