"""TLS for the tests: certificates made by openssl, and a client's socket that can do what ssl.SSLSocket cannot."""

import socket
import ssl
import subprocess
import threading
from pathlib import Path


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def make_key(path, passphrase=None):
    cipher = ["-aes256", "-pass", f"pass:{passphrase}"] if passphrase else []
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", *cipher, "-out", path)
    return path


class Authority:
    """A CA in a directory; `issue` gives (certificate, key) for names such as "DNS:localhost" or "IP:127.0.0.1"."""

    def __init__(self, directory, name="tests' own"):
        self.directory = Path(directory)
        self.name = name
        self.cert = self.directory / "ca.pem"
        self.key = make_key(self.directory / "ca.key")
        openssl("req", "-x509", "-key", self.key, "-subj", f"/CN={name}", "-days", 2, "-out", self.cert)

    def issue(self, stem, names="DNS:localhost,IP:127.0.0.1", days=2):
        cert, request, extensions = (self.directory / f"{stem}.{end}" for end in ("pem", "csr", "ext"))
        key = make_key(self.directory / f"{stem}.key")
        extensions.write_text(f"subjectAltName={names}\n")
        openssl("req", "-new", "-key", key, "-subj", f"/CN={stem}", "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                "-extfile", extensions, "-out", cert)
        return cert, key


class SecureSocket:
    """A connected socket under TLS that still reads behind its own close_notify; one thread may send while one reads.

    An end without the other side's close_notify is an ssl.SSLEOFError.
    """

    def __init__(self, raw, context, name="localhost"):
        self.raw = raw
        self.lock = threading.Lock()
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.early = b""  # read before the half close
        try:
            self.insist(self.object.do_handshake)
        except BaseException:
            self.close()
            raise
        self.settimeout, self.fileno = raw.settimeout, raw.fileno
        self.version, self.getpeercert = self.object.version, self.object.getpeercert

    def insist(self, operation, *args):
        """The operation's result, with what the other side has to say for it."""
        while True:
            with self.lock:
                try:
                    return operation(*args)
                except ssl.SSLWantReadError:
                    pass
                finally:
                    self.flush()
            data = self.raw.recv(65536)
            with self.lock:
                self.incoming.write(data) if data else self.incoming.write_eof()

    def flush(self):
        if self.outgoing.pending:
            self.raw.sendall(self.outgoing.read())

    def recv(self, n):
        data, self.early = self.early[:n], self.early[n:]
        try:
            return data or self.insist(self.object.read, n)
        except ssl.SSLZeroReturnError:
            return b""

    def sendall(self, data):
        with self.lock:
            self.object.write(data)
            sealed = self.outgoing.read()
        self.raw.sendall(sealed)  # unlocked: it may have to wait for the reading thread

    def shutdown(self, how):
        assert how == socket.SHUT_WR
        with self.lock:
            try:
                while data := self.object.read(65536):
                    self.early += data
            except ssl.SSLWantReadError:
                pass
            try:
                self.object.unwrap()
            except ssl.SSLWantReadError:
                pass  # the other side's is still to come
            self.flush()

    def close(self):
        self.raw.close()
