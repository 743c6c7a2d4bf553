"""Sphinx configuration.  `make docs` treats warnings and unresolved references as errors."""

from bbmeasure import __version__

project = "bbmeasure"
author = "The bbmeasure developers"
copyright = author  # noqa: A001  (Sphinx' own name)
release = version = __version__

extensions = ["sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"bbmeasure {release}"
exclude_patterns = ["_build"]
default_role = "code"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_inherit_docstrings = False

# Objects of other projects; no inventory is fetched.
nitpick_ignore_regex = [
    ("py:.*", r"(twisted|buildbot|zope|collections|typing|defer|_?abc|datetime)\..*"),
    ("py:class", r"Any|Mapping|Optional|Sequence|Union|optional"),
]
