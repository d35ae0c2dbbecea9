"""`DIR/manifests/`: one static pod per component, as in /etc/kubernetes/manifests.

They document what runs and with which flags; nothing reads them back yet.
"""

from pathlib import Path
from typing import Any

from pki.files import PRIVATE_MODE, make_private_directory, write_files
from triplane.components import Component


def write_manifests(directory: Path, components: tuple[Component, ...]) -> None:
    """Write one file per component and remove those of components that are no more."""
    make_private_directory(directory)
    wanted = {directory / f"{component.name}.yaml": component for component in components}
    for stale in set(directory.glob("*.yaml")) - set(wanted):
        stale.unlink()
    write_files(
        (path, render_manifest(component), PRIVATE_MODE) for path, component in wanted.items()
    )


def render_manifest(component: Component) -> bytes:
    """A Pod in `kube-system` whose command is the component's."""
    import yaml

    return yaml.safe_dump(manifest(component), sort_keys=False, width=1 << 20).encode()


def manifest(component: Component) -> dict[str, Any]:
    """The Pod as a document."""
    ports = [
        {"containerPort": listener.port, "hostIP": listener.host, "protocol": "TCP"}
        for listener in component.listeners
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": component.name,
            "namespace": "kube-system",
            "labels": {"component": component.kind.value, "tier": "control-plane"},
        },
        "spec": {
            "hostNetwork": True,
            "nodeName": component.node,
            "priorityClassName": "system-node-critical",
            "containers": [
                {
                    "name": component.kind.value,
                    "command": ["python", "-m", component.module, *_joined(component.flags)],
                    "ports": ports,
                }
            ],
        },
    }


def _joined(flags: tuple[str, ...]) -> list[str]:
    """`--flag value` as `--flag=value`, the way that kubeadm writes commands."""
    joined: list[str] = []
    for flag in flags:
        if flag.startswith("--") or not joined:
            joined.append(flag)
        else:
            joined[-1] += f"={flag}"
    return joined
