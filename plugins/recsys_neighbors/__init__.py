"""Neighbours: a plugin package of RecSys Desktop."""
