"""One file per public dataset: what it is, how its download is laid out, and how a case of it is read."""
