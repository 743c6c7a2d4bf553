"""A mail server that keeps the mails which it gets (RFC 5321), on a free port of 127.0.0.1."""

from __future__ import annotations

import socketserver
from email import message_from_bytes, policy
from email.message import EmailMessage

from tests.local_server import LocalServer


class MailServer(LocalServer):
    """``mails`` are the mails in the order in which they came."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def _say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

            def handle(self) -> None:
                self._say("220 mail.example.org ESMTP")
                while True:
                    command = self.rfile.readline().strip().upper()
                    if not command or command.startswith(b"QUIT"):
                        self._say("221 bye")
                        return
                    if command.startswith(b"DATA"):
                        self._say("354 go on")
                        lines = list(iter(self.rfile.readline, b".\r\n"))
                        server.mails.append(_parse(b"".join(lines)))
                    self._say("250 mail.example.org")

        super().__init__(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler))

    def to(self, recipient: str) -> list[EmailMessage]:
        """The mails to a recipient."""
        return [mail for mail in list(self.mails) if recipient in f"{mail['To']} {mail['CC']}"]


def _parse(content: bytes) -> EmailMessage:
    parsed = message_from_bytes(content, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def text_of(mail: EmailMessage) -> str:
    """The text of a mail."""
    body = mail.get_body(("plain", "html"))
    assert body is not None
    return str(body.get_content())
