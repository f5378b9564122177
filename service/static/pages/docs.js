/**
 * The API reference: Swagger UI over /openapi.json, with all its files from this service.
 */

/** @type {any} */ (window).SwaggerUIBundle({
  url: new URL("../../openapi.json", import.meta.url).href,
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // the default asks validator.swagger.io
});
