package lend

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

var errVoid = errors.New("what was lent is used up or has run out; if nobody of yours has used it, replace the secret")

// unwrap opens what Vault has wrapped, one token for each path of the owner, as package secrets/vault does in an agent. It looks first at what was wrapped:
// whoever has opened a wrapping on its way can only wrap what they like by another path.
func unwrap(ctx context.Context, l Loan, owner string, paths []string) (map[string][]byte, error) {
	if len(l.Wrapped) != len(paths) {
		return nil, fmt.Errorf("%d of %d secrets are lent", len(l.Wrapped), len(paths))
	}
	client, err := webClient(l.Vault, l.CA)
	if err != nil {
		return nil, fmt.Errorf("where Vault is: %w", err)
	}
	values := make(map[string][]byte, len(paths))
	for i, token := range l.Wrapped {
		if values[paths[i]], err = unwrapOne(ctx, client, l, token, "/data/jobs/"+owner+"/"+strings.ReplaceAll(paths[i], "/", "~")); err != nil {
			return nil, fmt.Errorf("secret %q: %w", paths[i], err)
		}
	}
	return values, nil
}

func unwrapOne(ctx context.Context, c *http.Client, l Loan, token, path string) ([]byte, error) {
	header := http.Header{"X-Vault-Request": {"true"}}
	if l.Namespace != "" {
		header.Set("X-Vault-Namespace", l.Namespace)
	}
	base := strings.TrimSuffix(l.Vault, "/") + "/v1/sys/wrapping/"
	var about struct {
		Data struct {
			Path string `json:"creation_path"`
		}
	}
	if err := post(ctx, c, base+"lookup", header, map[string]string{"token": token}, &about); err != nil {
		return nil, voided(err)
	}
	if !strings.HasSuffix(about.Data.Path, path) {
		return nil, fmt.Errorf("it was wrapped at %.200q", about.Data.Path)
	}
	header.Set("X-Vault-Token", token)
	var opened struct {
		Data struct {
			Data struct{ Value string }
		}
	}
	if err := post(ctx, c, base+"unwrap", header, struct{}{}, &opened); err != nil {
		return nil, voided(err)
	}
	value, err := base64.StdEncoding.DecodeString(opened.Data.Data.Value)
	if err != nil || len(value) == 0 {
		return nil, errors.New("what is in it is none of fog's secrets; write it again with `fog secret put`")
	}
	return value, nil
}

// voided tells that Vault does not know the wrapping token, or not any more.
func voided(err error) error {
	var answer *refusal
	if errors.As(err, &answer) && (answer.status == http.StatusBadRequest || answer.status == http.StatusForbidden || answer.status == http.StatusNotFound) {
		return errVoid
	}
	return err
}
