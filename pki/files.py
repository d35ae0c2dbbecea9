"""Files that hold certificates and keys: written whole or not at all, keys for their owner."""

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from pki.errors import PkiError

PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644
DIRECTORY_MODE = 0o700


def make_private_directory(directory: Path) -> None:
    """Create `directory` and its parents, 0700 each where they did not exist.

    Raises PkiError if that is not permitted or something else stands in the way.
    """
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        for path in reversed(missing):
            path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    except OSError as error:
        raise PkiError(
            f"cannot create {directory}: {error.strerror}", "choose a writable --data-dir"
        ) from error
    if not directory.is_dir():
        raise PkiError(
            f"{directory} is not a directory", "move it away or choose another --data-dir"
        )


def write_files(files: Iterable[tuple[Path, bytes, int]]) -> None:
    """Write (path, content, mode) all: every content is on disk before the first takes its name.

    A crash leaves each file old or new, never in part. Existing files are replaced: callers that
    must keep them ask first.
    """
    staged: list[tuple[Path, Path]] = []
    path = Path()
    try:
        for path, content, mode in files:
            staged.append((_stage(path, content, mode), path))
        for temporary, path in staged:
            os.replace(temporary, path)
    except OSError as error:
        for temporary, _ in staged:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise PkiError(
            f"cannot write {path}: {error.strerror}",
            "make it writable or choose another --data-dir",
        ) from error
    for directory in {path.parent for _, path in staged}:
        _sync_directory(directory)


def read_file(path: Path) -> bytes | None:
    """The content of `path`, or None if there is no such file; PkiError if it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PkiError(
            f"cannot read {path}: {error.strerror}", "make it readable or choose another --data-dir"
        ) from error


def _stage(path: Path, content: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return temporary


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
