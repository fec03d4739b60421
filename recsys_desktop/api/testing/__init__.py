"""The conformance kit: what every algorithm must hold, as a test class to subclass."""
