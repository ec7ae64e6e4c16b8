"""Pure decisions: values in, values out. No clock, lock, thread, event loop, randomness or I/O lives here."""
