// Command render computes the pictures of this example. It was run once; the pictures are in the repository.
package main

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/cmplx"
	"os"
	"path/filepath"
)

// shader gives a color, each part from 0 to 1, to a point: x from −1 to 1 across, y likewise down, scaled so that squares are squares.
type shader func(x, y float64) (r, g, b float64)

type scene struct {
	name          string
	width, height int
	shade         shader
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: render DIR")
		os.Exit(2)
	}
	for _, s := range []scene{
		{"dunes", 480, 270, dunes},
		{"interference", 320, 320, interference},
		{"julia", 360, 270, julia},
		{"mandelbrot", 400, 300, mandelbrot},
		{"marble", 300, 400, marble},
		{"newton", 320, 320, newton},
		{"plasma", 400, 300, plasma},
		{"spheres", 400, 300, spheres},
	} {
		if err := render(filepath.Join(os.Args[1], s.name+".png"), s); err != nil {
			fmt.Fprintln(os.Stderr, "render:", err)
			os.Exit(1)
		}
	}
}

func render(file string, s scene) error {
	img := image.NewRGBA(image.Rect(0, 0, s.width, s.height))
	half := float64(max(s.width, s.height)) / 2
	for py := range s.height {
		for px := range s.width {
			r, g, b := s.shade((float64(px)-float64(s.width)/2)/half, (float64(py)-float64(s.height)/2)/half)
			img.Set(px, py, color.RGBA{level(r), level(g), level(b), 255})
		}
	}
	f, err := os.Create(file) //nolint:gosec // the file that the user named
	if err != nil {
		return err
	}
	enc := png.Encoder{CompressionLevel: png.BestCompression}
	return errors.Join(enc.Encode(f, img), f.Close())
}

// level has 32 steps only: smooth enough for the eye, and it keeps the files small.
func level(v float64) uint8 {
	return uint8(math.Round(max(0, min(1, v))*31) * 255 / 31)
}

// palette is a smooth closed run of colors (cosine palette).
func palette(t float64) (r, g, b float64) {
	wave := func(phase float64) float64 { return 0.5 + 0.5*math.Cos(2*math.Pi*(t+phase)) }
	return wave(0), wave(0.1), wave(0.25)
}

func escape(z, c complex128, limit int) float64 {
	for i := range limit {
		if z = z*z + c; cmplx.Abs(z) > 16 {
			return float64(i) + 1 - math.Log2(math.Log2(cmplx.Abs(z)))
		}
	}
	return -1
}

func mandelbrot(x, y float64) (r, g, b float64) {
	n := escape(0, complex(1.5*x-0.6, 1.5*y), 120)
	if n < 0 {
		return 0, 0, 0.05
	}
	return palette(0.55 + math.Sqrt(n)/9)
}

func julia(x, y float64) (r, g, b float64) {
	n := escape(complex(1.5*x, 1.5*y), complex(-0.79, 0.15), 200)
	if n < 0 {
		return 0, 0, 0
	}
	return palette(0.3 + math.Sqrt(n)/12)
}

// newton colors the points by the cube root of one to which Newton's method takes them.
func newton(x, y float64) (r, g, b float64) {
	z := complex(1.8*x, 1.8*y)
	for i := range 40 {
		d := (z*z*z - 1) / (3 * z * z)
		if z -= d; cmplx.Abs(d) < 1e-6 {
			light := math.Exp(-float64(i) / 12)
			switch phase := cmplx.Phase(z); {
			case phase > 1:
				return light, 0.6 * light, 0.1
			case phase < -1:
				return 0.1, 0.7 * light, light
			default:
				return 0.5 * light, light, 0.3 * light
			}
		}
	}
	return 0, 0, 0
}

func plasma(x, y float64) (r, g, b float64) {
	return palette(0.25 * (math.Sin(5*x) + math.Sin(4*y+1) + math.Sin(4*(x+y)) + math.Sin(7*math.Hypot(x-0.3, y+0.2))) / 2)
}

func interference(x, y float64) (r, g, b float64) {
	a, c := math.Hypot(x-0.4, y), math.Hypot(x+0.4, y+0.1)
	w := 0.5 + 0.25*(math.Cos(40*a)/(1+a)+math.Cos(40*c)/(1+c))
	return w * w, w, math.Sqrt(w)
}

