"""/version: which Kubernetes release this server speaks."""

import platform
import sys
from typing import Final

SERVED_MAJOR: Final = "1"
SERVED_MINOR: Final = "36"
GIT_VERSION: Final = "v1.36.0+triplane"


def version_info() -> dict[str, str]:
    """The `version.Info` object; major and minor are plain numbers."""
    machine = platform.machine()
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return {
        "major": SERVED_MAJOR,
        "minor": SERVED_MINOR,
        "emulationMajor": SERVED_MAJOR,
        "emulationMinor": SERVED_MINOR,
        "minCompatibilityMajor": SERVED_MAJOR,
        "minCompatibilityMinor": "35",
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": sys.implementation.name,
        "platform": f"{sys.platform}/{architecture}",
    }
