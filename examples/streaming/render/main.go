// Command render writes the example's sound: a chord of three notes that fades, as WAV with 16 bits and 8,000 samples a second.
//
//	go run ./examples/streaming/render examples/streaming/media/chord.wav
package main

import (
	"bytes"
	"encoding/binary"
	"log"
	"math"
	"os"
)

const (
	sampleRate = 8000
	seconds    = 3
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("write it where? give a file")
	}
	if err := os.WriteFile(os.Args[1], wav(), 0o644); err != nil { //nolint:gosec // the file that the user named
		log.Fatal(err)
	}
}

func wav() []byte {
	samples := make([]int16, sampleRate*seconds)
	for i := range samples {
		t := float64(i) / sampleRate
		sum := 0.0
		for _, hertz := range []float64{261.63, 329.63, 392.00} {
			sum += math.Sin(2 * math.Pi * hertz * t)
		}
		samples[i] = int16(sum / 3 * 0.8 * math.MaxInt16 * math.Exp(-t))
	}
	var b bytes.Buffer
	le := binary.LittleEndian
	size := uint32(2 * len(samples))
	b.WriteString("RIFF")
	b.Write(le.AppendUint32(nil, 36+size))
	b.WriteString("WAVEfmt ")
	for _, v := range []uint32{16, 1 | 1<<16, sampleRate, 2 * sampleRate, 2 | 16<<16} { // PCM, one channel
		b.Write(le.AppendUint32(nil, v))
	}
	b.WriteString("data")
	b.Write(le.AppendUint32(nil, size))
	for _, s := range samples {
		b.Write(le.AppendUint16(nil, uint16(s)))
	}
	return b.Bytes()
}
