"""The address on a network interface, for nodes that are machines of their own. Needs root.

There is no witness here: another agent takes over only when the lease has run out. The address
carries the time that is left as its valid lifetime, so that the kernel drops it from a process that
was killed or paused. The kernel counts whole seconds and looks a quarter of a second late at worst
(`check_lifetime` in net/ipv4/devinet.c); the lifetime is rounded down, and the lease has a margin.
"""

import errno
import logging
import socket
from collections.abc import Callable

from vip.arp import ArpSocket
from vip.loopback import AddressError, listen
from vip.netlink import delete_address, replace_address

log = logging.getLogger(__name__)

ANNOUNCEMENTS = 4
"""After taking the address, one now and one with each of the next renewals: frames get lost."""


class InterfaceAddress:
    """The address on one interface. Raises AddressError if this process may not or cannot."""

    has_witness = False

    def __init__(self, interface: str, host: str, port: int, clock: Callable[[], float]) -> None:
        if ":" in host:
            raise AddressError(
                f"--interface takes an IPv4 address, not {host}; it announces by ARP"
            )
        try:
            self._index = socket.if_nametoindex(interface)
        except OSError as error:
            raise AddressError(f"there is no interface {interface}; see `ip link`") from error
        try:
            self._arp = ArpSocket(interface, host)
        except PermissionError as error:
            raise AddressError(
                "--interface needs root (CAP_NET_ADMIN and CAP_NET_RAW); run the agent as root, "
                "or leave the flag out to bind an address of this machine"
            ) from error
        except OSError as error:
            raise AddressError(f"{interface} speaks no ARP: {error.strerror}") from error
        self._interface = interface
        self._host = host
        self._port = port
        self._clock = clock
        self._announcements = 0

    async def take(self, deadline: float) -> socket.socket:
        """Ask who has it, add it, announce it, listen."""
        owner = await self._arp.find_other_owner()
        if owner is not None:
            raise AddressError(
                f"{self._host} is held by {owner}, by its ARP reply; it ends with its lease if "
                "that is an agent, else choose another address"
            )
        self._set(deadline)
        self._announcements = ANNOUNCEMENTS
        self._announce()
        return listen(self._host, self._port)

    async def extend(self, deadline: float) -> None:
        """Renew the kernel's lifetime."""
        self._set(deadline)
        self._announce()

    def let_go(self) -> None:
        """Remove the address; it may be gone already."""
        try:
            delete_address(self._index, self._host)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                log.warning("%s: cannot remove %s: %s", self._interface, self._host, error)

    async def is_refused(self) -> bool:
        """Nobody can tell here."""
        return False

    def _set(self, deadline: float) -> None:
        lifetime_s = int(deadline - self._clock())
        if lifetime_s < 1:
            raise AddressError(f"less than a second is left to hold {self._host}")
        try:
            replace_address(self._index, self._host, lifetime_s=lifetime_s)
        except OSError as error:
            raise AddressError(
                f"{self._interface}: cannot add {self._host}: {error.strerror}; it needs root"
            ) from error

    def _announce(self) -> None:
        if self._announcements == 0:
            return
        self._announcements -= 1
        try:
            self._arp.announce()
        except OSError as error:
            log.warning("%s: cannot announce %s: %s", self._interface, self._host, error)
