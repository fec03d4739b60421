"""RecSys Desktop: an offline recommendation workbench."""

__version__ = "0.1.0"
