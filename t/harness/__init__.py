"""What the tests stand on: real nginx processes, origins, certificates."""
