"""The HTTP routes, a file a noun. Each is one step: read the request, let the engine answer, write the response."""
