package app

import (
	_ "embed"
	"io/fs"
	"net/http"

	"github.com/gorilla/mux"

	"github.com/cosmos/cosmos-sdk/client/docs"
)

// openAPI describes the REST routes of this repository's modules; `make proto` writes it.
//
//go:embed openapi/swagger.json
var openAPI []byte

// registerOpenAPI serves the SDK's Swagger page at /swagger/ with this chain's description in it. The SDK's own description, of
// bank, staking and the rest, stays beside it as /swagger/cosmos.yaml.
func registerOpenAPI(router *mux.Router) error {
	page, err := fs.Sub(docs.SwaggerUI, "swagger-ui")
	if err != nil {
		return err
	}

	ours := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		// The client has gone if this fails; there is nobody left to tell.
		if _, err := w.Write(openAPI); err != nil {
			return
		}
	}
	// The page asks for swagger.yaml. JSON is YAML, so the one document serves both names.
	router.HandleFunc("/swagger/swagger.yaml", ours)
	router.HandleFunc("/swagger/swagger.json", ours)
	router.HandleFunc("/swagger/cosmos.yaml", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, page, "swagger.yaml")
	})
	router.PathPrefix("/swagger/").Handler(http.StripPrefix("/swagger/", http.FileServer(http.FS(page))))

	return nil
}
