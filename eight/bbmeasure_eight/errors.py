"""Errors of bbmeasure-eight."""


class MeasureError(ValueError):
    """A value, name or setting that bbmeasure-eight refuses; the message is Unicode."""

    def __unicode__(self):
        return self.args[0] if self.args else u""

    def __str__(self):
        return self.__unicode__().encode("utf-8")


class ServerError(Exception):
    """An InfluxDB that did not answer a request, or refused it; ``status`` is None without an answer."""

    def __init__(self, message, status=None):
        Exception.__init__(self, message)
        self.status = status
