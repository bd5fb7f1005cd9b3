// Command openapi reads the merged document of protoc-gen-swagger on stdin and writes the one that fogd serves: with a title,
// one tag a module, and operation ids that are unique across modules (each module has a service Query with a method Params).
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var doc map[string]any
	if err := json.NewDecoder(in).Decode(&doc); err != nil {
		return fmt.Errorf("input is not JSON; pass the output of protoc-gen-swagger: %w", err)
	}
	paths, ok := doc["paths"].(map[string]any)
	if !ok {
		return fmt.Errorf("input has no paths; pass the output of protoc-gen-swagger")
	}
	doc["info"] = map[string]any{"title": "fogd: REST API of the fog modules", "version": "v1"}
	seen := make(map[string]string)
	for path, item := range paths {
		module, err := moduleOf(path)
		if err != nil {
			return err
		}
		operations, ok := item.(map[string]any)
		if !ok {
			return fmt.Errorf("path %s holds no operations", path)
		}
		for verb, v := range operations {
			operation, ok := v.(map[string]any)
			if !ok {
				return fmt.Errorf("%s %s is not an operation", verb, path)
			}
			id := fmt.Sprintf("%s_%v", module, operation["operationId"])
			if other, taken := seen[id]; taken {
				return fmt.Errorf("%s and %s have the same operation id %s; rename one rpc", other, path, id)
			}
			seen[id] = path
			operation["operationId"] = id
			operation["tags"] = []string{module}
		}
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

// moduleOf takes the module out of a path of the form /fog/<module>/v1/….
func moduleOf(path string) (string, error) {
	parts := strings.Split(path, "/")
	if len(parts) < 4 || parts[1] != "fog" {
		return "", fmt.Errorf("path %s is not /fog/<module>/<version>/…; correct the google.api.http option", path)
	}
	return parts[2], nil
}
