package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/adr36"
	"github.com/foggrid/fogd/offchain/gateway/credential"
	"github.com/foggrid/fogd/offchain/gateway/store"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// challengeLife is how long a wallet may take to sign.
const challengeLife = 5 * time.Minute

// challengeTitle begins every challenge; a wallet shows it to its owner.
const challengeTitle = "fog gateway login"

// nodeDomain goes before a challenge that a link key signs. No other text that such a key signs begins like this (offchain/link).
const nodeDomain = "fog/gateway/v1\x00"

// NodeSigningBytes are what a node's link key signs to log in.
func NodeSigningBytes(challenge string) []byte { return []byte(nodeDomain + challenge) }

// ChallengeDomain reads the domain out of a challenge, so that a client signs for the gateway that it called and no other.
func ChallengeDomain(challenge string) (string, error) {
	title, rest, _ := strings.Cut(challenge, "\n\ndomain: ")
	domain, _, ok := strings.Cut(rest, "\n")
	if title != challengeTitle || !ok {
		return "", errors.New("this is no challenge of a gateway; do not sign it")
	}
	return domain, nil
}

// challenges are kept nowhere: each is sealed with a key of this process. Only the nonces of those that were answered are kept, until
// they have expired, so that none is answered twice.
type challenges struct {
	// domains are the hosts at which the gateway is called.
	domains []string
	key     []byte
	now     func() time.Time

	mu   sync.Mutex
	used map[string]time.Time
}

func newChallenges(now func() time.Time, domains ...string) (*challenges, error) {
	key := make([]byte, sha256.Size)
	_, err := rand.Read(key)
	return &challenges{domains: domains, key: key, now: now, used: map[string]time.Time{}}, err
}

func (c *challenges) text(domain, subject, nonce string, expires time.Time) string {
	text := fmt.Sprintf("%s\n\ndomain: %s\nsubject: %s\nnonce: %s\nexpires: %s\n", challengeTitle, domain, subject, nonce, expires.UTC().Format(time.RFC3339))
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte(text))
	return text + "seal: " + hex.EncodeToString(mac.Sum(nil)) + "\n"
}

// make a challenge for a subject, an address or a node, that calls at a domain.
func (c *challenges) make(domain, subject string) (string, time.Time, error) {
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return "", time.Time{}, err
	}
	expires := c.now().Add(challengeLife).Truncate(time.Second)
	return c.text(domain, subject, hex.EncodeToString(nonce), expires), expires, nil
}

var errChallenge = errors.New("the challenge is not one of this gateway, or it has expired; ask for a new one")

// read returns what a challenge is about, if this process made it and it has not expired.
func (c *challenges) read(text string) (subject, nonce string, expires time.Time, err error) {
	fields := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			fields[name] = value
		}
	}
	expires, err = time.Parse(time.RFC3339, fields["expires"])
	if err != nil {
		return "", "", expires, errChallenge
	}
	// Written again it must come out the same, seal and all.
	want := c.text(fields["domain"], fields["subject"], fields["nonce"], expires)
	if !slices.Contains(c.domains, fields["domain"]) || !hmac.Equal([]byte(want), []byte(text)) || !c.now().Before(expires) {
		return "", "", expires, errChallenge
	}
	return fields["subject"], fields["nonce"], expires, nil
}

var errReplayed = errors.New("this challenge has been answered before; ask for a new one")

// spend notes that a challenge was answered.
func (c *challenges) spend(nonce string, expires time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for n, end := range c.used {
		if !now.Before(end) {
			delete(c.used, n)
		}
	}
	if _, used := c.used[nonce]; used {
		return errReplayed
	}
	c.used[nonce] = expires
	return nil
}

// Challenge is what is to be signed.
type Challenge struct {
	Challenge string    `json:"challenge"`
	Expires   time.Time `json:"expires"`
}

// Issued is a new token; its text is shown this once.
type Issued struct {
	Secret string           `json:"secret"`
	Token  credential.Token `json:"token"`
}

// domain is the host at which the gateway was called: that of machines, or that of everybody.
func (s *Server) domain(req *http.Request) string {
	if req.TLS != nil {
		return s.challenges.domains[len(s.challenges.domains)-1]
	}
	return s.challenges.domains[0]
}

func (s *Server) serveChallenge(w http.ResponseWriter, req *http.Request, _ caller) error {
	var in struct {
		Address string `json:"address"`
		Node    string `json:"node"`
	}
	if err := decode(req, &in); err != nil {
		return err
	}
	subject := in.Address
	switch {
	case (in.Address == "") == (in.Node == ""):
		return badRequest("give address or node")
	case in.Node != "":
		if _, err := nodestypes.ParseNodeID(in.Node); err != nil {
			return badRequest("node: %v", err)
		}
		subject = in.Node
	default:
		if _, err := s.cfg.Chain.Codec().Accounts().StringToBytes(in.Address); err != nil {
			return badRequest("address: %v", err)
		}
	}
	text, expires, err := s.challenges.make(s.domain(req), subject)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, Challenge{text, expires.UTC()})
}

