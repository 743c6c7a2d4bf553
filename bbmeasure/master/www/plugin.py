"""Buildbot www plugin ``bbmeasure``: the Measurements page and the JSON API.

The page is built from ``www/`` into ``static/`` beside this module.  If it was not built (installation from a checkout
without npm), only the JSON API is served, and the reason is logged once.
"""

from __future__ import annotations

import os
from typing import Any

from buildbot.www.plugin import Application
from twisted.python import log
from twisted.web.resource import Resource
from twisted.web.static import Data, File


class _Static(File):
    """Static files that a browser must revalidate, so that an upgraded page is shown at once; no list of a folder."""

    def getChild(self, path: Any, request: Any) -> Any:
        """The file; 404 for a name that no file can have."""
        if b"\0" in path:
            return self.childNotFound
        return super().getChild(path, request)  # type: ignore[no-untyped-call]  # Twisted's has no types

    def directoryListing(self) -> Any:
        """404 for a folder."""
        return self.childNotFound

    def render_GET(self, request: Any) -> Any:
        """Serve the file with ``Cache-Control: no-cache``."""
        request.setHeader(b"cache-control", b"no-cache")
        return super().render_GET(request)  # type: ignore[no-untyped-call]  # Twisted's has no types


#: Served as scripts.js if the page was not built: the AngularJS page of Buildbot 3 requires a module of each plugin.
_EMPTY_MODULE = b'window.angular && angular.module("bbmeasure", []);'


class MeasurementsPage(Application):
    """The plugin.  Buildbot creates one a process, before twistd forks, and sets its master at each reconfiguration."""

    def __init__(self) -> None:
        super().__init__("bbmeasure.master.www", "Measurements of what Buildbot builds")
        self.resource = _Static(str(self.static_dir))
        self._served_master: Any = None

    @property
    def is_built(self) -> bool:
        """Whether the page was built."""
        return os.path.isfile(os.path.join(self.static_dir, "scripts.js"))

    def setMaster(self, master: Any) -> None:
        """Serve the API of ``master``; a reconfiguration sets the same master again and changes nothing."""
        super().setMaster(master)
        if master is self._served_master:
            return
        from bbmeasure.master.www.resource import ApiResource  # must be imported after twistd has forked

        self._served_master = master
        self.resource.putChild(b"api", ApiResource(master))
        self._serve_below_plugins(master.www)
        if not self.is_built:
            self._serve_fallback(b"scripts.js", _EMPTY_MODULE, "text/javascript")
            self._serve_fallback(b"styles.css", b"", "text/css")
            log.msg(
                "bbmeasure: the Measurements page was not built when bbmeasure was installed, only its JSON API is "
                "there; with npm on the machine, install bbmeasure again, or run `make www` in its checkout"
            )

    def _serve_below_plugins(self, www: Any) -> None:
        """Serve the plugin below ``/plugins/``, as Buildbot 4 does itself; Buildbot 3 serves it at ``/NAME`` only."""
        root = www.apps.get(www.base_plugin_name).resource
        if b"plugins" not in root.children:
            resource: Any = Resource
            plugins = resource()
            plugins.putChild(b"bbmeasure", self.resource)
            root.putChild(b"plugins", plugins)

    def _serve_fallback(self, name: bytes, content: bytes, kind: str) -> None:
        """Serve ``content`` in place of a file of the page."""
        static: Any = Data
        self.resource.putChild(name, static(content, kind))


#: The entry point; Buildbot's own plugins have this name too.
ep = MeasurementsPage()
