package constraint

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func facts() *Facts {
	labels := map[string]string{"tpm": "true", "rack": "17", "zone": "a", "my-label": "x y", "off": "false", "big": "99999999999999999999"}
	return &Facts{
		Region: "eu", Datacenter: "fra1", Arch: "amd64", OS: "linux", GPUModel: "NVIDIA H100", Grade: "B",
		CPU: 4000, Memory: 8192, GPUs: 2, CPUSingle: 2364, Bandwidth: 94, Class: 3, Distance: 120, Reliability: 985,
		Attribute: func(key string) (string, bool) { value, found := labels[key]; return value, found },
	}
}

func TestHolds(t *testing.T) {
	for source, want := range map[string]bool{
		`region == "eu" && cpu_single >= 2000 && attr.tpm == true`: true,
		`region == 'us' || cpu_single > 2364`:                      false,
		`bandwidth >= 94 && bandwidth < 100`:                       true,
		`region in ["us", "eu"]`:                                   true,
		`region !in ["us", "eu",]`:                                 false,
		`region in []`:                                             false,
		`!(region == "us")`:                                        true,
		`!attr.tpm || region == "eu"`:                              true,
		`attr.tpm`:                                                 true,
		`attr.off`:                                                 false,
		`attr.missing`:                                             false,
		`!attr.missing`:                                            true,
		`attr.off == false`:                                        true,
		`attr.zone == false`:                                       false,
		`attr.zone != true`:                                        true,
		`attr.missing == "a"`:                                      false,
		`attr.missing != "a"`:                                      true,
		`attr.rack >= 17`:                                          true,
		`17 < attr.rack`:                                           false,
		`17 <= attr.rack`:                                          true,
		`attr.zone < 3`:                                            false,
		`attr.big > 3`:                                             false,
		`attr.big != 3`:                                            true,
		`attr.rack in [16, 17]`:                                    true,
		`attr["my-label"] == "x y"`:                                true,
		`has(attr.tpm) && !has(attr.other)`:                        true,
		`gpu_model.contains("H100") && gpus >= 2`:                  true,
		`gpu_model.startsWith("H100")`:                             false,
		`attr.zone.endsWith("a")`:                                  true,
		`attr.missing.contains("")`:                                false,
		`grade <= "B"`:                                             true,
		`memory_mib / 1024 == 8 && cpu_milli % 3000 == 1000`:       true,
		`1 + 2 * 3 == 7 && (1 + 2) * 3 == 9 && 10 - 2 - 3 == 5`: true,
		`-cpu_single < -2_000`:                 true,
		`true == (region == "eu")`:             true,
		`false || false && true || true`:       true,
		`distance <= 200 && reliability > 980`: true,
		`datacenter == "it's \"\\"`:            false,
	} {
		p, err := Compile(source)
		require.NoError(t, err, source)
		require.Equal(t, want, p.Holds(facts()), source)
		require.Equal(t, source, p.String())
	}
}

