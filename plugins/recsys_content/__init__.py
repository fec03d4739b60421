"""Content-based algorithms: a plugin package of RecSys Desktop."""