// noise is smooth value noise on the integer grid, from 0 to 1.
func noise(x, y float64) float64 {
	ix, iy := math.Floor(x), math.Floor(y)
	fx, fy := x-ix, y-iy
	fx, fy = fx*fx*(3-2*fx), fy*fy*(3-2*fy)
	lattice := func(dx, dy float64) float64 {
		h := uint64(int64(ix+dx))*0x9e3779b97f4a7c15 ^ uint64(int64(iy+dy))*0xc2b2ae3d27d4eb4f
		h = (h ^ h>>31) * 0xbf58476d1ce4e5b9
		return float64(h>>40) / (1 << 24)
	}
	top := lattice(0, 0)*(1-fx) + lattice(1, 0)*fx
	bottom := lattice(0, 1)*(1-fx) + lattice(1, 1)*fx
	return top*(1-fy) + bottom*fy
}

func fractalNoise(x, y float64) (sum float64) {
	weight := 0.5
	for range 5 {
		sum += weight * noise(x, y)
		x, y, weight = 2*x+17, 2*y+31, weight/2
	}
	return sum
}

func marble(x, y float64) (r, g, b float64) {
	v := 0.5 + 0.5*math.Sin(6*x+3*y+6*fractalNoise(3*x+10, 3*y+10))
	return 0.55 + 0.4*v, 0.5 + 0.42*v, 0.45 + 0.45*v
}

// dunes is a desert of five ridges under an evening sky.
func dunes(x, y float64) (r, g, b float64) {
	r, g, b = 0.95-0.4*(-y), 0.6+0.3*y, 0.45-0.5*y
	if d := math.Hypot(x-0.45, y+0.25); d < 0.09 {
		r, g, b = 1, 0.9, 0.6
	}
	for i := range 5 {
		depth := float64(i) / 4
		ridge := -0.05 + 0.14*float64(i) - 0.25*fractalNoise(2.5*x+7*float64(i)+3, depth)
		if y > ridge {
			shade := 0.9 - 0.55*depth - 0.35*math.Exp(-(y-ridge)*14)*depth
			r, g, b = shade, 0.72*shade, 0.45*shade
		}
	}
	return r, g, b
}

// spheres traces one ray a point into a scene of three balls on a checkered floor.
func spheres(x, y float64) (r, g, b float64) {
	type ball struct{ cx, cy, cz, radius, r, g, b float64 }
	balls := []ball{{-0.9, 0.0, 4, 0.9, 0.9, 0.25, 0.2}, {0.9, 0.3, 3.4, 0.6, 0.2, 0.6, 0.9}, {0.2, 0.55, 2.6, 0.35, 0.9, 0.8, 0.2}}
	length := math.Sqrt(x*x + y*y + 1.44)
	dx, dy, dz := x/length, y/length, 1.2/length
	nearest := math.Inf(1)
	r, g, b = 0.55+0.35*y, 0.7+0.25*y, 0.95
	if dy > 0 {
		nearest = 0.9 / dy
		fx, fz := dx*nearest, dz*nearest
		tile := 0.25
		if (int(math.Floor(fx*2))+int(math.Floor(fz*2)))%2 == 0 {
			tile = 0.8
		}
		for _, s := range balls {
			if math.Hypot(fx-s.cx-0.3, fz-s.cz-0.2) < s.radius {
				tile *= 0.5
			}
		}
		fade := math.Exp(-nearest / 12)
		r, g, b = tile*fade+0.55*(1-fade), tile*fade+0.7*(1-fade), tile*fade+0.95*(1-fade)
	}
	for _, s := range balls {
		p := dx*s.cx + dy*s.cy + dz*s.cz
		q := p*p - (s.cx*s.cx + s.cy*s.cy + s.cz*s.cz - s.radius*s.radius)
		if q < 0 || p-math.Sqrt(q) > nearest {
			continue
		}
		nearest = p - math.Sqrt(q)
		nx, ny, nz := (dx*nearest-s.cx)/s.radius, (dy*nearest-s.cy)/s.radius, (dz*nearest-s.cz)/s.radius
		diffuse := max(0, -0.5*nx-0.7*ny-0.5*nz)
		shine := math.Pow(diffuse, 40)
		light := 0.2 + 0.8*diffuse
		r, g, b = s.r*light+shine, s.g*light+shine, s.b*light+shine
	}
	return r, g, b
}
