"""One product a module or folder; each imports its product, and nothing here imports them."""
