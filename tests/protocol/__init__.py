"""The coherence protocol as a specification: a model that is searched exhaustively, and the promise as a checker of histories."""
