SwaggerUIBundle({ url: "/docs/openapi.json", dom_id: "#page", deepLinking: true, validatorUrl: null });
