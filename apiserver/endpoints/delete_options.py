"""DeleteOptions from body and query, checked with the original's texts. PURE."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from apiserver.api import errors
from apiserver.api.field_errors import FieldError, invalid, not_supported
from apiserver.http.request_info import Query, is_true

FOREGROUND: Final = "Foreground"
BACKGROUND: Final = "Background"
ORPHAN: Final = "Orphan"


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How to delete: after how long, on which conditions, and what becomes of dependents."""

    grace_period_s: int | None = None
    propagation_policy: str | None = None
    orphan_dependents: bool | None = None
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False

    @property
    def orphans(self) -> bool | None:
        """Whether dependents are left behind; None when the client does not say."""
        if self.orphan_dependents is not None:
            return self.orphan_dependents
        return None if self.propagation_policy is None else self.propagation_policy == ORPHAN

    @property
    def foreground(self) -> bool | None:
        """Whether dependents go first; None when the client does not say."""
        if self.orphan_dependents is not None:
            return False
        return None if self.propagation_policy is None else self.propagation_policy == FOREGROUND


def parse_delete_options(body: Mapping[str, Any] | None, query: Query) -> DeleteOptions:
    """Read and check the options; a body takes the place of the query. Raises 400 or 422."""
    given = dict(body) if body else _from_query(query)
    kind = given.get("kind", "DeleteOptions")
    if kind != "DeleteOptions":
        raise errors.bad_request(f"decoded object cannot be converted to DeleteOptions: {kind}")
    preconditions = given.get("preconditions") or {}
    dry_run = given.get("dryRun") or ([query["dryRun"]] if query.get("dryRun") else [])
    if not isinstance(preconditions, dict) or not isinstance(dry_run, list):
        raise errors.bad_request("json: cannot unmarshal value into DeleteOptions")
    _check(given, dry_run)
    return DeleteOptions(
        grace_period_s=given.get("gracePeriodSeconds"),
        propagation_policy=given.get("propagationPolicy"),
        orphan_dependents=given.get("orphanDependents"),
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        dry_run=bool(dry_run),
    )


def _from_query(query: Query) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if query.get("gracePeriodSeconds"):
        text = query["gracePeriodSeconds"]
        try:
            given["gracePeriodSeconds"] = int(text)
        except ValueError as error:
            why = f'strconv.ParseInt: parsing "{text}": invalid syntax'
            raise errors.bad_request(why) from error
    if query.get("propagationPolicy"):
        given["propagationPolicy"] = query["propagationPolicy"]
    if "orphanDependents" in query:
        given["orphanDependents"] = is_true(query, "orphanDependents")
    return given


def _check(given: Mapping[str, Any], dry_run: list[Any]) -> None:
    found: list[FieldError] = []
    policy = given.get("propagationPolicy")
    orphan = given.get("orphanDependents")
    grace = given.get("gracePeriodSeconds")
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool)):
        raise errors.bad_request(
            "json: cannot unmarshal value into Go struct field "
            "DeleteOptions.gracePeriodSeconds of type int64"
        )
    if policy is not None and orphan is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        found.append(invalid("propagationPolicy", policy, text))
    if policy not in (None, FOREGROUND, BACKGROUND, ORPHAN):
        supported = [FOREGROUND, BACKGROUND, ORPHAN, "nil"]
        found.append(not_supported("propagationPolicy", policy, supported))
    if any(value != "All" for value in dry_run):
        found.append(not_supported("dryRun", dry_run, ["All"]))
    if found:
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", found)
