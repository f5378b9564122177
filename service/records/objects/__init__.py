"""Image files in an object store: the store, and the rows that name its files."""
