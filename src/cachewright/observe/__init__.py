"""What happened, for people and programs. No decisions, and no reference to a cache."""