func TestErrors(t *testing.T) {
	for source, want := range map[string]string{
		``:                               `column 1: here should be a value; here is the end`,
		`regin == "eu"`:                  `column 1: unknown name regin; did you mean region?`,
		`eu == region`:                   `column 1: unknown name eu; a label of the node is attr.eu, a text stands in quotes`,
		`region == frankfurt`:            `column 11: unknown name frankfurt; a label of the node is attr.frankfurt, a text stands in quotes`,
		`region = "eu"`:                  `column 8: a single = does not compare; write ==`,
		`gpus & 1`:                       `column 6: a single & does not join conditions; write &&`,
		`region == "eu`:                  `column 11: the string that starts here has no end; close it with "`,
		`region == 5`:                    `column 8: == between a string and an integer`,
		`"é" == 5`:                       `column 5: == between a string and an integer`,
		`gpus > 1.5`:                     `column 8: "1.5" is no whole number of at most 64 bits; write digits, with _ between them if you like`,
		`gpus`:                           `column 1: a constraint takes conditions; here is an integer`,
		`gpus && true`:                   `column 1: && takes conditions; here is an integer`,
		`!region`:                        `column 2: ! takes conditions; here is a string`,
		`(gpus == 1`:                     `column 11: ) closes a parenthesis; here is the end`,
		`gpus == 1 tasks == 2`:           `column 11: the expression ends before tasks; join two conditions with && or ||`,
		`1 < gpus < 3`:                   `column 10: < compares the result of a comparison; join two with &&`,
		`gpus / tasks == 1`:              `column 8: / takes a constant behind it`,
		`gpus % (1 - 1) == 1`:            `column 6: % by zero`,
		`region + "x" == "y"`:            `column 1: + takes integers; here is a string`,
		`region in "eu"`:                 `column 11: [ starts a list behind in; here is "eu"`,
		`region in ["eu", 5]`:            `column 18: in between a string and an integer`,
		`["eu"] == region`:               `column 1: a list stands behind in only`,
		`attr == 5`:                      `column 1: attr needs the name of a label: attr.tpm or attr["my-label"]`,
		`attr[5] == 5`:                   `column 6: attr[…] takes the name of a label in quotes; here is 5`,
		`attr.a == attr.b`:               `column 8: == between two labels; compare each with a value`,
		`has(region)`:                    `column 5: has asks for a label: has(attr.tpm); here is a string`,
		`region.size() == 2`:             `column 8: strings have startsWith, endsWith and contains; here is size`,
		`region.contains(5)`:             `column 17: contains takes a string; here is an integer`,
		`gpus.contains("5")`:             `column 6: contains is for strings; here is an integer`,
		`true < false`:                   `column 6: < takes integers or strings; a truth value has == and !=`,
		`attr.a < true`:                  `column 8: < takes integers or strings; a truth value has == and !=`,
		`region == "a\n"`:                `column 13: a backslash in a string goes before a quote or a backslash`,
		`gpus == 1 ; true`:               `column 11: ';' has no meaning here`,
		strings.Repeat("(", 60) + "1":    `column 51: more than 50 levels within each other; write it flatter`,
		strings.Repeat("!", 60) + "true": `column 51: more than 50 levels within each other; write it flatter`,
	} {
		_, err := Compile(source)
		var e *Error
		require.True(t, errors.As(err, &e), source)
		require.Equal(t, want, err.Error(), source)
	}
	_, err := Compile(strings.Repeat(" ", MaxLength) + "true")
	require.Error(t, err)
}

func TestParts(t *testing.T) {
	p, err := Compile(`region == "eu" && (gpus > 1 && attr.tpm) && (tasks < 3 || class == 1)`)
	require.NoError(t, err)
	var got []string
	for _, part := range p.Parts() {
		got = append(got, part.String())
	}
	require.Equal(t, []string{`region == "eu"`, `gpus > 1`, `attr.tpm`, `(tasks < 3 || class == 1)`}, got)
	for _, part := range p.Parts() {
		again, err := Compile(part.String())
		require.NoError(t, err)
		require.Equal(t, again.Holds(facts()), part.Holds(facts()))
	}
}

// What a node breaks of the equalities, the constraint does not hold for; and those that an index can use are found.
func TestEqualities(t *testing.T) {
	for source, want := range map[string][]Equality{
		`region == "eu"`: {{"region", false, []string{"eu"}}},
		`"x" == gpu_model && (attr.tpm) && attr.disk == "ssd"`: {
			{"gpu_model", false, []string{"x"}}, {"tpm", true, []string{"true"}}, {"disk", true, []string{"ssd"}},
		},
		`arch in ["amd64", "arm64"] && attr.tpm == false`: {{"arch", false, []string{"amd64", "arm64"}}, {"tpm", true, []string{"false"}}},
		`attr.rank in [1, 2]`:                             nil,
		`region != "eu"`:                                  nil,
		`!(region == "eu")`:                               nil,
		`region == "eu" || region == "us"`:                nil,
		`region !in ["eu"] && region in []`:               nil,
		`region == arch && attr.n == 3 && tasks == 1`:     nil,
	} {
		p, err := Compile(source)
		require.NoError(t, err, source)
		require.Equal(t, want, p.Equalities(), source)
	}
}

