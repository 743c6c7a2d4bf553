"""Whom to trust: certificates of one's own from a file, or, where master.cfg says so, anybody."""

from __future__ import annotations

import re
from typing import Any

from OpenSSL import SSL
from OpenSSL.crypto import Error as OpenSSLError
from twisted.internet import ssl
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from bbmeasure.errors import StorageError

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def read_ca_file(path: str) -> Any:
    """The certificates of a PEM file, to be trusted in place of the system's; StorageError where there are none."""
    try:
        with open(path, "rb") as file:
            found = [ssl.Certificate.loadPEM(pem) for pem in _PEM.findall(file.read())]
    except (OSError, OpenSSLError, ValueError) as error:
        raise StorageError(f"caFile {path!r}: expected a file of certificates in PEM ({error})") from None
    if not found:
        raise StorageError(f"caFile {path!r}: expected certificates in PEM, found none")
    trust: Any = ssl.trustRootFromCertificates  # Twisted gives it no types
    return trust(found)


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    def __init__(self, host: str) -> None:
        self._host = host
        self._context = ssl.CertificateOptions(verify=False).getContext()

    def clientConnectionForTLS(self, _: Any) -> SSL.Connection:
        """A connection that takes any certificate."""
        connection = SSL.Connection(self._context, None)
        if not (isIPAddress(self._host) or isIPv6Address(self._host)):
            connection.set_tlsext_host_name(self._host.encode("idna"))
        return connection


@implementer(IPolicyForHTTPS)
class UnverifiedPolicy:
    """Encrypts, and believes any server: ``verifyTLS=False``."""

    def creatorForNetloc(self, hostname: bytes, port: int) -> _Unverified:
        """How to connect to that server."""
        del port
        return _Unverified(hostname.decode("ascii"))
