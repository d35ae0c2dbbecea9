"""What can be wrong with a patch, so that the edge can tell 400 from 413 and 422."""

from __future__ import annotations


class PatchError(ValueError):
    """The patch is no patch at all: 400."""


class PatchTooLargeError(PatchError):
    """The patch asks for more work than is allowed: 413."""


class PatchConflictError(PatchError):
    """The patch is well formed, but does not apply to this document: 422."""
