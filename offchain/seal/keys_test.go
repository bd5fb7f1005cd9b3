package seal

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeys(t *testing.T) {
	keys := newKeys(t, 3)
	got, err := ParseKeys(keys.Text())
	require.NoError(t, err)
	require.Equal(t, keys.Text(), got.Text())
	require.Equal(t, keys[0].Recipient().String(), got.Recipient())
	got, err = ParseKeys(append(keys[1:].Text(), keys.Text()...))
	require.NoError(t, err)
	require.Len(t, got, 3, "each once")
	require.Equal(t, keys[1].Recipient().String(), got.Recipient(), "the first stays the first")
	_, err = ParseKeys(newKeys(t, MaxKeys+1).Text())
	require.ErrorContains(t, err, "more than 64")
	for _, text := range []string{"", "# a comment\n", "AGE-SECRET-KEY-1QQQ", keys[0].String() + "x", keys.Recipient(), strings.Repeat("x", 1<<17)} {
		_, err := ParseKeys([]byte(text))
		require.ErrorIs(t, err, ErrKeys)
		if text != "" {
			require.NotContains(t, err.Error(), text, "it may be a key")
		}
	}
	for _, verb := range []string{"%v", "%+v", "%s", "%q", "%#v", "%x"} {
		require.NotContains(t, strings.ToUpper(fmt.Sprintf(verb, keys)), "AGE-SECRET")
	}
}

func TestRecipients(t *testing.T) {
	own := newKeys(t, 1).Recipient()
	_, err := ParseRecipient(own)
	require.NoError(t, err)
	for _, s := range []string{"", "age1", strings.ToUpper(own), " " + own, own + "\n", own[:len(own)-1] + "q"} {
		_, err := ParseRecipient(s)
		require.ErrorContains(t, err, "is not a public key", "%q", s)
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add(newKeys(f, 2).Text())
	f.Add([]byte("# \nAGE-SECRET-KEY-1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := ParseKeys(text)
		if err != nil {
			return
		}
		again, err := ParseKeys(keys.Text())
		require.NoError(t, err)
		require.True(t, bytes.Equal(keys.Text(), again.Text()))
	})
}
