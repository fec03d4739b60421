"""Sequence recommenders: a plugin package of RecSys Desktop."""
