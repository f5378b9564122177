/**
 * The API reference: Swagger UI over /openapi.json, with all its files from this service.
 */

/** @type {any} */ (window).SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // the default asks validator.swagger.io
});
