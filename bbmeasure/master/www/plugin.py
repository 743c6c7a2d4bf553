"""The Measurements page in Buildbot's web interface: what ``c["www"]["plugins"] = {"bbmeasure": {}}`` turns on.

The page itself is built from ``www/`` into ``static/`` beside this module.  Where it was not built (a checkout
installed on a machine without npm) the JSON API is served all the same, and the log says once why the page is missing.
"""

from __future__ import annotations

import os
from typing import Any

from buildbot.www.plugin import Application
from twisted.python import log
from twisted.web.resource import Resource
from twisted.web.static import Data, File


class _Static(File):
    """Files that a browser asks about again each time, so that an upgraded page is seen at once."""

    def render_GET(self, request: Any) -> Any:
        """As its base does, with one header more."""
        request.setHeader(b"cache-control", b"no-cache")
        return super().render_GET(request)  # type: ignore[no-untyped-call]  # Twisted's has no types


#: What is served for a page that was not built: the AngularJS page of Buildbot 3 insists on a module of each plugin.
_NO_PAGE = b'window.angular && angular.module("bbmeasure", []);'


class MeasurementsPage(Application):
    """Buildbot keeps one of these a process, imports it before it forks and hands it its master at each reconfig."""

    def __init__(self) -> None:
        super().__init__("bbmeasure.master.www", "Measurements of what Buildbot builds")
        self.resource = _Static(str(self.static_dir))
        self._served: Any = None

    @property
    def is_built(self) -> bool:
        """Whether there is a page to serve beside the API."""
        return os.path.isfile(os.path.join(self.static_dir, "scripts.js"))

    def setMaster(self, master: Any) -> None:
        """Serve the API of ``master``; a master that is served already keeps what it has."""
        super().setMaster(master)
        if master is self._served:
            return
        from bbmeasure.master.www.resource import ApiResource  # not before twistd has forked

        self._served = master
        self.resource.putChild(b"api", ApiResource(master))
        self._serve_below_plugins(master.www)
        if not self.is_built:
            self._stand_in(b"scripts.js", _NO_PAGE, "text/javascript")
            self._stand_in(b"styles.css", b"", "text/css")
            log.msg(
                "bbmeasure: the Measurements page was not built when bbmeasure was installed, only its JSON API is "
                "there; with npm on the machine, install bbmeasure again, or run `make www` in its checkout"
            )

    def _serve_below_plugins(self, www: Any) -> None:
        """Buildbot 3 serves a plugin as ``/NAME`` alone; Buildbot 4 has ``/plugins/`` by now and puts it there."""
        root = www.apps.get(www.base_plugin_name).resource
        if b"plugins" not in root.children:
            resource: Any = Resource
            plugins = resource()
            plugins.putChild(b"bbmeasure", self.resource)
            root.putChild(b"plugins", plugins)

    def _stand_in(self, name: bytes, content: bytes, kind: str) -> None:
        """Serve ``content`` where the built page would be."""
        static: Any = Data
        self.resource.putChild(name, static(content, kind))


ep = MeasurementsPage()
