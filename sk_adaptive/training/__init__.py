"""How models are learned: rows, epochs, validation, and several models at once."""
