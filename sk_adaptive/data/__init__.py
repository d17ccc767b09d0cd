"""From users' matrices and targets to the arrays that are learned from."""
