"""Linear item models: a plugin package of RecSys Desktop."""
