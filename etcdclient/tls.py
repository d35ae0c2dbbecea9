"""Where a client keeps its certificate, key and CA, and the channel credentials made of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import grpc


@dataclasses.dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of the CA that signs the servers, our certificate and our key (PEM)."""

    ca: Path | str
    cert: Path | str
    key: Path | str

    def credentials(self) -> grpc.ChannelCredentials:
        """Channel credentials from the files as they are now. Raises OSError naming a bad path."""
        return grpc.ssl_channel_credentials(
            root_certificates=Path(self.ca).read_bytes(),
            private_key=Path(self.key).read_bytes(),
            certificate_chain=Path(self.cert).read_bytes(),
        )
