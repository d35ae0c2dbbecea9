"""One line per message and entry, the same in logs, transcripts and reports (etcd/raft's form)."""

from raftstore.raft.messages import Message, MessageKind
from raftstore.raft.types import ConfState, Entry, EntryKind

_NAMES = {
    MessageKind.PROP: "MsgProp",
    MessageKind.APP: "MsgApp",
    MessageKind.APP_RESP: "MsgAppResp",
    MessageKind.VOTE: "MsgVote",
    MessageKind.VOTE_RESP: "MsgVoteResp",
    MessageKind.SNAP: "MsgSnap",
    MessageKind.HEARTBEAT: "MsgHeartbeat",
    MessageKind.HEARTBEAT_RESP: "MsgHeartbeatResp",
    MessageKind.TRANSFER_LEADER: "MsgTransferLeader",
    MessageKind.TIMEOUT_NOW: "MsgTimeoutNow",
    MessageKind.READ_INDEX: "MsgReadIndex",
    MessageKind.READ_INDEX_RESP: "MsgReadIndexResp",
    MessageKind.PRE_VOTE: "MsgPreVote",
    MessageKind.PRE_VOTE_RESP: "MsgPreVoteResp",
}
_ENTRY_NAMES = {EntryKind.NORMAL: "EntryNormal", EntryKind.CONF_CHANGE: "EntryConfChange"}
_DATA_BYTES_SHOWN = 32


def describe_message(message: Message) -> str:
    """For example `1->2 MsgApp Term:1 Log:1/2 Commit:2 Entries:[1/3 EntryNormal "x"]`."""
    parts = [
        f"{message.from_:x}->{message.to:x} {_NAMES[message.kind]} "
        f"Term:{message.term} Log:{message.log_term}/{message.index}"
    ]
    if message.reject:
        parts.append(f"Rejected (Hint: {message.reject_hint})")
    if message.commit:
        parts.append(f"Commit:{message.commit}")
    if message.entries:
        parts.append(f"Entries:[{', '.join(map(describe_entry, message.entries))}]")
    if message.snapshot is not None:
        meta = message.snapshot
        conf = describe_conf_state(meta.conf_state)
        parts.append(f"Snapshot:{meta.term}/{meta.index} {conf}")
    if message.context:
        parts.append(f"Context:{message.context.hex()}")
    return " ".join(parts)


def describe_entry(entry: Entry) -> str:
    """For example `1/3 EntryNormal "x"`: term, index, kind, data (cut after 32 bytes)."""
    parts = [f"{entry.term}/{entry.index} {_ENTRY_NAMES[entry.kind]}"]
    if entry.data:
        shown = entry.data[:_DATA_BYTES_SHOWN].decode("ascii", "backslashreplace")
        cut = f"…({len(entry.data)}B)" if len(entry.data) > _DATA_BYTES_SHOWN else ""
        parts.append(f'"{shown}"{cut}')
    return " ".join(parts)


def describe_conf_state(conf: ConfState) -> str:
    """For example `Voters:[1 2 3] Learners:[]`."""
    voters = " ".join(f"{member:x}" for member in conf.voters)
    learners = " ".join(f"{member:x}" for member in conf.learners)
    return f"Voters:[{voters}] Learners:[{learners}]"