// Integers stop at their bounds instead of turning round.
func TestArithmeticSaturates(t *testing.T) {
	bounded := func(v *big.Int) int64 {
		switch {
		case v.IsInt64():
			return v.Int64()
		case v.Sign() < 0:
			return math.MinInt64
		default:
			return math.MaxInt64
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-5, 5), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, math.MinInt64 + 1}))
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		x, y := big.NewInt(a), big.NewInt(b)
		require.Equal(t, bounded(new(big.Int).Add(x, y)), add(a, b))
		require.Equal(t, bounded(new(big.Int).Sub(x, y)), subtract(a, b))
		require.Equal(t, bounded(new(big.Int).Mul(x, y)), multiply(a, b))
		if b != 0 {
			require.Equal(t, bounded(new(big.Int).Quo(x, y)), divide(a, b))
			require.Equal(t, new(big.Int).Rem(x, y).Int64(), remainder(a, b))
		}
	})
}

// An expression means the same as the tree that it was written from, whatever parentheses are left out.
func TestPrecedence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source, want := condition(t, 4)
		p, err := Compile(source)
		require.NoError(t, err, source)
		require.Equal(t, want, p.Holds(facts()), source)
	})
}

// condition draws a condition with its value, by the grammar: or of and of comparisons.
func condition(t *rapid.T, depth int) (string, bool) {
	var ors []string
	value := false
	for range rapid.IntRange(1, 2).Draw(t, "ors") {
		var ands []string
		all := true
		for range rapid.IntRange(1, 2).Draw(t, "ands") {
			source, holds := atom(t, depth-1)
			ands, all = append(ands, source), all && holds
		}
		ors, value = append(ors, strings.Join(ands, " && ")), value || all
	}
	return strings.Join(ors, "||"), value
}

func atom(t *rapid.T, depth int) (string, bool) {
	switch form := rapid.IntRange(0, 4).Draw(t, "form"); {
	case form == 0 && depth > 0:
		source, value := condition(t, depth-1)
		return "(" + source + ")", value
	case form == 1 && depth > 0:
		source, value := condition(t, depth-1)
		return "!(" + source + ")", !value
	case form == 2:
		return "region == \"eu\"", true
	default:
		a, b, c := rapid.Int64Range(-9, 9).Draw(t, "a"), rapid.Int64Range(-9, 9).Draw(t, "b"), rapid.Int64Range(-9, 9).Draw(t, "c")
		return fmt.Sprintf("%d - %d * %d<cpu_milli- 3999", a, b, c), a-b*c < 1
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`region == "eu" && cpu_single >= 2000 && attr.tpm == true`, `!(-1 in [2, 3,]) || has(attr["x"])`, `gpu_model.contains('a\'b') != false`,
		`1 + 2 * 3 / 4 % 5 - 6 <= tasks`, `(((`, `"`, "é", `a.b.c`, `!in`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		p, err := Compile(source)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Column < 1 || e.Column > len(source)+1 {
				t.Fatalf("%q: %v", source, err)
			}
			return
		}
		all := true
		for _, part := range p.Parts() {
			all = part.Holds(facts()) && all
		}
		if holds := p.Holds(facts()); holds != all {
			t.Fatalf("%q holds: %v, its parts: %v", source, holds, all)
		}
		p.Holds(&Facts{})
		for _, e := range p.Equalities() {
			value, found := "", false
			if e.Label {
				value, found = facts().Attribute(e.Name)
			} else {
				value, found = variables[e.Name].text(facts()), true
			}
			if p.Holds(facts()) && (!found || !slices.Contains(e.Values, value)) {
				t.Fatalf("%q holds, and %s is %q, none of %q", source, e.Name, value, e.Values)
			}
		}
	})
}

func ExampleCompile() {
	_, err := Compile(`region == "eu" && cpu_singel >= 2000`)
	fmt.Println(err)
	// Output: column 19: unknown name cpu_singel; did you mean cpu_single?
}
