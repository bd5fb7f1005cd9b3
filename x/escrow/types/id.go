package types

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"cosmossdk.io/collections/codec"

	"github.com/cosmos/cosmos-sdk/types/bech32"
)

// IDLength is the length in bytes of an ID.
const IDLength = 20

// AccountHRP is the human-readable part of the ids of escrow accounts. Other modules declare theirs.
const AccountHRP = "acct"

// Salts of the account ids that follow from something that is unique already.
const (
	providerSalt = "provider"
	oracleSalt   = "oracle"
	jobSalt      = "job"
)

// ID identifies an escrow account, a node or a job: a hash of who made it and a salt, so that two transactions
// never compete for a sequence.
type ID [IDLength]byte

// DeriveID returns the first 20 bytes of SHA-256("fog/<hrp>/v1" ‖ 0x00 ‖ owner ‖ 0x00 ‖ salt).
func DeriveID(hrp string, owner, salt []byte) ID {
	h := sha256.New()
	h.Write([]byte("fog/" + hrp + "/v1\x00"))
	h.Write(owner)
	h.Write([]byte{0})
	h.Write(salt)
	return ID(h.Sum(nil)[:IDLength])
}

// ProviderAccountID is the account of a provider; one an owner.
func ProviderAccountID(owner []byte) ID { return DeriveID(AccountHRP, owner, []byte(providerSalt)) }

// OracleAccountID is the account of an oracle; one an operator.
func OracleAccountID(operator []byte) ID {
	return DeriveID(AccountHRP, operator, []byte(oracleSalt))
}

// JobAccountID is the account that holds the budget of a job.
func JobAccountID(jobID ID) ID { return DeriveID(AccountHRP, jobID[:], []byte(jobSalt)) }

// ParseID reads the canonical (lower case) bech32 form of an id with the given human-readable part.
func ParseID(hrp, s string) (ID, error) {
	got, raw, err := bech32.DecodeAndConvert(s)
	if err != nil {
		return ID{}, ErrInvalidID.Wrapf("%s is not bech32: %s; give an id like %s1…", quote(s), err, hrp)
	}
	if got != hrp {
		return ID{}, ErrInvalidID.Wrapf("%s begins with %s; give an id that begins with %q", quote(s), quote(got), hrp+"1")
	}
	if len(raw) != IDLength {
		return ID{}, ErrInvalidID.Wrapf("%s holds %d bytes; an id holds %d", quote(s), len(raw), IDLength)
	}
	id := ID(raw)
	// bech32 has an upper case form too; one id has one text, else two texts would name the same key.
	if id.Bech32(hrp) != s {
		return ID{}, ErrInvalidID.Wrapf("%s is not in canonical form; write it in lower case", quote(s))
	}
	return id, nil
}

// Bech32 shows the id with the given human-readable part; it panics if that is not valid for bech32.
func (id ID) Bech32(hrp string) string {
	s, err := bech32.ConvertAndEncode(hrp, id[:])
	if err != nil {
		panic(fmt.Sprintf("escrow: bech32 of an id with prefix %q: %v", hrp, err))
	}
	return s
}

// String shows the id in hex, for logs that do not know its kind.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// quote shortens what a stranger sent, so that an error text stays short.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

// IDKey encodes an ID as its 20 raw bytes, also inside a Pair or Triple.
var IDKey codec.KeyCodec[ID] = idKey{}

type idKey struct{}

func (idKey) Encode(buffer []byte, id ID) (int, error) {
	if len(buffer) < IDLength {
		return 0, fmt.Errorf("%w: buffer of %d bytes for an id of %d", codec.ErrEncoding, len(buffer), IDLength)
	}
	return copy(buffer, id[:]), nil
}

func (idKey) Decode(buffer []byte) (int, ID, error) {
	if len(buffer) < IDLength {
		return 0, ID{}, fmt.Errorf("%w: %d bytes for an id of %d", codec.ErrEncoding, len(buffer), IDLength)
	}
	return IDLength, ID(buffer[:IDLength]), nil
}

func (idKey) Size(ID) int { return IDLength }

func (idKey) EncodeJSON(id ID) ([]byte, error) { return json.Marshal(id.String()) }

func (idKey) DecodeJSON(b []byte) (ID, error) {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return ID{}, fmt.Errorf("%w: %w", codec.ErrEncoding, err)
	}
	raw, err := hex.DecodeString(s)
	if err != nil {
		return ID{}, fmt.Errorf("%w: %w", codec.ErrEncoding, err)
	}
	if len(raw) != IDLength {
		return ID{}, fmt.Errorf("%w: %d bytes for an id of %d", codec.ErrEncoding, len(raw), IDLength)
	}
	return ID(raw), nil
}

func (idKey) Stringify(id ID) string { return id.String() }

func (idKey) KeyType() string { return "fog/id" }

func (k idKey) EncodeNonTerminal(buffer []byte, id ID) (int, error) { return k.Encode(buffer, id) }

func (k idKey) DecodeNonTerminal(buffer []byte) (int, ID, error) { return k.Decode(buffer) }

func (idKey) SizeNonTerminal(ID) int { return IDLength }
