"""Baselines: a plugin package of RecSys Desktop."""
