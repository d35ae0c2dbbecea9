"""What a resource request is about: the resource, and where its objects are kept. PURE.

Keys are laid out as kube-apiserver lays them out under /registry, so that tools that read an etcd
of the original find everything in its place.
"""

from dataclasses import dataclass

from apiserver.api import errors
from apiserver.api.errors import ApiError
from apiserver.api.scheme import Resource, Scheme
from apiserver.http.request_info import RequestInfo


@dataclass(frozen=True, slots=True)
class Target:
    """A collection of `resource` (in `namespace`, "" is all), or the object `name` of it."""

    resource: Resource
    namespace: str
    name: str = ""
    subresource: str = ""

    @property
    def prefix(self) -> str:
        """Under which the keys of the collection are; ends in a slash."""
        prefix = f"/registry/{self.resource.storage_prefix}/"
        if self.resource.namespaced and self.namespace:
            return f"{prefix}{self.namespace}/"
        return prefix

    @property
    def key(self) -> str:
        """The key of the object `name`."""
        return self.prefix + self.name

    def named(self, name: str) -> "Target":
        """The same collection's object of another name."""
        return Target(self.resource, self.namespace, name, self.subresource)

    def not_found(self) -> ApiError:
        """404: there is no such object."""
        return errors.not_found(self.resource.group, self.resource.plural, self.name)

    def conflict(self, why: str = errors.MODIFIED) -> ApiError:
        """409: what the change builds on has changed."""
        return errors.conflict(self.resource.group, self.resource.plural, self.name, why)


def is_namespace(resource: Resource) -> bool:
    """Whether the resource is that of Namespaces themselves."""
    return resource.plural == "namespaces" and not resource.group


def is_service(resource: Resource) -> bool:
    """Whether the resource is that of Services."""
    return resource.plural == "services" and not resource.group


def namespace_key(name: str) -> str:
    """The key of the Namespace `name`."""
    return f"/registry/namespaces/{name}"


def target_of(scheme: Scheme, info: RequestInfo) -> Target:
    """Find what `info` is about. Raises `ApiError` 404 or, for bad names, 400."""
    resource = scheme.lookup(info.group, info.api_version, info.resource)
    if resource is None:
        raise errors.no_such_resource()
    namespace = info.namespace
    if is_namespace(resource):
        namespace = ""
    elif bool(namespace) != resource.namespaced and (namespace or info.name):
        raise errors.no_such_resource()
    _check_segment("name", info.name)
    _check_segment("namespace", namespace)
    return Target(resource, namespace, info.name, info.subresource)


def _check_segment(what: str, value: str) -> None:
    """Refuse what could leave its place in the key space (path.IsValidPathSegmentName)."""
    if value in (".", ".."):
        raise errors.bad_request(f"{what} parameter invalid: \"{value}\": may not be '{value}'")
    for character in ("/", "%", "\0"):
        if character in value:
            raise errors.bad_request(
                f"{what} parameter invalid: {value!r}: may not contain '{character}'"
            )
