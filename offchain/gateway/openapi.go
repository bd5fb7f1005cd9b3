package gateway

import (
	_ "embed" // the document
	"slices"
)

//go:embed openapi.json
var openAPI []byte

// OpenAPI is the document of the API, without the registry's. A test compares it with the routes and with what they answer.
func OpenAPI() []byte { return slices.Clone(openAPI) }
