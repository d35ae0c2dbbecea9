"""Files of earlier releases are read as written. `tests/golden/format-N` never changes."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import pytest

from etcdclient.pb.rpc_pb2 import RangeRequest
from raftstore.snap.codec import SnapshotDamagedError
from raftstore.snap.store import SnapshotStore
from raftstore.wal import codec
from tests.support.golden import LEASE, read_files

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def copy_of(name: str, tmp_path: Path) -> Path:
    """A copy to work on: recovery may touch its files."""
    return Path(shutil.copytree(GOLDEN / name, tmp_path / "data"))


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("format-*")))
def test_files_of_every_format_are_still_read(name: str, tmp_path: Path) -> None:
    recovered, applier = read_files(copy_of(name, tmp_path))
    recovered.lock.close()
    keys = {kv.key: kv for kv in applier.store.range(RangeRequest(key=b"\0", range_end=b"\0")).kvs}
    assert len(keys) == 40
    assert b"before-0" not in keys
    assert keys[b"before-19"].value == b"x" * 60
    assert keys[b"behind-19"].value == b"y" * 60
    assert (keys[b"leased"].lease, keys[b"leased"].version) == (LEASE, 1)
    assert applier.lessor.keys_of(LEASE) == [b"leased"]
    assert not applier.alarms
    assert applier.store.revision == 43
    assert recovered.log.snapshot.index > 20
    assert recovered.membership.incarnation_of(recovered.member_id) == (
        recovered.identity.incarnation
    )
    assert [member.name for member in recovered.membership.all()] == ["golden"]


def test_files_of_a_later_format_are_refused_by_name(tmp_path: Path) -> None:
    data_dir = copy_of("format-1", tmp_path)
    segment = min((data_dir / "member" / "wal").glob("*.wal"))
    header = bytearray(segment.read_bytes()[: codec.HEADER_BYTES])
    header[8] = 2
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "little")
    with pytest.raises(codec.DamagedError, match="journal format 2, this release reads only 1"):
        codec.decode_header(bytes(header))
    (snapshot,) = (data_dir / "member" / "snap").glob("*.snap")
    later = bytearray(snapshot.read_bytes())
    later[8] = 2
    snapshot.write_bytes(later)
    term, index = (int(part, 16) for part in snapshot.stem.split("-"))
    store = SnapshotStore(snapshot.parent, chunk_bytes_max=1 << 20)
    with pytest.raises(SnapshotDamagedError, match="not a snapshot of this format"):
        store.read(index, term)
