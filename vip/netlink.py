"""Adds and removes an IPv4 address by rtnetlink(7), with a lifetime. The kernel answers at once.

Own code because pyroute2 opens its sockets through the event loop, and uvloop has no netlink ones.
"""

import os
import socket
import struct

_RTM_NEWADDR, _RTM_DELADDR = 20, 21
_REQUEST, _ACK, _REPLACE, _CREATE = 0x1, 0x4, 0x100, 0x400
_NLMSG_ERROR = 2
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO = 1, 2, 6
_HEADER = struct.Struct("=IHHII")
_ADDRESS = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")
_PREFIX_LENGTH = 32
_ANSWER_TIMEOUT_S = 1.0


def replace_address(interface_index: int, address: str, *, lifetime_s: int) -> None:
    """Add the address, or renew it, for so many seconds. Raises OSError with the kernel's errno."""
    lifetime = struct.pack("=IIII", lifetime_s, lifetime_s, 0, 0)
    flags = _REQUEST | _ACK | _REPLACE | _CREATE
    _call(_build(_RTM_NEWADDR, flags, interface_index, address, lifetime))


def delete_address(interface_index: int, address: str) -> None:
    """Remove the address. Raises OSError; EADDRNOTAVAIL if it is not there."""
    _call(_build(_RTM_DELADDR, _REQUEST | _ACK, interface_index, address, None))


def _build(
    kind: int, flags: int, interface_index: int, address: str, lifetime: bytes | None
) -> bytes:
    packed = socket.inet_aton(address)
    body = _ADDRESS.pack(socket.AF_INET, _PREFIX_LENGTH, 0, 0, interface_index)
    body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
    if lifetime is not None:
        body += _attribute(_IFA_CACHEINFO, lifetime)
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 1, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    assert len(value) % 4 == 0, "attributes are aligned to four bytes"
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value


def _call(message: bytes) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(_ANSWER_TIMEOUT_S)
        netlink.bind((0, 0))
        netlink.send(message)
        answer = netlink.recv(8192)
    kind = _HEADER.unpack_from(answer)[1]
    code = _ERROR.unpack_from(answer, _HEADER.size)[0] if kind == _NLMSG_ERROR else None
    if code is None:
        raise OSError(f"netlink answered with message type {kind}")
    if code:
        raise OSError(-code, os.strerror(-code))
