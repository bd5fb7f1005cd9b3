// Package wire is the packets of the game: a position from a player, a snapshot of all positions from the server.
package wire

import (
	"encoding/binary"
	"math"
)

const (
	magic = 0x464f4731 // FOG1
	// positionSize is player, sequence number, x and y.
	positionSize = 16
	// MaxPlayers fit into a snapshot that no network cuts.
	MaxPlayers = 72
	// MaxPacket is the largest packet.
	MaxPacket = 8 + MaxPlayers*positionSize
)

// Position of a player; Seq counts what the player has sent.
type Position struct {
	Player, Seq uint32
	X, Y        float32
}

func appendPosition(b []byte, p Position) []byte {
	be := binary.BigEndian
	b = be.AppendUint32(be.AppendUint32(b, p.Player), p.Seq)
	return be.AppendUint32(be.AppendUint32(b, math.Float32bits(p.X)), math.Float32bits(p.Y))
}

func parsePosition(b []byte) Position {
	be := binary.BigEndian
	return Position{
		Player: be.Uint32(b), Seq: be.Uint32(b[4:]), X: math.Float32frombits(be.Uint32(b[8:])), Y: math.Float32frombits(be.Uint32(b[12:])),
	}
}

// AppendPosition writes a player's packet.
func AppendPosition(b []byte, p Position) []byte {
	return appendPosition(binary.BigEndian.AppendUint32(b, magic), p)
}

// ParsePosition reads a player's packet.
func ParsePosition(b []byte) (Position, bool) {
	if len(b) != 4+positionSize || binary.BigEndian.Uint32(b) != magic {
		return Position{}, false
	}
	return parsePosition(b[4:]), true
}

// AppendSnapshot writes the server's packet.
func AppendSnapshot(b []byte, all []Position) []byte {
	b = binary.BigEndian.AppendUint32(b, magic)
	b = binary.BigEndian.AppendUint32(b, uint32(len(all)))
	for _, p := range all {
		b = appendPosition(b, p)
	}
	return b
}

// ParseSnapshot reads the server's packet.
func ParseSnapshot(b []byte) ([]Position, bool) {
	if len(b) < 8 || binary.BigEndian.Uint32(b) != magic || uint64(len(b)) != 8+uint64(binary.BigEndian.Uint32(b[4:]))*positionSize {
		return nil, false
	}
	var all []Position
	for rest := b[8:]; len(rest) > 0; rest = rest[positionSize:] {
		all = append(all, parsePosition(rest))
	}
	return all, true
}
