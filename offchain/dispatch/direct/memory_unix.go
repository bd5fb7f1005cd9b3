//go:build linux || darwin

package direct

import "syscall"

// reserve takes address space; the operating system gives memory page by page as it is touched.
func reserve(size int) ([]byte, error) {
	return syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
}

func release(region []byte) error { return syscall.Munmap(region) }
