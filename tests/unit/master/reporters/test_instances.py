"""The services that write comments: their arguments, their token."""

from __future__ import annotations

import pytest
from buildbot.config.errors import ConfigErrors
from buildbot.plugins import reporters, util

from bbmeasure.master.reporters.instances import GitHubMeasurementsComment, GitLabMeasurementsComment


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "token: expected a token"),
        ({"token": ""}, "token: expected a token"),
        ({"token": "a\nb"}, "token: expected a token"),
        ({"token": "t", "mode": "often"}, "mode 'often': expected one of new, worse, all"),
        ({"token": "t", "builders": "b"}, "builders 'b': expected a list of names"),
        ({"token": "t", "timeout": 0}, "timeout 0: expected a number of seconds up to 60"),
        ({"token": "t", "baseURL": "github.example.org"}, "baseURL: does not start with http"),
        ({"token": "t", "verifyTLS": "no"}, "verifyTLS 'no': expected True or False"),
        ({"token": "t", "caFile": "/none.pem", "baseURL": "https://h"}, "caFile '/none.pem'"),
        ({"token": "t", "url": "https://h"}, "unexpected keyword argument 'url'"),
    ],
)
@pytest.mark.parametrize("kind", [GitHubMeasurementsComment, GitLabMeasurementsComment])
def test_invalid_arguments(kind, arguments, why):
    """An invalid argument is a configuration error that says what is expected."""
    with pytest.raises(ConfigErrors) as error:
        kind(**arguments)
    assert why in str(error.value)


def test_the_token_is_a_secret():
    """The token may be a secret, and is shown nowhere."""
    made = reporters.GitHubMeasurementsComment(token=util.Secret("github"))
    assert made.name == "GitHubMeasurementsComment"
    plain = reporters.GitLabMeasurementsComment(name="other", token="the-secret-token")
    assert "the-secret-token" not in str(plain.getConfigDict())
    assert plain.name == "other"
