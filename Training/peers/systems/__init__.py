"""One file per system: what is known of it, and how its own code is driven."""
