"""One module a revision of the schema, each naming the revision before it."""
