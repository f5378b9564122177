"""The HTTP layer around the routes: middleware, access, metrics, readiness, and the OpenAPI document."""
