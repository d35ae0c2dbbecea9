"""Which form an answer takes: the Accept header against what we can write. PURE.

Source: k8s.io/apiserver/pkg/endpoints/handlers/negotiation. JSON and YAML are written; protobuf is
passed over, so clients that list JSON as a fallback get JSON.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from apiserver.api import errors

JSON: Final = "application/json"
YAML: Final = "application/yaml"
_WRITABLE: Final = {JSON: JSON, YAML: YAML, "*/*": JSON, "application/*": JSON}
_META_KINDS: Final = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})
_DISCOVERY_KINDS: Final = frozenset({"APIGroupDiscoveryList"})


@dataclass(frozen=True, slots=True)
class MediaType:
    """One clause of an Accept header that we can satisfy.

    `as_kind` is "" for the object itself, else the kind (in `as_group`, `as_version`) into which
    the client wants it converted.
    """

    content_type: str = JSON
    as_kind: str = ""
    as_group: str = ""
    as_version: str = ""
    # `stream=watch`, which asks for nothing that a watch does not give anyhow.
    stream: str = ""

    def header(self) -> str:
        """The Content-Type of the answer."""
        if self.as_kind == "APIGroupDiscoveryList":
            return f"{self.content_type};g={self.as_group};v={self.as_version};as={self.as_kind}"
        return self.content_type


PLAIN_JSON: Final = MediaType()


@lru_cache(maxsize=512)
def negotiate(accept: str, *, discovery: bool = False) -> MediaType | None:
    """The best clause of `accept` that we can write, None when there is none (406).

    An absent header accepts anything. `discovery` says that the aggregated discovery kinds are on
    offer, rather than Table and PartialObjectMetadata.
    """
    if not accept.strip():
        return PLAIN_JSON
    clauses = [_parse_clause(clause) for clause in accept.split(",")[:32]]
    clauses.sort(key=lambda clause: -clause[0])
    for quality, media, parameters in clauses:
        content_type = _WRITABLE.get(media)
        if content_type is None or quality <= 0:
            continue
        found = _satisfy(content_type, parameters, discovery=discovery)
        if found is not None:
            return found
    return None


def _parse_clause(clause: str) -> tuple[float, str, dict[str, str]]:
    media, *raw = (part.strip() for part in clause.split(";"))
    parameters = {}
    for parameter in raw:
        key, _, value = parameter.partition("=")
        parameters[key.strip()] = value.strip().strip('"')
    try:
        quality = float(parameters.pop("q", "1"))
    except ValueError:
        quality = 0.0
    return quality, media.lower(), parameters


def _satisfy(content_type: str, parameters: dict[str, str], *, discovery: bool) -> MediaType | None:
    kind = parameters.get("as", "")
    group, version = parameters.get("g", ""), parameters.get("v", "")
    if not kind:
        return MediaType(content_type)
    if discovery:
        known = kind in _DISCOVERY_KINDS and group == "apidiscovery.k8s.io"
        if known and version in ("v2", "v2beta1") and content_type == JSON:
            return MediaType(content_type, kind, group, version)
        return None
    if kind in _META_KINDS and group == "meta.k8s.io" and version in ("v1", "v1beta1"):
        return MediaType(content_type, kind, group, version)
    return None


def require(accept: str) -> MediaType:
    """Like `negotiate`, but raises 406 with the original's text."""
    found = negotiate(accept)
    if found is None:
        raise errors.not_acceptable((JSON, YAML))
    return found
