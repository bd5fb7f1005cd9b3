package inventory

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// storageType is the type of the disk that holds the folder.
func storageType(folder string) StorageType {
	var st unix.Stat_t
	if err := unix.Stat(folder, &st); err != nil {
		return StorageUnknown
	}
	return diskType("/sys", fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
}
