"""The listening side of TLS, shared by all servers: bounded handshakes that say why they failed."""
