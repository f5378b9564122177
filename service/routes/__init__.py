"""The HTTP routes, one file for each resource. A route reads the request, calls the engine and writes the response."""
