"""TLS to the daemon. Imported only for a server `tls://host:port`: ssl takes its time."""
from __future__ import annotations

import os
import socket
import ssl
from typing import Any


class Stream(ssl.SSLSocket):
    """Says like a plain socket when it would have to wait, and that no more will be sent."""

    def recv(self, *args: Any) -> bytes:
        try:
            return super().recv(*args)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError("TLS waits for the rest of a record") from None
        except ssl.SSLZeroReturnError:
            return b""

    def send(self, *args: Any) -> int:
        try:
            return super().send(*args)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def shutdown(self, how: int) -> None:
        try:
            self.unwrap()  # close_notify
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass  # the daemon's own is read like what it sends


def wrap(sock: socket.socket, host: str) -> ssl.SSLSocket:
    """Shakes hands within the socket's timeout; the certificate must be good for the host."""
    try:
        return _context().wrap_socket(sock, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise ssl.SSLCertVerificationError(
            error.errno, f"the server's certificate is not accepted: {error.verify_message} "
                         "(PYROMETER_CA=FILE names a CA to trust in place of the system's)"
        ) from error
    except ssl.SSLError as error:
        if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
            raise ConnectionError("the server does not speak TLS at this address; where ingest.tls "
                                  "is not set the server is host:port, without tls://") from error
        raise


def _context() -> ssl.SSLContext:
    """Made anew for each connection, so that renewed CAs are taken up."""
    file = os.environ.get("PYROMETER_CA") or None
    try:
        context = ssl.create_default_context(cafile=file)
    except OSError as error:
        raise ConnectionError(f"PYROMETER_CA={file}: {error.strerror or error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = Stream
    return context
