package typedevent_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/foggrid/fogd/internal/typedevent"
	_ "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	_ "github.com/foggrid/fogd/x/nodes/types"
	_ "github.com/foggrid/fogd/x/oracle/types"
)

// events are all events of our modules.
func events(t *testing.T) []reflect.Type {
	t.Helper()

	var out []reflect.Type
	files, err := proto.MergedRegistry()
	require.NoError(t, err)
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "fog.") || !strings.HasSuffix(file.Path(), "/events.proto") {
			return true
		}
		for i := range file.Messages().Len() {
			out = append(out, proto.MessageType(string(file.Messages().Get(i).FullName())).Elem())
		}
		return true
	})
	require.Greater(t, len(out), 20)
	return out
}

func TestEventsAreThoseOfTheSDK(t *testing.T) {
	for _, event := range events(t) {
		t.Run(event.Name(), func(t *testing.T) {
			requireSame(t, reflect.New(event).Interface().(proto.Message))
			rapid.Check(t, func(rt *rapid.T) {
				message := reflect.New(event)
				fill(rt, message.Elem())
				requireSame(rt, message.Interface().(proto.Message))
			})
		})
	}
}

func requireSame(t require.TestingT, message proto.Message) {
	want, err := sdk.TypedEventToEvent(message)
	require.NoError(t, err)
	got, err := typedevent.New(message)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// fill sets the plain fields of a message to anything.
func fill(t *rapid.T, message reflect.Value) {
	for i := range message.NumField() {
		f, label := message.Field(i), message.Type().Field(i).Name
		switch f.Kind() {
		case reflect.String:
			f.SetString(rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,20}`)).Draw(t, label))
		case reflect.Bool:
			f.SetBool(rapid.Bool().Draw(t, label))
		case reflect.Uint32:
			f.SetUint(uint64(rapid.Uint32().Draw(t, label)))
		case reflect.Uint64:
			f.SetUint(rapid.Uint64().Draw(t, label))
		case reflect.Int32: // enums, unknown values among them
			f.SetInt(int64(rapid.Int32Range(-1, 20).Draw(t, label)))
		case reflect.Int64:
			f.SetInt(rapid.Int64().Draw(t, label))
		case reflect.Slice:
			if f.Type() == reflect.TypeFor[[]byte]() {
				f.SetBytes(rapid.SliceOf(rapid.Byte()).Draw(t, label))
			}
		}
	}
}

// Messages with fields that are not plain are left to the SDK.
func TestOtherMessages(t *testing.T) {
	requireSame(t, &banktypes.MsgSend{FromAddress: "a", Amount: sdk.NewCoins(sdk.NewInt64Coin("ufog", 7))})
	_, err := typedevent.New(nil)
	require.Error(t, err)
	_, err = typedevent.New((*banktypes.MsgSend)(nil))
	require.Error(t, err)
}

func BenchmarkNew(b *testing.B) {
	event := &jobstypes.EventSliceSettled{
		JobId: "job1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", Slice: 7, Status: jobstypes.SLICE_STATUS_SETTLED, Paid: 123_456, Fee: 1_234,
		Refunded: 99, CollateralReturned: 5_000,
	}
	for name, make := range map[string]func(proto.Message) (sdk.Event, error){"here": typedevent.New, "SDK": sdk.TypedEventToEvent} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := make(event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
