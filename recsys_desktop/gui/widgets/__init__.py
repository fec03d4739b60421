"""The parts of which every page is built, one module a part; ``gui.public`` lists them together."""