// LoginRequest answers a challenge. Bytes are base64 in JSON; a node sends no public key, the chain has it.
type LoginRequest struct {
	Challenge string   `json:"challenge"`
	PublicKey []byte   `json:"public_key,omitempty"`
	Signature []byte   `json:"signature"`
	Roles     []string `json:"roles,omitempty"`
}

func (s *Server) serveLogin(w http.ResponseWriter, req *http.Request, who caller) error {
	var in LoginRequest
	if err := decode(req, &in); err != nil {
		return err
	}
	subject, nonce, expires, err := s.challenges.read(in.Challenge)
	if err != nil {
		return s.proofFailed(who, event{verb: verbLogin, path: "stranger"}, err)
	}
	var token credential.Token
	if strings.HasPrefix(subject, nodestypes.NodeHRP+"1") {
		token, err = s.nodeLogin(req.Context(), subject, in)
	} else {
		token, err = s.walletLogin(req.Context(), subject, in)
	}
	if err == nil {
		// Wallets cost nothing, so whoever makes many tokens is known by where they come from. What is spent is remembered, so not before that.
		if wait := s.issues.take(who.key); wait > 0 {
			return tooMany(wait)
		}
		err = s.challenges.spend(nonce, expires)
	}
	if err != nil {
		return s.proofFailed(who, event{verb: verbLogin, path: subject}, err)
	}
	return s.issue(w, req, who, token)
}

// Verbs of the audit log for those who prove who they are.
const (
	verbLogin = "LOGIN"
	verbEnrol = "ENROL"
)

// proofFailed notes a proof that failed, or that was for what its subject may not have, and slows those down who try on.
func (s *Server) proofFailed(who caller, e event, err error) error {
	var told *problem
	denied := errors.As(err, &told)
	if denied && told.status != http.StatusForbidden || errors.Is(err, chain.ErrUnavailable) || errors.Is(err, store.ErrUnavailable) {
		return err
	}
	if wait := s.wrong.take(who.key); wait > 0 {
		return tooMany(wait)
	}
	e.detail = err.Error()
	if err := s.record(who, e, false); err != nil {
		return err
	}
	if denied {
		return err
	}
	return unauthorized(err.Error())
}

func (s *Server) walletLogin(ctx context.Context, address string, in LoginRequest) (credential.Token, error) {
	if err := adr36.Verify(chain.Bech32Prefix, address, in.Challenge, in.PublicKey, in.Signature); err != nil {
		return credential.Token{}, err
	}
	roles, err := s.rolesFor(ctx, address, in.Roles)
	if err != nil {
		return credential.Token{}, err
	}
	return credential.Token{Kind: access.Session, Address: address, Roles: roles, Expires: s.cfg.Now().Add(s.cfg.SessionLife)}, nil
}

// errNodeKey is the same for a node that there is not.
var errNodeKey = errors.New("the signature is not by the key of this node's agent")

func (s *Server) nodeLogin(ctx context.Context, id string, in LoginRequest) (credential.Token, error) {
	node, err := s.facts.node(ctx, id)
	if errors.Is(err, chain.ErrNotFound) {
		return credential.Token{}, errNodeKey
	}
	if err != nil {
		return credential.Token{}, err
	}
	if len(node.AgentKey) != ed25519.PublicKeySize || !ed25519.Verify(node.AgentKey, NodeSigningBytes(in.Challenge), in.Signature) {
		return credential.Token{}, errNodeKey
	}
	return credential.Token{Kind: access.Agent, Node: id, Owner: node.Owner, Expires: s.cfg.Now().Add(s.cfg.SessionLife)}, nil
}

// issue makes a token, and answers with it; the caller has taken from s.issues.
func (s *Server) issue(w http.ResponseWriter, req *http.Request, who caller, t credential.Token) error {
	text, issued, err := s.book.Issue(req.Context(), t)
	if err != nil {
		return err
	}
	made := event{verb: "ISSUE", path: "tokens/" + issued.ID, allowed: true, detail: fmt.Sprintf("%s with the roles %q until %s", issued.Kind, issued.Roles, issued.Expires.Format(time.RFC3339))}
	who.subject.Address, who.subject.Node = issued.Address, issued.Node
	if err := s.record(who, made, true); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return answer(w, http.StatusCreated, Issued{text, issued})
}
