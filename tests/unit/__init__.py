"""Pure code, properties for arithmetic, and the tests of the house."""
