package main

import (
	"image"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFit(t *testing.T) {
	for _, c := range []struct{ w, h, wantW, wantH int }{
		{400, 300, 128, 96}, {300, 400, 96, 128}, {128, 128, 128, 128}, {10, 20, 10, 20}, {10000, 1, 128, 1}, {129, 128, 128, 127},
	} {
		require.Equal(t, image.Rect(0, 0, c.wantW, c.wantH), fit(image.Rect(5, 5, 5+c.w, 5+c.h), 128), "%d × %d", c.w, c.h)
	}
}
