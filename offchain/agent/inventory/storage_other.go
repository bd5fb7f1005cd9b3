//go:build !linux

package inventory

// storageType is not known where there is no /sys.
func storageType(string) StorageType {
	return StorageUnknown
}
