"""A server with a certificate: it speaks HTTPS and nothing else, and other machines may reach it.

Rules: the certificate in `tls/` is for localhost, its own authority, and of no use anywhere else; so is its key.
"""

from __future__ import annotations

import shutil
import socket
import ssl
from pathlib import Path

import pytest

from tests.cli.running import documents, lines, run, upsert
from tests.cli.test_serve import SECONDS_MAX, served

PEM = Path(__file__).parent / "tls"
FILES = ("--tls-certificate-file", "certificate.pem", "--tls-key-file", "key.pem")


@pytest.fixture(autouse=True)
def _files(alone: None) -> None:
    for name in ("certificate.pem", "key.pem"):
        shutil.copy(PEM / name, name)
        Path(name).chmod(0o600)


def address_of(said: str) -> tuple[str, int]:
    """The address in the first line."""
    host, _, port = said.partition("\n")[0].removeprefix("listening on https://").partition(":")
    return host, int(port)


def test_with_a_certificate_https_is_spoken_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "certificate.pem")
    with served(*FILES) as server:
        host, port = address_of(server.said)
        url = ("--url", f"https://{host}:{port}", "--key", server.key)
        run("write", *url, given=lines(upsert(1)))
        assert documents(run("find", "c", *url)) == [{"_id": 1}]
        assert f"curl https://{host}:{port}/api" in server.said
        with socket.create_connection((host, port), timeout=SECONDS_MAX) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert not plain.recv(1_000).startswith(b"HTTP")
        trusting = ssl.create_default_context(cafile="certificate.pem")
        with (
            socket.create_connection((host, port), timeout=SECONDS_MAX) as below,
            trusting.wrap_socket(below, server_hostname="localhost") as above,
        ):
            assert above.version() in {"TLSv1.2", "TLSv1.3"}
        assert server.stop() == 0
        assert server.errors == ""


def test_a_client_that_does_not_trust_the_certificate_sends_nothing() -> None:
    with served(*FILES) as server:
        host, port = address_of(server.said)
        refused = run("find", "c", "--url", f"https://{host}:{port}", "--key", server.key, code=1).stderr
        assert "certificate verify failed" in refused


def test_with_tls_other_machines_may_reach_the_server() -> None:
    with served(*FILES, "--listen", "0.0.0.0:0") as server:
        host, port = address_of(server.said)
        assert host == "0.0.0.0"
        assert f"curl https://127.0.0.1:{port}/api" in server.said


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (FILES[:2], 2, "give --tls-certificate-file FILE and --tls-key-file FILE"),
        (FILES[2:], 2, "give --tls-certificate-file FILE and --tls-key-file FILE"),
        ((*FILES[:3], "none.pem"), 1, "none.pem cannot be used"),
        ((*FILES[:3], "certificate.pem"), 1, "certificate.pem cannot be used"),
    ],
)
def test_files_that_cannot_be_used_are_told(arguments: tuple[str, ...], code: int, said: str) -> None:
    assert said in run("serve", "--listen", "127.0.0.1:0", *arguments, code=code).stderr
    assert not Path("crdtstore-data").exists()
