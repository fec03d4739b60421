"""The use cases, and the documented Python API."""
