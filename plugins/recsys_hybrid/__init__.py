"""Hybrids of other algorithms: a plugin package of RecSys Desktop."""
