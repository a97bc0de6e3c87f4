"""What `make bench` runs; no tests."""
