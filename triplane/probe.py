"""Asks components whether they serve: a TLS-verified /readyz, a TCP connection, a free address."""

import errno
import http.client
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path

from triplane.components import Component, Listener
from triplane.errors import CommandError

PROBE_TIMEOUT_S = 1.0


def tls_context(ca_file: Path) -> ssl.SSLContext:
    """A client context that trusts this CA alone."""
    return ssl.create_default_context(cafile=str(ca_file))


def why_not_ready(host: str, port: int, context: ssl.SSLContext) -> str | None:
    """None if `https://host:port/readyz` answers 200, verified for `host`, else why not."""
    connection = http.client.HTTPSConnection(host, port, context=context, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read(512)
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    if response.status == 200:
        return None
    return f"HTTP {response.status} {body.decode(errors='replace').strip()}"


def why_not_listening(listener: Listener) -> str | None:
    """None if something accepts connections there, else why not."""
    try:
        with socket.create_connection((listener.host, listener.port), timeout=PROBE_TIMEOUT_S):
            return None
    except OSError as error:
        return str(error)


def is_own_address(host: str) -> bool:
    """Whether this machine has the address, so that a server can bind it."""
    with _socket_for(host) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def check_free(components: Iterable[Component]) -> None:
    """Raise CommandError if an address that one of the components needs is taken or not here."""
    checked: set[tuple[str, int]] = set()
    for component in components:
        for listener in component.listeners:
            address = (listener.host, listener.port)
            if address not in checked:
                checked.add(address)
                _check_listener(component, listener)


def _check_listener(component: Component, listener: Listener) -> None:
    with _socket_for(listener.host) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.host, listener.port))
        except OSError as error:
            raise _bind_error(component, listener, error) from error


def _bind_error(component: Component, listener: Listener, error: OSError) -> CommandError:
    address = f"{listener.host}:{listener.port}"
    need = f"{component.name} needs it for {listener.purpose}"
    if error.errno == errno.EADDRINUSE:
        return CommandError(
            f"{address} is taken, and {need}",
            f"end what listens there (`ss -ltnp 'sport = :{listener.port}'`), or choose other "
            "ports or another --address-range",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return CommandError(
            f"{listener.host} is not an address of this machine, and {need}",
            "add it to an interface, or choose another --address-range",
        )
    return CommandError(f"cannot listen on {address}: {error.strerror}; {need}", "choose another")


def _socket_for(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM)
