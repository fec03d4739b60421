"""Parts that plugins may build on."""
