"""The version of the contract: the major number changes when a plugin written to it may stop working."""

API_VERSION = "1.0"
