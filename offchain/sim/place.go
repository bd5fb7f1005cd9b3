package sim

import "math"

// Place is a city with machines and users.
type Place struct {
	Name      string
	Continent string
	Lat, Lon  float64
	// Users is the share of jobs that come from here.
	Users float64
}

// places are cities with data centers; the shares of users follow internet users of the region, roughly.
var places = []Place{
	{"ashburn", "na", 39.0, -77.5, 7}, {"chicago", "na", 41.9, -87.6, 4}, {"dallas", "na", 32.8, -96.8, 4},
	{"portland", "na", 45.5, -122.7, 3}, {"toronto", "na", 43.7, -79.4, 2}, {"mexico-city", "na", 19.4, -99.1, 3},
	{"sao-paulo", "sa", -23.6, -46.6, 5}, {"santiago", "sa", -33.4, -70.7, 2}, {"bogota", "sa", 4.7, -74.1, 2},
	{"dublin", "eu", 53.3, -6.3, 2}, {"london", "eu", 51.5, -0.1, 4}, {"frankfurt", "eu", 50.1, 8.7, 6},
	{"madrid", "eu", 40.4, -3.7, 3}, {"stockholm", "eu", 59.3, 18.1, 2}, {"warsaw", "eu", 52.2, 21.0, 3},
	{"johannesburg", "af", -26.2, 28.0, 3}, {"lagos", "af", 6.5, 3.4, 3}, {"nairobi", "af", -1.3, 36.8, 2},
	{"mumbai", "as", 19.1, 72.9, 9}, {"singapore", "as", 1.4, 103.8, 6}, {"tokyo", "as", 35.7, 139.7, 6},
	{"seoul", "as", 37.6, 127.0, 4}, {"dubai", "as", 25.2, 55.3, 3}, {"sydney", "oc", -33.9, 151.2, 3},
}

// Places are the cities of the simulated world; their order gives their numbers.
func Places() []Place { return append([]Place(nil), places...) }

const earthRadiusKm = 6371.0

// kilometers is the great-circle distance of two places (haversine formula).
func kilometers(a, b Place) float64 {
	const rad = math.Pi / 180
	s1, s2 := math.Sin((b.Lat-a.Lat)*rad/2), math.Sin((b.Lon-a.Lon)*rad/2)
	h := s1*s1 + math.Cos(a.Lat*rad)*math.Cos(b.Lat*rad)*s2*s2
	return 2 * earthRadiusKm * math.Asin(math.Sqrt(min(h, 1)))
}

// rttTable is the round trip in milliseconds between each two places: 5 + 0.02 a kilometer.
func rttTable() [][]float64 {
	t := make([][]float64, len(places))
	for i, a := range places {
		t[i] = make([]float64, len(places))
		for j, b := range places {
			t[i][j] = 5 + 0.02*kilometers(a, b)
		}
	}
	return t
}

// pickPlace draws a place by its share of users.
func pickPlace(u float64) int {
	total := 0.0
	for _, p := range places {
		total += p.Users
	}
	u *= total
	for i, p := range places {
		if u -= p.Users; u < 0 {
			return i
		}
	}
	return len(places) - 1
}
