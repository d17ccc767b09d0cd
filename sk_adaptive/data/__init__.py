"""From users' matrices to arrays."""
