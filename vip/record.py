"""The record that names the holder, at `/triplane/vip/<address:port>` in the store. Pure."""

import json
from dataclasses import asdict, dataclass

KEY_PREFIX = "/triplane/vip/"


@dataclass(frozen=True, slots=True)
class HolderRecord:
    """Who holds the address: the node, its agent's process, since when (RFC 3339, for display)."""

    holder: str
    node: str
    pid: int
    address: str
    since: str


def record_key(address: str) -> bytes:
    """The key for an address such as `127.0.0.10:6443`."""
    return f"{KEY_PREFIX}{address}".encode()


def render_record(record: HolderRecord) -> bytes:
    return json.dumps(asdict(record)).encode()


def parse_record(value: bytes) -> HolderRecord:
    """What `render_record` wrote. Raises ValueError for anything else; extra fields are fine."""
    try:
        document = json.loads(value)
        return HolderRecord(
            holder=str(document["holder"]),
            node=str(document["node"]),
            pid=int(document["pid"]),
            address=str(document["address"]),
            since=str(document["since"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no holder's record: {value[:200]!r}") from error
