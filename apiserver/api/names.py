"""Which names, label keys and values are valid, and what is said of those that are not.

Each `*_errors` function returns apimachinery's messages; an empty list means valid. Source:
Kubernetes documentation "Object Names and IDs" and "Labels and Selectors", RFC 1035, RFC 1123.
"""

from __future__ import annotations

import re
from collections.abc import Callable

LABEL_LENGTH_MAX = 63
SUBDOMAIN_LENGTH_MAX = 253
QUALIFIED_NAME_LENGTH_MAX = 63
LABEL_VALUE_LENGTH_MAX = 63

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+\Z")
_ENV_NAME = re.compile(r"[ -<>-~]+\Z")
_PORT_NAME_CHARS = re.compile(r"[-a-z0-9]+\Z")

LABEL_MESSAGE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "
    "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
LABEL_1035_MESSAGE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_NAME_PART_MESSAGE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
LABEL_VALUE_MESSAGE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
CONFIG_KEY_MESSAGE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
    " or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
ENV_NAME_MESSAGE = (
    "a valid environment variable name must consist only of printable ASCII characters other than "
    "'='"
)

NameCheck = Callable[[str], list[str]]
"""Takes a name, gives the messages of what is wrong with it."""


def _too_long(length_max: int) -> str:
    return f"must be no more than {length_max} bytes"


def label_errors(name: str) -> list[str]:
    """DNS-1123 label: namespaces, containers, volumes."""
    errors = []
    if len(name) > LABEL_LENGTH_MAX:
        errors.append(_too_long(LABEL_LENGTH_MAX))
    if not _LABEL.match(name):
        if _SUBDOMAIN.match(name):
            errors.append("must not contain dots")
        else:
            errors.append(LABEL_MESSAGE)
    return errors


def label_1035_errors(name: str) -> list[str]:
    """DNS-1035 label: Services."""
    errors = []
    if len(name) > LABEL_LENGTH_MAX:
        errors.append(_too_long(LABEL_LENGTH_MAX))
    if not _LABEL_1035.match(name):
        errors.append(LABEL_1035_MESSAGE)
    return errors


def subdomain_errors(name: str) -> list[str]:
    """DNS-1123 subdomain: most objects."""
    errors = []
    if len(name) > SUBDOMAIN_LENGTH_MAX:
        errors.append(_too_long(SUBDOMAIN_LENGTH_MAX))
    if not _SUBDOMAIN.match(name):
        errors.append(SUBDOMAIN_MESSAGE)
    return errors


def path_segment_errors(name: str) -> list[str]:
    """A name that may stand in a URL path: RBAC objects."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in name]


def qualified_name_errors(key: str) -> list[str]:
    """Label and annotation keys, finalizers, resource names: `[prefix/]name`."""
    prefix, slash, name = key.rpartition("/")
    errors = []
    if key.count("/") > 1:
        return [
            f"a qualified name {_NAME_PART_MESSAGE} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]
    if slash:
        if not prefix:
            errors.append("prefix part must be non-empty")
        else:
            errors.extend(f"prefix part {message}" for message in subdomain_errors(prefix))
    if not name:
        errors.append("name part must be non-empty")
    elif len(name) > QUALIFIED_NAME_LENGTH_MAX:
        errors.append(f"name part {_too_long(QUALIFIED_NAME_LENGTH_MAX)}")
    if not _QUALIFIED.match(name):
        errors.append(f"name part {_NAME_PART_MESSAGE}")
    return errors


def label_value_errors(value: str) -> list[str]:
    """Values of labels."""
    errors = []
    if len(value) > LABEL_VALUE_LENGTH_MAX:
        errors.append(_too_long(LABEL_VALUE_LENGTH_MAX))
    if not _LABEL_VALUE.match(value):
        errors.append(LABEL_VALUE_MESSAGE)
    return errors


def config_key_errors(key: str) -> list[str]:
    """Keys of ConfigMap and Secret data."""
    errors = []
    if len(key) > SUBDOMAIN_LENGTH_MAX:
        errors.append(_too_long(SUBDOMAIN_LENGTH_MAX))
    if not _CONFIG_KEY.match(key):
        errors.append(CONFIG_KEY_MESSAGE)
    if key == ".":
        errors.append("must not be '.'")
    elif key == "..":
        errors.append("must not be '..'")
    elif key.startswith(".."):
        errors.append("must not start with '..'")
    return errors


def env_name_errors(name: str) -> list[str]:
    """Names of environment variables (relaxed since v1.34: any printable ASCII but `=`)."""
    return [] if _ENV_NAME.match(name) else [ENV_NAME_MESSAGE]


def port_name_errors(name: str) -> list[str]:
    """IANA service names: names of container ports, and named target ports."""
    errors = []
    if len(name) > 15:
        errors.append("must be no more than 15 characters")
    if not _PORT_NAME_CHARS.match(name):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= char <= "z" for char in name):
        errors.append("must contain at least one letter (a-z)")
    if "--" in name:
        errors.append("must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def as_prefix(check: NameCheck) -> NameCheck:
    """The same rule for a `generateName`, which may end in `-`: its end is not final."""

    def check_prefix(name: str) -> list[str]:
        return check(name[:-1] + "a" if name.endswith("-") and len(name) > 1 else name)

    return check_prefix
