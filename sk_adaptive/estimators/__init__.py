"""What users see: estimators, and the search."""
