"""Many images with one command: finding them, remembering what is done, dividing the work among processes."""
