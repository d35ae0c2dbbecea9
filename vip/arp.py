"""ARP for one IPv4 address: who else has it (RFC 5227 §2.1.1), and here it is (§2.3).

The packets are RFC 826's for Ethernet and IPv4; building and reading them is pure.
"""

import asyncio
import socket
import struct

ETHERTYPE_ARP = 0x0806
_REQUEST, _REPLY = 1, 2
_BROADCAST = b"\xff" * 6
_NOBODY = bytes(4)
_HEADER = struct.Struct("!6s6sHHHBBH6s4s6s4s")
PROBES = 2
PROBE_WAIT_S = 0.1


def build_probe(mac: bytes, address: bytes) -> bytes:
    """A broadcast question for `address` that claims nothing (sender address 0.0.0.0)."""
    return _build(mac, _NOBODY, address)


def build_announcement(mac: bytes, address: bytes) -> bytes:
    """A gratuitous request: everybody who has `address` in a cache learns `mac`."""
    return _build(mac, address, address)


def owner_of(frame: bytes, address: bytes, own_mac: bytes) -> bytes | None:
    """The MAC of another machine that shows in this frame that it has `address`, else None."""
    if len(frame) < _HEADER.size:
        return None
    fields = _HEADER.unpack_from(frame)
    ethertype, hardware, protocol, operation = fields[2], fields[3], fields[4], fields[7]
    sender_mac, sender_address = fields[8], fields[9]
    if (ethertype, hardware, protocol) != (ETHERTYPE_ARP, 1, 0x0800):
        return None
    if operation not in (_REQUEST, _REPLY):
        return None
    is_others = sender_address == address and sender_mac != own_mac
    return bytes(sender_mac) if is_others else None


def _build(mac: bytes, sender: bytes, target: bytes) -> bytes:
    return _HEADER.pack(
        _BROADCAST, mac, ETHERTYPE_ARP, 1, 0x0800, 6, 4, _REQUEST, mac, sender, bytes(6), target
    )


class ArpSocket:
    """Raw ARP on one interface. Raises OSError at construction without CAP_NET_RAW."""

    def __init__(self, interface: str, address: str) -> None:
        self._address = socket.inet_aton(address)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ARP))
        try:
            self._socket.bind((interface, ETHERTYPE_ARP))
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self._mac: bytes = self._socket.getsockname()[4]

    async def find_other_owner(self) -> str | None:
        """Ask a few times; the MAC of another machine that has the address, None if none told."""
        for _ in range(PROBES):
            self._socket.send(build_probe(self._mac, self._address))
            try:
                async with asyncio.timeout(PROBE_WAIT_S):
                    return (await self._next_owner()).hex(":")
            except TimeoutError:
                continue
        return None

    def announce(self) -> None:
        """Tell the network that the address is here. Raises OSError if the interface is down."""
        self._socket.send(build_announcement(self._mac, self._address))

    def close(self) -> None:
        self._socket.close()

    async def _next_owner(self) -> bytes:
        loop = asyncio.get_running_loop()
        while True:
            frame = await loop.sock_recv(self._socket, 2048)
            owner = owner_of(frame, self._address, self._mac)
            if owner is not None:
                return owner
