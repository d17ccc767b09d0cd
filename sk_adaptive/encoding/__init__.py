"""From columns of a table, and from text, to rows of a sparse matrix, by hashing."""

from .column_hasher import ColumnHasher
from .text_hasher import TextHasher

__all__ = ["ColumnHasher", "TextHasher"]
