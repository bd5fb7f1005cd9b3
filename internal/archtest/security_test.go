package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	testFile = regexp.MustCompile("`([a-z0-9_/]+_test\\.go)`: ((?:`Test[A-Za-z0-9]+`(?:, )?)+)")
	testName = regexp.MustCompile("Test[A-Za-z0-9]+")
)

// TestSecurityPageNamesTests: what docs/security.md says is proved by a test has that test, and rows without one say that nothing is built.
func TestSecurityPageNamesTests(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "security.md"))
	require.NoError(t, err)
	named, rows := 0, 0
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		found := testFile.FindAllStringSubmatch(line, -1)
		for _, f := range found {
			source, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(f[1])))
			require.NoError(t, err)
			for _, name := range testName.FindAllString(f[2], -1) {
				require.Contains(t, string(source), "\nfunc "+name+"(", "%s has no %s", f[1], name)
				named++
			}
		}
		if len(found) > 0 {
			rows++
			require.Equal(t, len(testName.FindAllString(cells[len(cells)-2], -1)), len(testName.FindAllString(strings.Join(matched(found), " "), -1)), "a test without its file: %s", line)
		}
		if len(cells) == 5 && strings.TrimSpace(cells[3]) == "" && rows > 0 {
			require.Contains(t, line, "**not built", "an attack without a test: %s", line)
		}
	}
	require.Greater(t, named, 60)
	require.Greater(t, rows, 40)
}

func matched(found [][]string) (all []string) {
	for _, f := range found {
		all = append(all, f[0])
	}
	return all
}
