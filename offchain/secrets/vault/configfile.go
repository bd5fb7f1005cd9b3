package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// configFile is a Config as it stands in a file; files that it names are relative to it.
type configFile struct {
	Address    string            `json:"address"`
	CACert     string            `json:"ca_cert"`
	ClientCert string            `json:"client_cert"`
	ClientKey  string            `json:"client_key"`
	Namespace  string            `json:"namespace"`
	Role       string            `json:"role"`
	Name       string            `json:"name"`
	Login      loginFile         `json:"login"`
	Mounts     Mounts            `json:"mounts"`
	Leases     map[string]string `json:"leases"`
}

type loginFile struct {
	// Method is approle, cert or jwt.
	Method string `json:"method"`
	Mount  string `json:"mount"`
	// Role is for cert and jwt; empty: ROLE.NAME.
	Role         string `json:"role"`
	RoleID       string `json:"role_id"`
	SecretIDFile string `json:"secret_id_file"`
	Wrapped      bool   `json:"wrapped"`
	// File holds a JWT.
	File string `json:"file"`
}

// ReadConfig reads a Config from a JSON file. It holds no secrets, only the names of files that do.
func ReadConfig(path string) (Config, error) {
	raw, err := os.ReadFile(path) //nolint:gosec // the path that the user named
	if err != nil {
		return Config{}, fmt.Errorf("where is Vault? %w; write the file, see docs/security-secrets.md", err)
	}
	c, err := parseConfig(raw, filepath.Dir(path))
	if err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func parseConfig(raw []byte, dir string) (Config, error) {
	var f configFile
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return Config{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Config{}, errors.New("something follows the JSON object; remove it")
	}
	at := func(file string) string {
		if file == "" || filepath.IsAbs(file) {
			return file
		}
		return filepath.Join(dir, file)
	}
	c := Config{
		Address: f.Address, CACert: at(f.CACert), ClientCert: at(f.ClientCert), ClientKey: at(f.ClientKey), Namespace: f.Namespace,
		Role: f.Role, Name: f.Name, Mounts: f.Mounts, Leases: f.Leases,
	}
	role := f.Login.Role
	if role == "" {
		role = f.Role + "." + f.Name
	}
	switch l := f.Login; l.Method {
	case "approle":
		if l.RoleID == "" || l.SecretIDFile == "" {
			return c, errors.New("login: approle needs role_id and secret_id_file")
		}
		c.Login = AppRole{RoleID: l.RoleID, SecretIDFile: at(l.SecretIDFile), Wrapped: l.Wrapped, Mount: l.Mount}
	case "cert":
		if c.ClientCert == "" {
			return c, errors.New("login: cert needs client_cert and client_key")
		}
		c.Login = Certificate{Role: role, Mount: l.Mount}
	case "jwt":
		if l.File == "" {
			return c, errors.New("login: jwt needs file")
		}
		c.Login = JWT{Role: role, File: at(l.File), Mount: l.Mount}
	default:
		return c, fmt.Errorf("login: unknown method %q; take approle, cert or jwt", l.Method)
	}
	return c, c.validate()
}
