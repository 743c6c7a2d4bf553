"""Variables and menu of Grafana dashboards, as dicts in Grafana's JSON model."""

from __future__ import annotations

from typing import Optional

from bbmeasure.grafana.panels import DATA_SOURCE, PROVISIONED_SOURCE, Json

#: The branch is a field, which points outside builds do not have.  For "all" the variable's value closes the expression
#: and adds a condition on a tag, which every point meets.
OF_BRANCH = '("branch" =~ /^${branch:regex}$/)'
_EVERY_BRANCH = '.*$/ OR "builder" =~ /^.*'


def data_source_variable() -> Json:
    """Return the variable ``datasource``: the InfluxDB that is read, by default the provisioned one."""
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "InfluxDB",
        "query": "influxdb",
        "regex": "",
        "refresh": 1,
        "multi": False,
        "includeAll": False,
        "hide": 0,
        "skipUrlSync": False,
        "current": {"text": PROVISIONED_SOURCE, "value": PROVISIONED_SOURCE},
    }


def grouping_variable(query: str, every_tag: str) -> Json:
    """Return the variable ``group_by`` with the tags that ``query`` lists; "all" is ``every_tag``."""
    return variable(
        "group_by", query, label="a curve for each", regex="/^(?!proposed$)/", multi=True, all_value=every_tag
    )


def builder_variable(from_clause: str = "", *, multi: bool = False) -> Json:
    """Return the variable ``builder``, with the builders of one measurement or of all."""
    space = " " if from_clause else ""
    return variable(
        "builder", f'SHOW TAG VALUES {from_clause}{space}WITH KEY = "builder"', multi=multi, include_all=multi
    )


def branch_variable(query: str) -> Json:
    """Return the variable ``branch`` with the values that ``query`` selects."""
    return variable("branch", query, multi=True, all_value=_EVERY_BRANCH)


def variable(
    name: str,
    query: str,
    *,
    label: Optional[str] = None,
    regex: str = "",
    multi: bool = False,
    include_all: bool = True,
    all_value: Optional[str] = ".*",
) -> Json:
    """Return a query variable that is refreshed when the time range changes."""
    model: Json = {
        "type": "query",
        "name": name,
        "label": label or name,
        "datasource": DATA_SOURCE,
        "query": query,
        "regex": regex,
        "refresh": 2,
        "sort": 1,
        "multi": multi,
        "includeAll": include_all,
        "hide": 0,
        "skipUrlSync": False,
    }
    if include_all:
        model["current"] = {"text": ["All"] if multi else "All", "value": ["$__all"] if multi else "$__all"}
        if all_value is not None:
            model["allValue"] = all_value
    return model


def dashboards_menu() -> Json:
    """Return a menu of bbmeasure's dashboards that keeps variables and time range."""
    return {
        "type": "dashboards",
        "title": "Buildbot",
        "tags": ["bbmeasure"],
        "asDropdown": True,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "tooltip": "",
        "url": "",
    }
