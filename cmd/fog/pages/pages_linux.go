package pages

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// piece is the size of the mappings: a quarter of what Linux maps around a fault where no large folio is.
const piece = 16 << 10

// Of the standard library alone, so that it comes before the packages of the Cosmos SDK.
func init() {
	if slices.Contains(os.Args, "classify") {
		cut()
	}
}

// cut gives every other piece of the program's read-only mappings a flag that its neighbours have not, which keeps them apart. The flag asks for
// no huge pages; there could be none in so little. Where a kernel refuses, the program only takes more memory.
func cut() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		from, to, ok := mapping(line, program)
		for ; ok && from < to; from += 2 * piece {
			if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, from, min(piece, to-from), syscall.MADV_NOHUGEPAGE); errno != 0 {
				return
			}
		}
	}
}

// mapping is the range of a line of /proc/self/maps that maps the program without a right to write.
func mapping(line, program string) (from, to uintptr, ok bool) {
	area, rest, _ := strings.Cut(line, " ")
	if rights, _, _ := strings.Cut(rest, " "); strings.Contains(rights, "w") || !strings.HasSuffix(line, " "+program+"\n") {
		return 0, 0, false
	}
	first, last, _ := strings.Cut(area, "-")
	a, errFrom := strconv.ParseUint(first, 16, 64)
	b, errTo := strconv.ParseUint(last, 16, 64)
	return uintptr(a), uintptr(b), errFrom == nil && errTo == nil
}
