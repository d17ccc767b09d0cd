"""From columns of a table, and from text, to sparse rows: transformers that keep nothing and only hash."""

from .column_hasher import ColumnHasher
from .text_hasher import TextHasher

__all__ = ["ColumnHasher", "TextHasher"]
