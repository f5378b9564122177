"""Short programs that use the client, and nothing else of this project."""
