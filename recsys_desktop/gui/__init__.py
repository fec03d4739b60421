"""The window: face two of the application. Nothing outside this package imports Qt."""
