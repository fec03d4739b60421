"""Matrix factorisation: a plugin package of RecSys Desktop."""
