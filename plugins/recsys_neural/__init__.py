"""Neural recommenders: a plugin package of RecSys Desktop."""
