package chain

import (
	"encoding/json"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/gogoproto/proto"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// EventsOf returns the typed events of type T among events, in order: EventsOf[*jobstypes.EventJobClosed](block.Events).
func EventsOf[T proto.Message](events []abci.Event) ([]T, error) {
	var (
		zero  T
		name  = proto.MessageName(zero)
		found []T
	)
	for _, e := range events {
		if e.Type != name {
			continue
		}
		msg, err := sdk.ParseTypedEvent(fieldsOnly(e))
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", name, err)
		}
		typed, ok := msg.(T)
		if !ok {
			return nil, fmt.Errorf("event %s is registered as %T, not %T", name, msg, zero)
		}
		found = append(found, typed)
	}
	return found, nil
}

// fieldsOnly drops the attributes that the SDK adds behind an event's own fields (msg_index, and mode, whose value is
// not JSON): the fields come first, their values are JSON, and each has its own key.
func fieldsOnly(e abci.Event) abci.Event {
	seen := make(map[string]bool, len(e.Attributes))
	kept := make([]abci.EventAttribute, 0, len(e.Attributes))
	for _, a := range e.Attributes {
		if seen[a.Key] || !json.Valid([]byte(a.Value)) {
			continue
		}
		seen[a.Key] = true
		kept = append(kept, a)
	}
	return abci.Event{Type: e.Type, Attributes: kept}
}
